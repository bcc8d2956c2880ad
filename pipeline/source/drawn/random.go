package drawn

import "hash/fnv"

// random is splitmix64: tiny, good enough for drawing, and the same on every
// machine and in every version of Go. Each file of the sample has one of its
// own, so that who draws what first changes nothing.
type random struct{ state uint64 }

// newRandom is the generator for one purpose under the sample's seed.
func newRandom(seed int, purpose string) *random {
	hash := fnv.New64a()
	hash.Write([]byte(purpose))
	r := &random{uint64(seed)*0x9e3779b97f4a7c15 ^ hash.Sum64()}
	r.next()
	return r
}

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// float is uniform in [0, 1).
func (r *random) float() float64 { return float64(r.next()>>11) / (1 << 53) }

// between is uniform in [low, high).
func (r *random) between(low, high float64) float64 { return low + (high-low)*r.float() }

// normal is bell-shaped with the given mean and standard deviation and never
// more than three deviations away: a sum of three uniform numbers.
func (r *random) normal(mean, deviation float64) float64 {
	return mean + deviation*2*(r.float()+r.float()+r.float()-1.5)
}

// int is uniform in 0…n-1.
func (r *random) int(n int) int { return int((r.next() >> 33) % uint64(n)) }

// chance is true with the given probability.
func (r *random) chance(probability float64) bool { return r.float() < probability }

// sign is -1 or 1.
func (r *random) sign() float64 {
	if r.chance(0.5) {
		return 1
	}
	return -1
}

// shuffle is a random order of 0…n-1.
func (r *random) shuffle(n int) []int {
	order := make([]int, n)
	for i := range order {
		j := r.int(i + 1)
		order[i], order[j] = order[j], i
	}
	return order
}

// weighted is an index drawn with the given weights.
func (r *random) weighted(weights ...float64) int {
	total := 0.0
	for _, weight := range weights {
		total += weight
	}
	x := r.float() * total
	for i, weight := range weights {
		if x < weight {
			return i
		}
		x -= weight
	}
	return len(weights) - 1
}

// pick is one of the given things.
func pick[T any](r *random, things ...T) T { return things[r.int(len(things))] }
