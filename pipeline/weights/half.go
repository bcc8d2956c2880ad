package weights

import "math"

// A half is a float16 of IEEE 754: a sign, 5 bits of exponent, 10 of fraction.
type half uint16

// largestHalf is the largest finite half.
const largestHalf = 65504

// toHalf rounds to the nearest half, to the even one of two; beyond
// largestHalf the result is infinite.
func toHalf(v float32) half {
	bits := math.Float32bits(v)
	sign, magnitude := half(bits>>16&0x8000), bits&0x7fffffff
	switch {
	case magnitude > 0x7f800000: // not a number
		return sign | 0x7e00
	case magnitude >= 0x477ff000: // rounds to 65536 or is more
		return sign | 0x7c00
	case magnitude < 0x38800000: // below 2⁻¹⁴, a multiple of 2⁻²⁴
		return sign | half(math.RoundToEven(math.Abs(float64(v))*(1<<24)))
	}
	magnitude += 0xfff + magnitude>>13&1
	return sign | half(magnitude>>13-(127-15)<<10)
}

// float32 is the half's value, exactly.
func (h half) float32() float32 {
	sign, exponent, fraction := uint32(h&0x8000)<<16, uint32(h>>10&31), uint32(h&0x3ff)
	switch exponent {
	case 0:
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)/(1<<24)))
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}
