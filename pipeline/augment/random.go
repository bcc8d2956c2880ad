package augment

import "math/bits"

// A stream is a sequence of random numbers that can be asked for in any order:
// number n is splitmix64's nth (Steele, Lea and Flood, "Fast Splittable
// Pseudorandom Number Generators", 2014) for a state that says what the stream
// is for. So what is drawn depends neither on threads nor on what was drawn
// before.
type stream uint64

// What streams are for.
const (
	forOrder = iota // of an epoch
	forView         // of an image
	forCut          // of a batch
)

const gamma = 0x9e3779b97f4a7c15

func newStream(seed, epoch, purpose, index int) stream {
	state := mix(uint64(seed) + gamma)
	state = mix(state + uint64(epoch) + gamma)
	state = mix(state + uint64(purpose) + gamma)
	state = mix(state + uint64(index) + gamma)
	return stream(state)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// uniform is number n, in [0, 1).
func (s stream) uniform(n int) float64 {
	return float64(mix(uint64(s)+gamma*uint64(n+1))>>11) / (1 << 53)
}

// between is number n, in [low, high).
func (s stream) between(n int, low, high float64) float64 {
	return low + (high-low)*s.uniform(n)
}

// below is number n, a whole one in [0, limit).
func (s stream) below(n, limit int) int {
	high, _ := bits.Mul64(mix(uint64(s)+gamma*uint64(n+1)), uint64(limit))
	return int(high)
}

// shuffle puts a permutation of 0…len(order)−1 into order (Fisher and Yates).
func (s stream) shuffle(order []int32) {
	for i := range order {
		j := s.below(i, i+1)
		order[i] = order[j]
		order[j] = int32(i)
	}
}
