package cpu

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu/isa"
)

// A stage is one operation of a training step, as the engine would call it.
type stage struct {
	name string
	run  func() error
	time time.Duration // the shortest
}

// A chain is a network put together by hand, to time the device alone.
type chain struct {
	b                 testing.TB
	d                 *Device
	batch             int
	forward, backward []stage // backward in reverse order
	parameters        int
	vectors           device.Vector
	gradients         device.Vector
	random            *rand.Rand
}

const chainParameters = 4 << 20

func newChain(b testing.TB, d *Device, batch int) *chain {
	c := &chain{b: b, d: d, batch: batch, random: rand.New(rand.NewPCG(1, 2))}
	c.vectors, c.gradients = must(d.NewVector(chainParameters))(b), must(d.NewVector(chainParameters))(b)
	return c
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(b testing.TB) T {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
		return value
	}
}

func (c *chain) parameter(length int) (weights, gradients device.Vector) {
	from := c.parameters
	c.parameters += roundUp(length, device.Alignment)
	return c.vectors.Slice(from, from+length), c.gradients.Slice(from, from+length)
}

func (c *chain) numbers(count int, deviation, mean float64) []float32 {
	values := make([]float32, count)
	for i := range values {
		values[i] = float32(c.random.NormFloat64()*deviation + mean)
	}
	return values
}

// maps is an activation with its gradient.
type maps struct{ value, gradient device.Activation }

func (c *chain) maps(h, w, channels int) maps {
	return maps{must(c.d.NewActivation(c.batch, h, w, channels))(c.b), must(c.d.NewActivation(c.batch, h, w, channels))(c.b)}
}

// block appends convolution, normalisation, ReLU and pooling or skip. The
// convolution's output becomes its gradient in place. addend is what is to be
// added to the input's gradient, made later.
func (c *chain) block(name string, x maps, out, pool int, first bool, skip device.Activation, addend *device.Activation) maps {
	_, h, w, in := x.value.Shape()
	conv := must(c.d.NewConvolution(device.ConvolutionSpec{
		Batch: c.batch, Height: h, Width: w, In: in, Out: out, Kernel: 3, Stride: 1, Padding: 1, NoInputGradient: first,
	}))(c.b)
	norm := must(c.d.NewNormalization(device.NormalizationSpec{
		Batch: c.batch, Height: h, Width: w, Channels: out, ReLU: true, Pool: pool, Skip: skip != nil, Epsilon: 1e-5, Momentum: 0.9,
	}))(c.b)
	z := must(c.d.NewActivation(c.batch, h, w, out))(c.b)
	y := c.maps(h/pool, w/pool, out)
	weights, dweights := c.parameter(conv.WeightsLen())
	conv.Import(c.numbers(out*in*9, 0.1, 0), weights)
	scale, dscale := c.parameter(norm.ParameterLen())
	shift, dshift := c.parameter(norm.ParameterLen())
	scale.Upload(c.numbers(norm.ParameterLen(), 0.1, 1))
	shift.Upload(c.numbers(norm.ParameterLen(), 0.1, 0))
	mean, variance := must(c.d.NewVector(norm.ParameterLen()))(c.b), must(c.d.NewVector(norm.ParameterLen()))(c.b)
	c.forward = append(c.forward,
		stage{name: name + " conv", run: func() error { return conv.Forward(x.value, weights, z) }},
		stage{name: name + " norm", run: func() error { return norm.Forward(z, scale, shift, mean, variance, skip, y.value) }})
	if !first {
		c.backward = append(c.backward,
			stage{name: name + " conv dx", run: func() error {
				if addend != nil {
					return conv.BackwardInput(z, weights, *addend, x.gradient)
				}
				return conv.BackwardInput(z, weights, nil, x.gradient)
			}})
	}
	c.backward = append(c.backward,
		stage{name: name + " conv dw", run: func() error { return conv.BackwardWeights(x.value, z, dweights) }},
		stage{name: name + " norm back", run: func() error {
			return norm.Backward(z, y.value, y.gradient, scale, shift, z, dscale, dshift)
		}})
	return y
}

func (c *chain) residual(name string, x maps) maps {
	_, _, _, channels := x.value.Shape()
	var y maps
	a := c.block(name+"a", x, channels, 1, false, nil, &y.gradient)
	y = c.block(name+"b", a, channels, 1, false, x.value, nil)
	return y
}

func (c *chain) head(x maps) {
	_, h, w, channels := x.value.Shape()
	dropped := c.maps(h, w, channels)
	drop := must(c.d.NewDropout(device.DropoutSpec{Batch: c.batch, Height: h, Width: w, Channels: channels, Rate: 0.5}))(c.b)
	dense := must(c.d.NewDense(device.DenseSpec{Batch: c.batch, Height: h, Width: w, Channels: channels, Out: 2}))(c.b)
	loss := must(c.d.NewCrossEntropy(device.CrossEntropySpec{Batch: c.batch, Classes: 2}))(c.b)
	weights, dweights := c.parameter(dense.WeightsLen())
	dense.Import(c.numbers(2*h*w*channels, 0.02, 0), weights)
	bias, dbias := c.parameter(device.Alignment)
	logits, dlogits, targets := must(c.d.NewVector(2*c.batch))(c.b), must(c.d.NewVector(2*c.batch))(c.b), must(c.d.NewVector(2*c.batch))(c.b)
	soft := make([]float32, 2*c.batch)
	for i := range c.batch {
		soft[2*i+c.random.IntN(2)] = 1
	}
	targets.Upload(soft)
	c.forward = append(c.forward,
		stage{name: "dropout", run: func() error { return drop.Forward(7, x.value, dropped.value) }},
		stage{name: "dense", run: func() error { return dense.Forward(dropped.value, weights, bias, logits) }},
		stage{name: "loss", run: func() error { _, err := loss.Loss(logits, targets); return err }})
	c.backward = append(c.backward,
		stage{name: "dropout back", run: func() error { return drop.Backward(7, dropped.gradient, x.gradient) }},
		stage{name: "dense back", run: func() error {
			return dense.Backward(dropped.value, weights, dlogits, dropped.gradient, dweights, dbias)
		}},
		stage{name: "loss back", run: func() error { return loss.Backward(logits, targets, dlogits) }})
}

