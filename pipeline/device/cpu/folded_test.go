package cpu

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/reference"
)

// A foldable is a convolution and a normalisation behind it with parameters
// that are far from the usual 1 and 0.
type foldable struct {
	convolution                     device.Convolution
	normalization                   device.Normalization
	w, scale, shift, mean, variance device.Vector
	x, skip, y                      device.Activation
}

func newFoldable(t *testing.T, d device.Device, c device.ConvolutionSpec, n device.NormalizationSpec, seed uint64) foldable {
	random := rand.New(rand.NewPCG(seed, 8))
	vector := func(length, real int, value func() float32) device.Vector {
		v := must(d.NewVector(length))(t)
		all := make([]float32, length)
		for i := range real {
			all[i] = value()
		}
		v.Upload(all)
		return v
	}
	any := func() float32 { return float32(random.NormFloat64()) }
	positive := func() float32 { return 0.1 + random.Float32() }
	f := foldable{convolution: must(d.NewConvolution(c))(t), normalization: must(d.NewNormalization(n))(t)}
	f.w = must(d.NewVector(f.convolution.WeightsLen()))(t)
	f.convolution.Import(randoms(c.Out*c.In*c.Kernel*c.Kernel), f.w)
	length := f.normalization.ParameterLen()
	f.scale, f.shift = vector(length, c.Out, any), vector(length, c.Out, any)
	f.mean, f.variance = vector(length, c.Out, any), vector(length, c.Out, positive)
	f.x, f.y = upload(t, d, c.Batch, c.Height, c.Width, c.In), must(d.NewActivation(n.Batch, n.Height/n.Pool, n.Width/n.Pool, n.Channels))(t)
	if n.Skip {
		f.skip = upload(t, d, n.Batch, n.Height, n.Width, n.Channels)
	}
	return f
}

// apart runs the two operations one after the other.
func (f foldable) apart(t *testing.T, d device.Device) []float32 {
	n, h, w, _ := f.x.Shape()
	_, _, _, out := f.y.Shape()
	z := must(d.NewActivation(n, h, w, out))(t)
	must(0, f.convolution.Forward(f.x, f.w, z))(t)
	must(0, f.normalization.Infer(z, f.scale, f.shift, f.mean, f.variance, f.skip, f.y))(t)
	return download(f.y)
}

// The folded operation against the reference's convolution and normalisation,
// to 5e-6 of the norm: every kind of pooling, sides that 4 and the pooling do
// not divide, incomplete blocks of channels.
func TestFoldedAgainstReference(t *testing.T) {
	for _, c := range []struct {
		batch, height, width, in, out, pool int
		relu, skip                          bool
	}{
		{2, 64, 64, 3, 32, 2, true, false},
		{3, 13, 29, 3, 48, 3, true, false},
		{1, 9, 5, 3, 16, 1, false, false},
		{3, 16, 16, 32, 64, 2, true, false},
		{2, 8, 12, 64, 64, 1, true, true},
		{2, 7, 9, 20, 40, 1, false, true},
		{3, 13, 11, 32, 24, 2, false, false},
		{1, 18, 15, 16, 16, 4, true, false},
		{5, 6, 6, 48, 32, 1, true, false},
	} {
		convolution := device.ConvolutionSpec{
			Batch: c.batch, Height: c.height, Width: c.width, In: c.in, Out: c.out, Kernel: 3, Stride: 1, Padding: 1,
			NoInputGradient: c.in == 3, Inference: true,
		}
		normalization := device.NormalizationSpec{
			Batch: c.batch, Height: c.height, Width: c.width, Channels: c.out, ReLU: c.relu, Pool: c.pool, Skip: c.skip, Epsilon: 1e-3, Inference: true,
		}
		for _, set := range sets() {
			t.Run(fmt.Sprintf("%s %+v", set, c), func(t *testing.T) {
				d := openTest(t, 2, set)
				f := newFoldable(t, d, convolution, normalization, 1)
				operation := must(d.Fold(f.convolution, f.normalization))(t)
				if operation == nil {
					t.Fatal("not folded")
				}
				if err := operation.Infer(f.x, f.skip, f.y); err == nil {
					t.Error("inferred without weights")
				}
				// The second parameters must leave nothing of the first.
				other := newFoldable(t, d, convolution, normalization, 2)
				must(0, operation.Set(other.w, other.scale, other.shift, other.mean, other.variance))(t)
				must(0, operation.Set(f.w, f.scale, f.shift, f.mean, f.variance))(t)
				must(0, operation.Infer(f.x, f.skip, f.y))(t)
				want := newFoldable(t, reference.New(), convolution, normalization, 1).apart(t, reference.New())
				if e := distance(download(f.y), want); !(e <= 5e-6) {
					t.Errorf("differs by %.1e of the norm", e)
				}
			})
		}
	}
}

// A folded operation's output is the same with any number of threads, more than
// there are blocks of tiles included.
func TestFoldedIsTheSameWithAnyThreads(t *testing.T) {
	for _, in := range []int{3, 96} {
		convolution := device.ConvolutionSpec{Batch: 3, Height: 10, Width: 6, In: in, Out: 80, Kernel: 3, Stride: 1, Padding: 1, NoInputGradient: in == 3, Inference: true}
		normalization := device.NormalizationSpec{Batch: 3, Height: 10, Width: 6, Channels: 80, ReLU: true, Pool: 2, Epsilon: 1e-3, Inference: true}
		for _, set := range sets() {
			var first []float32
			for _, threads := range []int{1, 2, 16} {
				d := openTest(t, threads, set)
				f := newFoldable(t, d, convolution, normalization, 1)
				operation := must(d.Fold(f.convolution, f.normalization))(t)
				must(0, operation.Set(f.w, f.scale, f.shift, f.mean, f.variance))(t)
				must(0, operation.Infer(f.x, f.skip, f.y))(t)
				if first == nil {
					first = download(f.y)
				}
				if !bytes.Equal(bits(download(f.y)), bits(first)) {
					t.Errorf("%s, %d channels: another output with %d threads", set, in, threads)
				}
			}
		}
	}
}

// Where no own kernel can do both, there is nothing to fold, and what was made
// for training is refused.
func TestNotFolded(t *testing.T) {
	d := openTest(t, 1, sets()[0])
	for name, edit := range map[string]func(*device.ConvolutionSpec, *device.NormalizationSpec){
		"pooling by three":     func(_ *device.ConvolutionSpec, n *device.NormalizationSpec) { n.Pool = 3 },
		"another shape":        func(_ *device.ConvolutionSpec, n *device.NormalizationSpec) { n.Width = 6 },
		"a kernel of oneDNN's": func(c *device.ConvolutionSpec, _ *device.NormalizationSpec) { c.Kernel, c.Padding = 5, 2 },
		"for training":         func(c *device.ConvolutionSpec, _ *device.NormalizationSpec) { c.Inference = false },
	} {
		c := device.ConvolutionSpec{Batch: 4, Height: 12, Width: 12, In: 32, Out: 32, Kernel: 3, Stride: 1, Padding: 1, Inference: true}
		n := device.NormalizationSpec{Batch: 4, Height: 12, Width: 12, Channels: 32, Pool: 1, Inference: true}
		edit(&c, &n)
		operation, err := d.Fold(must(d.NewConvolution(c))(t), must(d.NewNormalization(n))(t))
		if operation != nil || (err != nil) != (name == "for training") {
			t.Errorf("%s: %v, %v", name, operation, err)
		}
	}
}
