package devicetest

import (
	"fmt"
	"testing"

	"catdog/pipeline/device"
)

// joined compares with the reference's two operations. Batch, Height and Width
// are the convolution's output's.
func (c conformance) joined(t *testing.T) {
	for _, s := range []struct {
		device.NormalizationSpec
		stride int
	}{
		{device.NormalizationSpec{Batch: 3, Height: 9, Width: 8, Channels: 32, ReLU: true, Pool: 1}, 1},
		{device.NormalizationSpec{Batch: 1, Height: 7, Width: 5, Channels: 16, Pool: 1}, 1},
		{device.NormalizationSpec{Batch: 3, Height: 6, Width: 7, Channels: 40, ReLU: true, Pool: 1}, 2},
		{device.NormalizationSpec{Batch: 2, Height: 8, Width: 8, Channels: 32, ReLU: true, Pool: 2}, 1},
		{device.NormalizationSpec{Batch: 3, Height: 9, Width: 7, Channels: 40, ReLU: true, Pool: 2}, 1},
		{device.NormalizationSpec{Batch: 1, Height: 11, Width: 6, Channels: 16, Pool: 2}, 1},
		{device.NormalizationSpec{Batch: 3, Height: 10, Width: 13, Channels: 16, ReLU: true, Pool: 3}, 1},
		{device.NormalizationSpec{Batch: 2, Height: 11, Width: 9, Channels: 32, Pool: 3}, 1},
		{device.NormalizationSpec{Batch: 1, Height: 12, Width: 8, Channels: 40, ReLU: true, Pool: 3}, 1},
		{device.NormalizationSpec{Batch: 5, Height: 37, Width: 70, Channels: 32, ReLU: true, Pool: 2}, 1}, // beyond a tile
		{device.NormalizationSpec{Batch: 2, Height: 9, Width: 18, Channels: 64, ReLU: true, Pool: 2}, 1},
	} {
		s.Epsilon, s.Momentum = 1e-3, 0.9
		first := device.ConvolutionSpec{
			Batch: s.Batch, Height: s.Height * s.stride, Width: s.Width * s.stride, In: 3, Out: s.Channels,
			Kernel: 3, Stride: s.stride, Padding: 1, NoInputGradient: true,
		}
		name := fmt.Sprintf("%dx%dx%d to %d stride %d relu %t pool %d", s.Batch, first.Height, first.Width, s.Channels, s.stride, s.ReLU, s.Pool)
		c.compare(t, name, func(l *lab) { l.joined(first, s.NormalizationSpec, c.factor) })
	}
}

func (l *lab) joined(first device.ConvolutionSpec, behind device.NormalizationSpec, factor func(float32) float32) {
	l.t.Helper()
	convolution, err := l.NewConvolution(first)
	l.check(err)
	normalization, err := l.NewNormalization(behind)
	l.check(err)
	var op device.Joined = apart{convolution, normalization}
	if joiner, joins := l.Device.(device.Joiner); joins {
		if op, err = joiner.Join(convolution, normalization); err == nil && op == nil {
			l.t.Skip("not joined")
		}
		l.check(err)
	}
	factors := func(count int, mean float32) []float32 {
		values := l.numbers(count)
		for i := range values {
			values[i] = factor(values[i] + mean)
		}
		return values
	}
	count := first.Out * first.In * first.Kernel * first.Kernel
	w := l.vector(nil, convolution.WeightsLen())
	convolution.Import(factors(count, 0), w)
	length, channels := normalization.ParameterLen(), behind.Channels
	scales := l.numbers(channels)
	scales[2] = -1
	if behind.Pool == 1 { // otherwise maxima get lost beside the shift
		scales[1] = 1e-6
	}
	scale, shift := l.vector(scales, length), l.vector(l.numbers(channels), length)
	mean, variance := l.vector(l.numbers(channels), length), l.vector(l.numbers(channels), length)
	x := l.activation(first.Batch, first.Height, first.Width, first.In)
	between := l.activation(behind.Batch, behind.Height, behind.Width, channels)
	// The second batch shows what is left of the first.
	for _, batch := range []string{"first", "second"} {
		x.Upload(factors(first.Batch*first.Height*first.Width*first.In, 0.5))
		y := l.activation(behind.Batch, behind.Height/behind.Pool, behind.Width/behind.Pool, channels)
		dy := l.activation(behind.Batch, behind.Height/behind.Pool, behind.Width/behind.Pool, channels)
		dw, dscale, dshift := l.vector(leftovers(w.Len()), w.Len()), l.vector(leftovers(length), length), l.vector(leftovers(length), length)
		l.check(op.Forward(x, w, scale, shift, mean, variance, between, y))
		l.check(op.Backward(x, between, y, dy, scale, shift, dw, dscale, dshift))
		l.record(batch+" output", contents(y))
		l.record("running mean of the "+batch, elements(mean)[:channels])
		l.record("running variance of the "+batch, elements(variance)[:channels])
		l.record("weights' gradient of the "+batch, l.plain(convolution, dw, count))
		for name, v := range map[string]device.Vector{"scale": dscale, "shift": dshift} {
			for _, padding := range elements(v)[channels:] {
				if padding != 0 {
					l.t.Errorf("padding of the %s's gradient is %g", name, padding)
				}
			}
		}
		l.record("scale's gradient of the "+batch, elements(dscale)[:channels])
		l.record("shift's gradient of the "+batch, elements(dshift)[:channels])
	}
}
