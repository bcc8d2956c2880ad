package op

import (
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"catdog/pipeline/device"
)

func TestGlobalPool(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Device) {
		const n, h, w, c = 2, 5, 3, 7
		x, upstream := numbers(1, n*h*w*c), numbers(2, n*c)
		diagonal := make([]float32, c*c*h*w)
		for i := range diagonal {
			if i/(h*w)/c == i/(h*w)%c {
				diagonal[i] = 1.0 / (h * w)
			}
		}
		for _, average := range []bool{false, true} {
			s := newStock(t)
			sx := s.image("x", x, n, h, w, c)
			var sy *gorgonia.Node
			if average {
				// gorgonia's own average pool divides by the width alone.
				sy = must[*gorgonia.Node](t)(gorgonia.Conv2d(sx, s.input("mean", diagonal, nil, c, c, h, w),
					tensor.Shape{h, w}, []int{0, 0}, []int{1, 1}, []int{1, 1}))
			} else {
				sy = must[*gorgonia.Node](t)(gorgonia.MaxPool2D(sx, tensor.Shape{h, w}, []int{0, 0}, []int{h, w}))
			}
			wantY, want := s.gradients(sy, upstream, sx)

			r := newRig(t, d)
			spec := device.GlobalPoolSpec{Batch: n, Height: h, Width: w, Channels: c, Average: average}
			op := must[device.GlobalPool](t)(d.NewGlobalPool(spec))
			rx := r.activation("x", x, n, h, w, c)
			ry := must[*gorgonia.Node](t)(r.GlobalPool("p", spec, op, rx))
			gotY, got := r.gradients(ry, upstream, rx)
			same(t, "output", gotY, wantY, nil)
			same(t, "input's gradient", data(got[0].Value()), want[0].Value(), nchw(h, w, c))
		}
	})
}
