package op

import (
	"fmt"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"catdog/pipeline/device"
)

func TestConvolution(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Device) {
		for _, spec := range []device.ConvolutionSpec{
			{Batch: 2, Height: 5, Width: 7, In: 3, Out: 4, Kernel: 3, Stride: 1, Padding: 1},
			{Batch: 1, Height: 8, Width: 5, In: 5, Out: 3, Kernel: 3, Stride: 2, Padding: 1},
			{Batch: 3, Height: 4, Width: 4, In: 17, Out: 16, Kernel: 1, Stride: 1, Padding: 0},
			{Batch: 2, Height: 9, Width: 6, In: 2, Out: 5, Kernel: 5, Stride: 1, Padding: 2},
			{Batch: 2, Height: 6, Width: 6, In: 3, Out: 16, Kernel: 3, Stride: 1, Padding: 1, NoInputGradient: true},
		} {
			t.Run(fmt.Sprintf("%+v", spec), func(t *testing.T) { convolutionAgainstStock(t, d, spec) })
		}
	})
}

func convolutionAgainstStock(t *testing.T, d device.Device, spec device.ConvolutionSpec) {
	h, w := spec.OutputSize()
	x := numbers(1, spec.Batch*spec.Height*spec.Width*spec.In)
	weights := numbers(2, spec.Out*spec.In*spec.Kernel*spec.Kernel)
	upstream := numbers(3, spec.Batch*h*w*spec.Out)

	s := newStock(t)
	sx := s.image("x", x, spec.Batch, spec.Height, spec.Width, spec.In)
	sw := s.input("w", weights, nil, spec.Out, spec.In, spec.Kernel, spec.Kernel)
	sy := must[*gorgonia.Node](t)(gorgonia.Conv2d(sx, sw, tensor.Shape{spec.Kernel, spec.Kernel},
		[]int{spec.Padding, spec.Padding}, []int{spec.Stride, spec.Stride}, []int{1, 1}))
	wantY, want := s.gradients(sy, upstream, sx, sw)

	r := newRig(t, d)
	op := must[device.Convolution](t)(d.NewConvolution(spec))
	rx := r.activation("x", x, spec.Batch, spec.Height, spec.Width, spec.In)
	rw := r.imported("w", weights, op.WeightsLen(), op, spec.Out, spec.In, spec.Kernel, spec.Kernel)
	ry := must[*gorgonia.Node](t)(r.Convolution("c", spec, op, rx, rw, nil))
	by := gorgonia.Nodes{rw.Node, rx}
	if spec.NoInputGradient {
		by = by[:1]
	}
	gotY, got := r.gradients(ry, upstream, by...)

	same(t, "output", gotY, wantY, nchw(h, w, spec.Out))
	dw := make([]float32, len(weights))
	op.Export(got[0].Value().(*Vector).On, dw)
	same(t, "weights' gradient", dw, want[1].Value(), nil)
	if !spec.NoInputGradient {
		same(t, "input's gradient", data(got[1].Value()), want[0].Value(), nchw(spec.Height, spec.Width, spec.In))
	}
}
