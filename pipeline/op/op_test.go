package op

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu"
	"catdog/pipeline/device/devicetest"
	"catdog/pipeline/device/reference"
)

// Every test builds the same computation twice, from this package's Ops and
// from gorgonia's own in float64, differentiates both with gorgonia.Grad and
// compares results and gradients. tolerance is of the Euclidean norm.
const tolerance = 1e-5

func onDevices(t *testing.T, test func(t *testing.T, d device.Device)) {
	processor, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer processor.Close()
	for name, d := range map[string]device.Device{"reference": reference.New(), "cpu": processor} {
		t.Run(name, func(t *testing.T) { test(t, d) })
	}
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func numbers(seed uint64, count int) []float32 {
	random := rand.New(rand.NewPCG(seed, 1))
	values := make([]float32, count)
	for i := range values {
		values[i] = float32(random.NormFloat64())
	}
	return values
}

// same compares float32 values with those of a stock tensor; order maps an
// index of the former to one of the latter, nil is the identity.
func same(t *testing.T, what string, got []float32, stock gorgonia.Value, order func(i int) int) {
	t.Helper()
	want := stock.Data().([]float64)
	difference, norm := 0.0, 0.0
	for i, v := range got {
		j := i
		if order != nil {
			j = order(i)
		}
		difference += (float64(v) - want[j]) * (float64(v) - want[j])
		norm += want[j] * want[j]
	}
	if e := math.Sqrt(difference / norm); !(e <= tolerance) {
		t.Errorf("%s: differs from gorgonia's own by %.2g of its norm", what, e)
	}
}

// A rig is a graph of this package's Ops on a device.
type rig struct {
	*Graph
	t      *testing.T
	device device.Device
}

func newRig(t *testing.T, d device.Device) *rig {
	return &rig{&Graph{ExprGraph: gorgonia.NewGraph(), Buffers: NewBuffers(d)}, t, d}
}

func (r *rig) activation(name string, values []float32, n, h, w, c int) *gorgonia.Node {
	r.t.Helper()
	a := must[device.Activation](r.t)(r.device.NewActivation(n, h, w, c))
	a.Upload(values)
	return r.Input(name, NewActivation(a))
}

func (r *rig) vector(length int) device.Vector {
	r.t.Helper()
	return must[device.Vector](r.t)(r.device.NewVector((length + device.Alignment - 1) / device.Alignment * device.Alignment))
}

// plain makes a one-dimensional parameter.
func (r *rig) plain(name string, values []float32) Parameter {
	r.t.Helper()
	v := r.vector(len(values))
	padded := make([]float32, v.Len())
	copy(padded, values)
	v.Upload(padded)
	return Parameter{r.Input(name, NewVector(v, len(values))), r.vector(len(values))}
}

// imported makes a parameter whose layout is the device's.
func (r *rig) imported(name string, values []float32, length int, layout interface {
	Import([]float32, device.Vector)
}, shape ...int) Parameter {
	r.t.Helper()
	v := r.vector(length)
	layout.Import(values, v)
	return Parameter{r.Input(name, NewVector(v, shape...)), r.vector(length)}
}

// weighted is the cost Σ y·weights: its gradient by y is weights.
type weighted struct{ operation }

func (weighted) DiffWRT(int) []bool { return []bool{true, false} }

func (weighted) SymDiff(inputs gorgonia.Nodes, output, gradient *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{inputs[1], nil}, nil
}

// gradients differentiates Σ y·weights, runs the graph and returns what y was
// before the backward pass used its buffer.
func (r *rig) gradients(y *gorgonia.Node, weights []float32, by ...*gorgonia.Node) (result []float32, gradients gorgonia.Nodes) {
	r.t.Helper()
	s := y.Shape()
	upstream := r.activation("upstream", weights, s[0], s[1], s[2], s[3])
	cost := must[*gorgonia.Node](r.t)(gorgonia.ApplyOp(&weighted{operation{
		graph: r.Graph, name: "weighted", inputs: []input{floats(s...), floats(s...)}, result: gorgonia.NewF32(0),
		run: func(in []gorgonia.Value) error {
			result = data(in[0])
			return nil
		},
	}}, y, upstream))
	gradients = must[gorgonia.Nodes](r.t)(gorgonia.Grad(cost, by...))
	r.run()
	return result, gradients
}

func (r *rig) run() {
	r.t.Helper()
	vm := gorgonia.NewTapeMachine(r.ExprGraph)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		r.t.Fatal(err)
	}
}

