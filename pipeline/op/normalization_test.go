package op

import (
	"fmt"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"catdog/pipeline/device"
)

// stockNormalization is batch norm, ReLU and max pooling.
func stockNormalization(t *testing.T, spec device.NormalizationSpec, x, scale, shift *gorgonia.Node) *gorgonia.Node {
	t.Helper()
	y, _, _, _, err := gorgonia.BatchNorm(x, scale, shift, 0.9, float64(spec.Epsilon))
	if err == nil && spec.ReLU {
		y, err = gorgonia.Rectify(y)
	}
	if err == nil && spec.Pool > 1 {
		y, err = gorgonia.MaxPool2D(y, tensor.Shape{spec.Pool, spec.Pool}, []int{0, 0}, []int{spec.Pool, spec.Pool})
	}
	if err != nil {
		t.Fatal(err)
	}
	return y
}

func (r *rig) statistics(name string, channels int) Statistics {
	ones := make([]float32, channels)
	for i := range ones {
		ones[i] = 1
	}
	return Statistics{
		Mean:     r.plain(name+" mean", make([]float32, channels)).Node,
		Variance: r.plain(name+" variance", ones).Node,
	}
}

func TestNormalization(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Device) {
		for _, spec := range []device.NormalizationSpec{
			{Batch: 2, Height: 5, Width: 3, Channels: 4, Pool: 1},
			{Batch: 3, Height: 4, Width: 4, Channels: 17, ReLU: true, Pool: 1},
			{Batch: 2, Height: 6, Width: 4, Channels: 5, ReLU: true, Pool: 2},
			{Batch: 2, Height: 5, Width: 7, Channels: 3, ReLU: true, Pool: 2},
			{Batch: 1, Height: 7, Width: 6, Channels: 16, Pool: 3},
		} {
			spec.Epsilon, spec.Momentum = 1e-5, 0.9
			t.Run(fmt.Sprintf("%+v", spec), func(t *testing.T) { normalizationAgainstStock(t, d, spec) })
		}
	})
}

func normalizationAgainstStock(t *testing.T, d device.Device, spec device.NormalizationSpec) {
	n, h, w, c := spec.Batch, spec.Height, spec.Width, spec.Channels
	x, scales, shifts := numbers(1, n*h*w*c), numbers(2, c), numbers(3, c)
	upstream := numbers(4, n*(h/spec.Pool)*(w/spec.Pool)*c)

	s := newStock(t)
	sx, sscale, sshift := s.image("x", x, n, h, w, c), s.input("scale", scales, nil, 1, c, 1, 1), s.input("shift", shifts, nil, 1, c, 1, 1)
	wantY, want := s.gradients(stockNormalization(t, spec, sx, sscale, sshift), upstream, sx, sscale, sshift)

	r := newRig(t, d)
	op := must[device.Normalization](t)(d.NewNormalization(spec))
	rx, rscale, rshift := r.activation("x", x, n, h, w, c), r.plain("scale", scales), r.plain("shift", shifts)
	ry := must[*gorgonia.Node](t)(r.Normalization("n", spec, op, rx, rscale, rshift, r.statistics("n", c), nil, nil))
	gotY, got := r.gradients(ry, upstream, rx, rscale.Node, rshift.Node)

	same(t, "output", gotY, wantY, nchw(h/spec.Pool, w/spec.Pool, c))
	same(t, "input's gradient", data(got[0].Value()), want[0].Value(), nchw(h, w, c))
	same(t, "scale's gradient", data(got[1].Value())[:c], want[1].Value(), nil)
	same(t, "shift's gradient", data(got[2].Value())[:c], want[2].Value(), nil)
}

// A residual block's input has two readers; gorgonia's own graph sums their
// gradients with an addition, this package's passes one to the other.
func TestResidual(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Device) {
		const n, h, w, c = 2, 5, 4, 6
		cspec := device.ConvolutionSpec{Batch: n, Height: h, Width: w, In: c, Out: c, Kernel: 3, Stride: 1, Padding: 1}
		nspec := device.NormalizationSpec{Batch: n, Height: h, Width: w, Channels: c, ReLU: true, Pool: 1, Epsilon: 1e-5, Momentum: 0.9}
		x, upstream := numbers(1, n*h*w*c), numbers(2, n*h*w*c)
		weights := [][]float32{numbers(3, c*c*9), numbers(4, c*c*9)}
		scales, shifts := [][]float32{numbers(5, c), numbers(6, c)}, [][]float32{numbers(7, c), numbers(8, c)}

		s := newStock(t)
		sx := s.image("x", x, n, h, w, c)
		sy, by := sx, gorgonia.Nodes{sx}
		for i := range 2 {
			sw := s.input(fmt.Sprint("w", i), weights[i], nil, c, c, 3, 3)
			sscale, sshift := s.input(fmt.Sprint("scale", i), scales[i], nil, 1, c, 1, 1), s.input(fmt.Sprint("shift", i), shifts[i], nil, 1, c, 1, 1)
			sy = must[*gorgonia.Node](t)(gorgonia.Conv2d(sy, sw, tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}))
			sy = stockNormalization(t, nspec, sy, sscale, sshift)
			by = append(by, sw, sscale, sshift)
		}
		sy = must[*gorgonia.Node](t)(gorgonia.Add(sy, sx))
		wantY, want := s.gradients(sy, upstream, by...)

		r := newRig(t, d)
		convolution := must[device.Convolution](t)(d.NewConvolution(cspec))
		rx := r.activation("x", x, n, h, w, c)
		ry, skip, rby := rx, &Skip{}, gorgonia.Nodes{rx}
		for i := range 2 {
			rw := r.imported(fmt.Sprint("w", i), weights[i], convolution.WeightsLen(), convolution, c, c, 3, 3)
			rscale, rshift := r.plain(fmt.Sprint("scale", i), scales[i]), r.plain(fmt.Sprint("shift", i), shifts[i])
			first, last, source := skip, (*Skip)(nil), (*gorgonia.Node)(nil)
			if i == 1 {
				first, last, source, nspec.Skip = nil, skip, rx, true
			}
			normalization := must[device.Normalization](t)(d.NewNormalization(nspec))
			ry = must[*gorgonia.Node](t)(r.Convolution(fmt.Sprint(i), cspec, convolution, ry, rw, first))
			ry = must[*gorgonia.Node](t)(r.Normalization(fmt.Sprint(i), nspec, normalization, ry, rscale, rshift, r.statistics(fmt.Sprint(i), c), source, last))
			rby = append(rby, rw.Node, rscale.Node, rshift.Node)
		}
		gotY, got := r.gradients(ry, upstream, rby...)
		same(t, "output", gotY, wantY, nchw(h, w, c))
		same(t, "input's gradient", data(got[0].Value()), want[0].Value(), nchw(h, w, c))
		for i := range 2 {
			dw := make([]float32, c*c*9)
			convolution.Export(got[1+3*i].Value().(*Vector).On, dw)
			same(t, by[1+3*i].Name(), dw, want[1+3*i].Value(), nil)
			for j := 2; j <= 3; j++ {
				same(t, by[j+3*i].Name(), data(got[j+3*i].Value())[:c], want[j+3*i].Value(), nil)
			}
		}
	})
}
