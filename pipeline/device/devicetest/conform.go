// Package devicetest compares a device with the reference, operation by
// operation, on small and odd shapes.
package devicetest

import (
	"math"
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/reference"
)

// Conform checks that a device's operations give what the reference's give:
// for each output the Euclidean norm of the difference is at most tolerance
// times the norm of the reference's output.
func Conform(t *testing.T, d device.Device, tolerance float64) {
	same := func(v float32) float32 { return v }
	conform(t, conformance{d, tolerance, same, same})
}

// BFloat16Tolerance is Conform's tolerance for a device whose activations are
// bfloat16. One rounding is off by at most 2⁻⁸ of a value, and by a third of
// that in the mean; an operation rounds its result, and at most one value on
// the way to it.
const BFloat16Tolerance = 1.0 / 256

// ConformBFloat16 is Conform for a device whose activations are bfloat16. All
// inputs are such numbers, so that both devices take the same ReLUs and maxima;
// for joined operations what is between is, too. A device that only multiplies
// such numbers keeps a float32's tolerance.
func ConformBFloat16(t *testing.T, d device.Device, tolerance float64) {
	conform(t, conformance{d, tolerance, bfloat16, func(v float32) float32 {
		// A sum of 27 products is a whole number up to 243: 8 binary digits.
		return float32(math.Round(max(-3, min(3, float64(v)))))
	}})
}

// bfloat16 rounds to the nearest such number.
func bfloat16(v float32) float32 {
	bits := math.Float32bits(v)
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}

func conform(t *testing.T, c conformance) {
	t.Run("memory", c.memory)
	t.Run("convolution", c.convolution)
	t.Run("normalization", c.normalization)
	if _, joins := c.device.(device.Joiner); joins {
		t.Run("joined", c.joined)
	}
	t.Run("global pool", c.globalPool)
	t.Run("dropout", c.dropout)
	t.Run("dense", c.dense)
	t.Run("cross-entropy", c.crossEntropy)
	t.Run("optimizer", c.optimizer)
}

type conformance struct {
	device    device.Device
	tolerance float64
	// round makes a random input one that the device can hold.
	round func(float32) float32
	// factor makes it one for an input or a weight of a 3×3 convolution of three
	// channels whose output the device can hold as well.
	factor func(float32) float32
}

// compare runs an experiment on the reference and on the device, with the same
// random numbers, and compares what it recorded.
func (c conformance) compare(t *testing.T, name string, experiment func(*lab)) {
	t.Run(name, func(t *testing.T) {
		want, got := newLab(t, reference.New(), c.round), newLab(t, c.device, c.round)
		experiment(want)
		experiment(got)
		for i, w := range want.outputs {
			if d := distance(got.outputs[i].values, w.values); !(d <= c.tolerance) {
				t.Errorf("%s: differs from the reference by %.2g of its norm, want at most %.2g", w.name, d, c.tolerance)
			}
		}
	})
}

// distance is ‖a−b‖/‖b‖, or ‖a‖ where b is zero.
func distance(a, b []float32) float64 {
	difference, norm := 0.0, 0.0
	for i := range b {
		d := float64(a[i]) - float64(b[i])
		difference += d * d
		norm += float64(b[i]) * float64(b[i])
	}
	if norm == 0 {
		norm = 1
	}
	return math.Sqrt(difference / norm)
}
