package reference

import (
	"errors"
	"fmt"
	"math"

	"catdog/pipeline/device"
)

// normalization remembers the statistics of the batch last given to Forward.
type normalization struct {
	device.NormalizationSpec
	mean, inverse []float64 // by channel; inverse is 1/√(variance+Epsilon)
}

func (reference) NewNormalization(spec device.NormalizationSpec) (device.Normalization, error) {
	switch {
	case spec.Pool < 1 || spec.Pool > spec.Height || spec.Pool > spec.Width:
		return nil, fmt.Errorf("normalization: pool %d of %d×%d", spec.Pool, spec.Height, spec.Width)
	case spec.Skip && spec.Pool != 1:
		return nil, fmt.Errorf("normalization: a skip addition together with pool %d", spec.Pool)
	}
	return &normalization{
		NormalizationSpec: spec,
		mean:              make([]float64, spec.Channels),
		inverse:           make([]float64, spec.Channels),
	}, nil
}

func (b *normalization) ParameterLen() int { return aligned(b.Channels) }

func (b *normalization) check(x, skip, y device.Activation) error {
	h, w := b.Height/b.Pool, b.Width/b.Pool
	err := errors.Join(
		checkShape("normalization: input", x, b.Batch, b.Height, b.Width, b.Channels),
		checkShape("normalization: output", y, b.Batch, h, w, b.Channels))
	if b.Skip && skip != nil {
		err = errors.Join(err, checkShape("normalization: skip", skip, b.Batch, h, w, b.Channels))
	}
	return err
}

func (b *normalization) Forward(x device.Activation, scale, shift, runningMean, runningVariance device.Vector, skip, y device.Activation) error {
	if err := b.check(x, skip, y); err != nil {
		return err
	}
	in := data(x)
	count := float64(len(in) / b.Channels)
	for channel := range b.Channels {
		sum := 0.0
		for i := channel; i < len(in); i += b.Channels {
			sum += float64(in[i])
		}
		mean := sum / count
		squares := 0.0
		for i := channel; i < len(in); i += b.Channels {
			d := float64(in[i]) - mean
			squares += d * d
		}
		b.mean[channel] = mean
		b.inverse[channel] = 1 / math.Sqrt(squares/count+float64(b.Epsilon))

		momentum := float64(b.Momentum)
		means, variances := runningMean.(vector), runningVariance.(vector)
		means[channel] = float32(momentum*float64(means[channel]) + (1-momentum)*mean)
		unbiased := squares / max(count-1, 1)
		variances[channel] = float32(momentum*float64(variances[channel]) + (1-momentum)*unbiased)
	}
	b.apply(in, b.mean, b.inverse, scale, shift, skip, data(y))
	return nil
}

func (b *normalization) Infer(x device.Activation, scale, shift, runningMean, runningVariance device.Vector, skip, y device.Activation) error {
	if err := b.check(x, skip, y); err != nil {
		return err
	}
	mean, inverse := make([]float64, b.Channels), make([]float64, b.Channels)
	for channel := range b.Channels {
		mean[channel] = float64(runningMean.(vector)[channel])
		inverse[channel] = 1 / math.Sqrt(float64(runningVariance.(vector)[channel])+float64(b.Epsilon))
	}
	b.apply(data(x), mean, inverse, scale, shift, skip, data(y))
	return nil
}

func (b *normalization) apply(in []float32, mean, inverse []float64, scale, shift device.Vector, skip device.Activation, out []float32) {
	for k := range out {
		_, value := b.largest(in, k, mean, inverse, scale.(vector), shift.(vector))
		if skip != nil {
			value += float64(data(skip)[k])
		}
		out[k] = float32(value)
	}
}

// largest finds the input element whose normalised value becomes output
// element k (the first of equals in the pooling's window) and that value.
func (b *normalization) largest(in []float32, k int, mean, inverse []float64, scale, shift vector) (index int, value float64) {
	height, width := b.Height/b.Pool, b.Width/b.Pool
	channel := k % b.Channels
	column := k / b.Channels % width * b.Pool
	row := k / b.Channels / width % height * b.Pool
	n := k / b.Channels / width / height

	value = math.Inf(-1)
	for r := row; r < row+b.Pool; r++ {
		for c := column; c < column+b.Pool; c++ {
			i := ((n*b.Height+r)*b.Width+c)*b.Channels + channel
			normalised := (float64(in[i]) - mean[channel]) * inverse[channel]
			v := float64(scale[channel])*normalised + float64(shift[channel])
			if b.ReLU && v <= 0 {
				v = 0
			}
			// A NaN is passed on.
			if v > value || v != v {
				index, value = i, v
			}
		}
	}
	return index, value
}

func (b *normalization) Backward(x, y, dy device.Activation, scale, shift device.Vector, dx device.Activation, dscale, dshift device.Vector) error {
	if err := errors.Join(b.check(x, nil, y), b.check(dx, nil, dy)); err != nil {
		return err
	}
	in, dout := data(x), data(dy)
	gradient := make([]float64, len(in)) // of the affine map's result
	for k := range dout {
		i, value := b.largest(in, k, b.mean, b.inverse, scale.(vector), shift.(vector))
		if !b.ReLU || value > 0 {
			gradient[i] += float64(dout[k])
		}
	}

	count := float64(len(in) / b.Channels)
	scales, dscales, dshifts := scale.(vector), dscale.(vector), dshift.(vector)
	clear(dscales[:b.ParameterLen()])
	clear(dshifts[:b.ParameterLen()])
	for channel := range b.Channels {
		normalised := func(i int) float64 { return (float64(in[i]) - b.mean[channel]) * b.inverse[channel] }
		sum, projected := 0.0, 0.0
		for i := channel; i < len(in); i += b.Channels {
			sum += gradient[i]
			projected += gradient[i] * normalised(i)
		}
		dscales[channel], dshifts[channel] = float32(projected), float32(sum)
		for i := channel; i < len(in); i += b.Channels {
			centred := gradient[i] - sum/count - normalised(i)*projected/count
			// dx may be x: each element is read before it is written.
			data(dx)[i] = float32(float64(scales[channel]) * b.inverse[channel] * centred)
		}
	}
	return nil
}
