package op

import (
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"catdog/pipeline/device"
)

func TestDropout(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Device) {
		const n, h, w, c, seed, ordinal = 2, 3, 5, 7, 1<<40 + 5, 3
		spec := device.DropoutSpec{Batch: n, Height: h, Width: w, Channels: c, Rate: 0.4}
		x, upstream := numbers(1, n*h*w*c), numbers(2, n*h*w*c)
		mask := make([]float32, len(x))
		for i := range mask {
			if device.DropoutKeep(seed^ordinal<<48, uint64(i), spec.Rate) {
				mask[i] = 1 / (1 - spec.Rate)
			}
		}

		s := newStock(t)
		sx := s.image("x", x, n, h, w, c)
		sy := must[*gorgonia.Node](t)(gorgonia.HadamardProd(sx, s.image("mask", mask, n, h, w, c)))
		wantY, want := s.gradients(sy, upstream, sx)

		r := newRig(t, d)
		op := must[device.Dropout](t)(d.NewDropout(spec))
		rx := r.activation("x", x, n, h, w, c)
		rseed := gorgonia.NewScalar(r.ExprGraph, tensor.Int64, gorgonia.WithName("seed"), gorgonia.WithValue(gorgonia.NewI64(seed)))
		ry := must[*gorgonia.Node](t)(r.Dropout("d", spec, op, rx, rseed, ordinal))
		gotY, got := r.gradients(ry, upstream, rx)
		same(t, "output", gotY, wantY, nchw(h, w, c))
		same(t, "input's gradient", data(got[0].Value()), want[0].Value(), nchw(h, w, c))
	})
}
