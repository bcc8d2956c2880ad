package op

import (
	"fmt"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"catdog/pipeline/device"
	"catdog/pipeline/device/devicetest"
)

// The first convolution with the normalisation behind it, as one Op.
func TestJoined(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Device) {
		for _, spec := range []device.NormalizationSpec{
			{Batch: 2, Height: 5, Width: 7, Channels: 4, ReLU: true, Pool: 2},
			{Batch: 3, Height: 4, Width: 4, Channels: 17, Pool: 1},
		} {
			spec.Epsilon, spec.Momentum = 1e-5, 0.9
			t.Run(fmt.Sprintf("%+v", spec), func(t *testing.T) { joinedAgainstStock(t, d, spec) })
		}
	})
}

func joinedAgainstStock(t *testing.T, d device.Device, spec device.NormalizationSpec) {
	n, h, w, c := spec.Batch, spec.Height, spec.Width, spec.Channels
	x, weights, scales, shifts := numbers(1, n*h*w*3), numbers(2, c*3*9), numbers(3, c), numbers(4, c)
	upstream := numbers(5, n*(h/spec.Pool)*(w/spec.Pool)*c)

	s := newStock(t)
	sx, sw := s.image("x", x, n, h, w, 3), s.input("w", weights, nil, c, 3, 3, 3)
	sscale, sshift := s.input("scale", scales, nil, 1, c, 1, 1), s.input("shift", shifts, nil, 1, c, 1, 1)
	between := must[*gorgonia.Node](t)(gorgonia.Conv2d(sx, sw, tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}))
	wantY, want := s.gradients(stockNormalization(t, spec, between, sscale, sshift), upstream, sw, sscale, sshift)

	r := newRig(t, d)
	first := device.ConvolutionSpec{Batch: n, Height: h, Width: w, In: 3, Out: c, Kernel: 3, Stride: 1, Padding: 1, NoInputGradient: true}
	convolution := must[device.Convolution](t)(d.NewConvolution(first))
	op := must[device.Joined](t)(devicetest.Joining(d).Join(convolution, must[device.Normalization](t)(d.NewNormalization(spec))))
	rx, rw := r.activation("x", x, n, h, w, 3), r.imported("w", weights, convolution.WeightsLen(), convolution, c, 3, 3, 3)
	rscale, rshift := r.plain("scale", scales), r.plain("shift", shifts)
	ry := must[*gorgonia.Node](t)(r.Joined("j", first, spec, op, rx, rw, rscale, rshift, r.statistics("j", c)))
	gotY, got := r.gradients(ry, upstream, rw.Node, rscale.Node, rshift.Node)

	same(t, "output", gotY, wantY, nchw(h/spec.Pool, w/spec.Pool, c))
	dw := make([]float32, len(weights))
	convolution.Export(got[0].Value().(*Vector).On, dw)
	same(t, "weights' gradient", dw, want[0].Value(), nil)
	same(t, "scale's gradient", data(got[1].Value())[:c], want[1].Value(), nil)
	same(t, "shift's gradient", data(got[2].Value())[:c], want[2].Value(), nil)
}
