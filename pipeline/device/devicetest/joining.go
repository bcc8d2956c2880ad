package devicetest

import "catdog/pipeline/device"

// Joining makes any device a device.Joiner, whose joined operations are the two
// one after the other: the results are the same to the bit.
func Joining(d device.Device) device.Joiner { return joining{d} }

type joining struct{ device.Device }

func (joining) Join(c device.Convolution, n device.Normalization) (device.Joined, error) {
	return apart{c, n}, nil
}

type apart struct {
	convolution   device.Convolution
	normalization device.Normalization
}

func (a apart) Forward(x device.Activation, w, scale, shift, runningMean, runningVariance device.Vector, between, y device.Activation) error {
	if err := a.convolution.Forward(x, w, between); err != nil {
		return err
	}
	return a.normalization.Forward(between, scale, shift, runningMean, runningVariance, nil, y)
}

func (a apart) Backward(x, between, y, dy device.Activation, scale, shift device.Vector, dw, dscale, dshift device.Vector) error {
	if err := a.normalization.Backward(between, y, dy, scale, shift, between, dscale, dshift); err != nil {
		return err
	}
	return a.convolution.BackwardWeights(x, between, dw)
}