func data(v gorgonia.Value) []float32 { return v.Data().([]float32) }

// A stock graph is of gorgonia's own Ops, in float64 and NCHW.
type stock struct {
	*gorgonia.ExprGraph
	t *testing.T
}

func newStock(t *testing.T) *stock { return &stock{gorgonia.NewGraph(), t} }

func (s *stock) input(name string, values []float32, order func(i int) int, shape ...int) *gorgonia.Node {
	backing := make([]float64, len(values))
	for i, v := range values {
		j := i
		if order != nil {
			j = order(i)
		}
		backing[j] = float64(v)
	}
	v := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(backing))
	return gorgonia.NewTensor(s.ExprGraph, tensor.Float64, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithValue(v))
}

func (s *stock) image(name string, values []float32, n, h, w, c int) *gorgonia.Node {
	return s.input(name, values, nchw(h, w, c), n, c, h, w)
}

// nchw maps an index in NHWC order to one in NCHW order.
func nchw(h, w, c int) func(i int) int {
	return func(i int) int {
		channel, column, row, n := i%c, i/c%w, i/c/w%h, i/c/w/h
		return ((n*c+channel)*h+row)*w + column
	}
}

// gradients is rig.gradients for y in NCHW, which is read before gorgonia
// computes the product with it in its place.
func (s *stock) gradients(y *gorgonia.Node, weights []float32, by ...*gorgonia.Node) (result gorgonia.Value, gradients gorgonia.Nodes) {
	s.t.Helper()
	node := must[*gorgonia.Node](s.t)
	shape := y.Shape()
	upstream := s.image("upstream", weights, shape[0], shape[2], shape[3], shape[1])
	cost := node(gorgonia.Sum(node(gorgonia.HadamardProd(y, upstream))))
	gradients = must[gorgonia.Nodes](s.t)(gorgonia.Grad(cost, by...))
	gorgonia.Read(y, &result)
	vm := gorgonia.NewTapeMachine(s.ExprGraph)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		s.t.Fatal(err)
	}
	return result, gradients
}

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

// The dense layer with the loss behind it, whose stock form is put together
// from matrix product, softmax and logarithm.
func TestDenseAndCrossEntropy(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Device) {
		const n, h, w, c, out = 3, 2, 3, 5, 4
		const in = h * w * c
		x, weights, biases := numbers(1, n*in), numbers(2, out*in), numbers(3, out)
		targets := make([]float32, n*out)
		for i := range targets {
			targets[i] = 0.05
			if i%out == i/out {
				targets[i] = 0.85
			}
		}

		s, node := newStock(t), must[*gorgonia.Node](t)
		sx, sw, sb := s.input("x", x, nil, n, in), s.input("w", weights, nil, out, in), s.input("b", biases, nil, 1, out)
		product := node(gorgonia.Mul(sx, node(gorgonia.Transpose(sw, 1, 0))))
		slogits := node(gorgonia.BroadcastAdd(product, sb, nil, []byte{0}))
		terms := node(gorgonia.HadamardProd(node(gorgonia.Log(node(gorgonia.SoftMax(slogits)))), s.input("targets", targets, nil, n, out)))
		scost := node(gorgonia.Neg(node(gorgonia.Div(node(gorgonia.Sum(terms)), gorgonia.NewConstant(float64(n))))))
		want := must[gorgonia.Nodes](t)(gorgonia.Grad(scost, sx, sw, sb))
		vm := gorgonia.NewTapeMachine(s.ExprGraph)
		defer vm.Close()
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}

		r := newRig(t, d)
		spec := device.DenseSpec{Batch: n, Height: h, Width: w, Channels: c, Out: out}
		op := must[device.Dense](t)(d.NewDense(spec))
		lossSpec := device.CrossEntropySpec{Batch: n, Classes: out}
		loss := must[device.CrossEntropy](t)(d.NewCrossEntropy(lossSpec))
		rx, rw, rb := r.activation("x", x, n, h, w, c), r.imported("w", weights, op.WeightsLen(), op, out, in), r.plain("b", biases)
		rtargets := must[device.Vector](t)(d.NewVector(n * out))
		rtargets.Upload(targets)
		logits := node(r.Dense("d", spec, op, rx, rw, rb))
		cost := node(r.CrossEntropy(lossSpec, loss, logits, r.Input("targets", NewVector(rtargets, n, out))))
		got := must[gorgonia.Nodes](t)(gorgonia.Grad(cost, rx, rw.Node, rb.Node))
		r.run()

		same(t, "logits", data(logits.Value()), slogits.Value(), nil)
		if got, want := float64(cost.Value().Data().(float32)), scost.Value().Data().(float64); math.Abs(got-want) > tolerance*want {
			t.Errorf("loss %g, gorgonia's own %g", got, want)
		}
		same(t, "input's gradient", data(got[0].Value()), want[0].Value(), nil)
		dw := make([]float32, len(weights))
		op.Export(got[1].Value().(*Vector).On, dw)
		same(t, "weights' gradient", dw, want[1].Value(), nil)
		same(t, "bias' gradient", data(got[2].Value())[:out], want[2].Value(), nil)
	})
}

