package devicetest

import (
	"fmt"
	"testing"

	"catdog/pipeline/device"
)

func (c conformance) normalization(t *testing.T) {
	for _, s := range []device.NormalizationSpec{
		{Batch: 3, Height: 5, Width: 7, Channels: 16, ReLU: true, Pool: 1},
		{Batch: 3, Height: 5, Width: 7, Channels: 5, Pool: 1},
		{Batch: 1, Height: 7, Width: 6, Channels: 19, ReLU: true, Pool: 2},
		{Batch: 3, Height: 8, Width: 8, Channels: 32, ReLU: true, Pool: 2},
		{Batch: 3, Height: 5, Width: 4, Channels: 16, Pool: 2},
		{Batch: 3, Height: 8, Width: 10, Channels: 17, ReLU: true, Pool: 3},
		{Batch: 3, Height: 40, Width: 36, Channels: 40, ReLU: true, Pool: 2},
		{Batch: 5, Height: 20, Width: 18, Channels: 24, ReLU: true, Pool: 1},
		{Batch: 3, Height: 5, Width: 3, Channels: 16, ReLU: true, Pool: 1, Skip: true},
		{Batch: 1, Height: 4, Width: 5, Channels: 3, Pool: 1, Skip: true},
	} {
		s.Epsilon, s.Momentum = 1e-3, 0.9
		name := fmt.Sprintf("%dx%dx%dx%d relu %t pool %d skip %t", s.Batch, s.Height, s.Width, s.Channels, s.ReLU, s.Pool, s.Skip)
		c.compare(t, name, func(l *lab) {
			op, err := l.NewNormalization(s)
			l.check(err)
			length := op.ParameterLen()
			if length%device.Alignment != 0 || length < s.Channels {
				l.t.Errorf("ParameterLen is %d for %d channels, want a multiple of %d", length, s.Channels, device.Alignment)
			}
			h, w := s.Height/s.Pool, s.Width/s.Pool
			x := l.activation(s.Batch, s.Height, s.Width, s.Channels)
			// A mean far from zero shows where the variance loses digits; a
			// scale near zero and a negative one, where x̂ comes from y.
			values := contents(x)
			for i := range values {
				values[i] = l.round(0.7*values[i] + 3)
			}
			x.Upload(values)
			scales := l.numbers(s.Channels)
			scales[1], scales[2] = 1e-6, -1
			scale, shift := l.vector(scales, length), l.vector(l.numbers(s.Channels), length)
			variances := l.numbers(s.Channels)
			for i := range variances {
				variances[i] *= variances[i]
			}
			mean, variance := l.vector(l.numbers(s.Channels), length), l.vector(variances, length)
			var skip device.Activation
			if s.Skip {
				skip = l.activation(s.Batch, h, w, s.Channels)
			}
			y := l.activation(s.Batch, h, w, s.Channels)

			l.check(op.Infer(x, scale, shift, mean, variance, skip, y))
			l.record("inferred output", contents(y))
			l.check(op.Forward(x, scale, shift, mean, variance, skip, y))
			l.record("output", contents(y))
			l.record("running mean", elements(mean)[:s.Channels])
			l.record("running variance", elements(variance)[:s.Channels])

			dy, dx := l.activation(s.Batch, h, w, s.Channels), l.activation(s.Batch, s.Height, s.Width, s.Channels)
			dscale, dshift := l.vector(leftovers(length), length), l.vector(leftovers(length), length)
			gradients := func(suffix string) {
				for _, v := range elements(dscale)[s.Channels:] {
					if v != 0 {
						l.t.Errorf("padding of the scale's gradient is %g", v)
					}
				}
				l.record("scale's gradient"+suffix, elements(dscale)[:s.Channels])
				l.record("shift's gradient"+suffix, elements(dshift)[:s.Channels])
			}
			l.check(op.Backward(x, y, dy, scale, shift, dx, dscale, dshift))
			l.record("input's gradient", contents(dx))
			gradients("")
			l.check(op.Backward(x, y, dy, scale, shift, x, dscale, dshift))
			l.record("input's gradient in place", contents(x))
			gradients(" in place")

			forInference := s
			forInference.Inference = true
			inference, err := l.NewNormalization(forInference)
			l.check(err)
			l.check(inference.Infer(dx, scale, shift, mean, variance, skip, y))
			l.record("output for inference", contents(y))
		})
	}
}
