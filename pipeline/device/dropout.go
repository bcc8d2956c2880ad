package device

import "math"

// DropoutKeep says whether dropout at rate keeps the element with a logical
// index (((n·H + h)·W + w)·C + c) under seed. Every device computes exactly
// this function, in 32-bit arithmetic that wraps around:
//
//	mix(x) = x ^= x>>16; x *= 0x7feb352d; x ^= x>>15; x *= 0x846ca68b; x ^= x>>16
//	keys   = DropoutKeys(seed)
//	hash   = mix(mix(uint32(index) ^ keys[0]) + uint32(index>>32) + keys[1])
//	keep   = hash ≥ DropoutThreshold(rate)
//
// mix is Wellons' "lowbias32", https://nullprogram.com/blog/2018/07/31/.
func DropoutKeep(seed uint64, index uint64, rate float32) bool {
	keys := DropoutKeys(seed)
	hash := mix(mix(uint32(index)^keys[0]) + uint32(index>>32) + keys[1])
	return hash >= DropoutThreshold(rate)
}

// DropoutKeys are the low and the high half of seed after one step of
// splitmix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
// Generators", 2014), so that neighbouring seeds share nothing.
func DropoutKeys(seed uint64) [2]uint32 {
	z := seed + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return [2]uint32{uint32(z), uint32(z >> 32)}
}

// DropoutThreshold is rate·2³², rounded down and at most 2³²−1: hashes below
// it are dropped.
func DropoutThreshold(rate float32) uint32 {
	t := float64(rate) * (1 << 32)
	switch {
	case !(t > 0):
		return 0
	case t >= math.MaxUint32:
		return math.MaxUint32
	}
	return uint32(t)
}

func mix(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	return x ^ x>>16
}
