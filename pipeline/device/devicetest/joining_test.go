package devicetest

import (
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/reference"
)

func TestJoiningConforms(t *testing.T) { Conform(t, Joining(reference.New()), 0) }

// rounding is a Joiner whose joined operations round to bfloat16: activations,
// and the gradient of what is between, as matrix instructions take it.
type rounding struct{ device.Device }

func (rounding) Join(c device.Convolution, n device.Normalization) (device.Joined, error) {
	return roundingJoined{apart{c, n}}, nil
}

type roundingJoined struct{ apart }

func round(a device.Activation) {
	values := contents(a)
	for i, v := range values {
		values[i] = bfloat16(v)
	}
	a.Upload(values)
}

func (r roundingJoined) Forward(x device.Activation, w, scale, shift, runningMean, runningVariance device.Vector, between, y device.Activation) error {
	if err := r.convolution.Forward(x, w, between); err != nil {
		return err
	}
	round(between)
	err := r.normalization.Forward(between, scale, shift, runningMean, runningVariance, nil, y)
	round(y)
	return err
}

func (r roundingJoined) Backward(x, between, y, dy device.Activation, scale, shift device.Vector, dw, dscale, dshift device.Vector) error {
	if err := r.normalization.Backward(between, y, dy, scale, shift, between, dscale, dshift); err != nil {
		return err
	}
	round(between)
	return r.convolution.BackwardWeights(x, between, dw)
}

// The tolerance for bfloat16 leaves a joined operation room for its roundings.
func TestRoundingConforms(t *testing.T) {
	ConformBFloat16(t, rounding{reference.New()}, BFloat16Tolerance)
}