func (c *chain) finish(images device.Activation) []stage {
	_, h, w, channels := images.Shape()
	pixels := c.numbers(c.batch*h*w*channels, 1, 0)
	length := c.parameters
	optimizer := must(c.d.NewOptimizer(device.OptimizerSpec{
		Name: "sgd", Length: length, Momentum: 0.9, Decayed: make([]bool, length/device.Alignment),
	}))(c.b)
	weights, gradients := c.vectors.Slice(0, length), c.gradients.Slice(0, length)
	all := append([]stage{{name: "upload", run: func() error { images.Upload(pixels); return nil }}}, c.forward...)
	for i := len(c.backward) - 1; i >= 0; i-- {
		all = append(all, c.backward[i])
	}
	return append(all, stage{name: "optimizer", run: func() error { return optimizer.Step(1, 0.01, weights, gradients) }})
}

// fourBlocks is the network conv 3×3, normalisation, ReLU, 2×2 pooling with
// 32, 64, 128, 256 channels, dropout, dense.
func fourBlocks(b testing.TB, d *Device, batch int) (*chain, []stage) {
	c := newChain(b, d, batch)
	images := maps{value: must(c.d.NewActivation(batch, 64, 64, 3))(b)}
	x := images
	for i, channels := range []int{32, 64, 128, 256} {
		x = c.block([]string{"1", "2", "3", "4"}[i], x, channels, 2, i == 0, nil, nil)
	}
	c.head(x)
	return c, c.finish(images.value)
}

// residualNet is conv 32, pool, then three times conv, pool, residual block
// with 64, 128, 256 channels, global maximum, dense.
func residualNet(b testing.TB, d *Device, batch int) (*chain, []stage) {
	c := newChain(b, d, batch)
	images := maps{value: must(c.d.NewActivation(batch, 64, 64, 3))(b)}
	x := c.block("1", images, 32, 2, true, nil, nil)
	for i, channels := range []int{64, 128, 256} {
		name := []string{"2", "3", "4"}[i]
		x = c.block(name, x, channels, 2, false, nil, nil)
		x = c.residual(name+"r", x)
	}
	_, h, w, channels := x.value.Shape()
	y := c.maps(1, 1, channels)
	pool := must(c.d.NewGlobalPool(device.GlobalPoolSpec{Batch: batch, Height: h, Width: w, Channels: channels}))(b)
	c.forward = append(c.forward, stage{name: "global pool", run: func() error { return pool.Forward(x.value, y.value) }})
	c.backward = append(c.backward, stage{name: "global pool back", run: func() error {
		return pool.Backward(x.value, y.value, y.gradient, x.gradient)
	}})
	c.head(y)
	return c, c.finish(images.value)
}

func step(b testing.TB, all []stage) {
	for i := range all {
		if err := all[i].run(); err != nil {
			b.Fatalf("%s: %v", all[i].name, err)
		}
	}
}

// Neither timing nor the number of threads changes a digit of what is learnt.
func TestStepsAreTheSameWithAnyThreads(t *testing.T) {
	for name, network := range map[string]func(testing.TB, *Device, int) (*chain, []stage){"four blocks": fourBlocks, "residual": residualNet} {
		for _, set := range sets() {
			var first []float32
			for _, threads := range []int{1, 2, 2, 16} {
				c, all := network(t, openTest(t, threads, set), 5)
				for range 2 {
					step(t, all)
				}
				learnt := values(c.vectors.Slice(0, c.parameters))
				if first == nil {
					first = learnt
				}
				if !bytes.Equal(bits(learnt), bits(first)) {
					t.Errorf("%s, %s: %d threads learn something else than one", name, set, threads)
				}
			}
		}
	}
}

func benchmarkStep(b *testing.B, network func(testing.TB, *Device, int) (*chain, []stage), batch int) {
	c, all := network(b, openTest(b, 0, isa.Detect()), batch)
	for range 3 {
		step(b, all)
	}
	c.d.wait()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		step(b, all)
	}
	c.d.wait()
	b.StopTimer()
	b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "images/s")
	// Once more, waiting behind each operation.
	for round := range 20 {
		for i := range all {
			start := time.Now()
			if err := all[i].run(); err != nil {
				b.Fatal(err)
			}
			c.d.wait()
			if took := time.Since(start); round == 0 || took < all[i].time {
				all[i].time = took
			}
		}
	}
	if b.N > 1 && testing.Verbose() {
		total := time.Duration(0)
		for i := range all {
			total += all[i].time
			b.Logf("%-18s %7.3f ms", all[i].name, all[i].time.Seconds()*1000)
		}
		b.Logf("sum of the shortest %7.3f ms, %.0f images/s", total.Seconds()*1000, float64(batch)/total.Seconds())
	}
}

func BenchmarkStepFourBlocks(b *testing.B) { benchmarkStep(b, fourBlocks, 64) }
func BenchmarkStepResidual(b *testing.B)   { benchmarkStep(b, residualNet, 128) }