// A node of the wrong shape is refused when the graph is built.
func TestShapesAreChecked(t *testing.T) {
	d := reference.New()
	r := newRig(t, d)
	spec := device.ConvolutionSpec{Batch: 2, Height: 5, Width: 5, In: 3, Out: 4, Kernel: 3, Stride: 1, Padding: 1}
	op := must[device.Convolution](t)(d.NewConvolution(spec))
	x := r.activation("x", make([]float32, 2*5*6*3), 2, 5, 6, 3)
	w := r.imported("w", make([]float32, 4*3*9), op.WeightsLen(), op, 4, 3, 3, 3)
	_, err := r.Convolution("c", spec, op, x, w, nil)
	if err == nil || !strings.Contains(err.Error(), "convolution c: input 0 has shape (2, 5, 6, 3), want (2, 5, 5, 3)") {
		t.Errorf("got error %v", err)
	}
}

// failing is a device's operation that reports an error.
type failing struct{ device.GlobalPool }

func (failing) Forward(x, y device.Activation) error { return errors.New("out of order") }

// A device's error comes out of the tape machine, and in plain words of Err.
func TestErrorsOfTheDevice(t *testing.T) {
	r := newRig(t, reference.New())
	spec := device.GlobalPoolSpec{Batch: 1, Height: 2, Width: 2, Channels: 3}
	x := r.activation("x", make([]float32, 12), 1, 2, 2, 3)
	must[*gorgonia.Node](t)(r.GlobalPool("p", spec, failing{}, x))
	vm := gorgonia.NewTapeMachine(r.ExprGraph)
	defer vm.Close()
	if err := vm.RunAll(); err == nil {
		t.Error("the tape machine reports no error")
	}
	if want := "global pool p: out of order"; r.Err == nil || r.Err.Error() != want {
		t.Errorf("got error %v, want %s", r.Err, want)
	}
}

func TestBuffers(t *testing.T) {
	b := NewBuffers(reference.New())
	get := func(c int) device.Activation { return must[device.Activation](t)(b.Get(1, 2, 3, c)) }
	first, second := get(4), get(4)
	if first == second {
		t.Fatal("one buffer was lent twice")
	}
	b.Put(first)
	b.Put(first)
	if get(5) == first {
		t.Error("a buffer was lent for another shape")
	}
	if get(4) != first {
		t.Error("a free buffer was not used again")
	}
	if a := get(4); a == first || a == second {
		t.Error("putting a buffer back twice lent it twice")
	}
	b.PutAll()
	seen := map[device.Activation]bool{}
	for range 3 {
		seen[get(4)] = true
	}
	if len(seen) != 3 || !seen[first] || !seen[second] {
		t.Error("after PutAll the buffers are not all free, once each")
	}
}
