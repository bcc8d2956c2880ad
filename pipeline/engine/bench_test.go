package engine

import (
	"testing"
	"time"

	"catdog/pipeline/device"
	"catdog/pipeline/device/reference"
	"catdog/pipeline/network"
)

// fourBlocks is a plain network of 3×3 convolutions, each followed by
// normalisation, ReLU and 2×2 pooling: 397,090 parameters.
func fourBlocks() *network.Description {
	b := newBoard(64, 64, 2)
	for _, channels := range []int{32, 64, 128, 256} {
		b.block(channels, 2)
	}
	b.dropout(0.5)
	b.dense()
	return &b.Description
}

// residualNet has 1,939,490 parameters.
func residualNet() *network.Description {
	b := newBoard(64, 64, 2)
	b.block(32, 2)
	for _, channels := range []int{64, 128, 256} {
		b.block(channels, 2)
		b.residual()
	}
	b.globalPool(false)
	b.dense()
	return &b.Description
}

// BenchmarkStep reports images/s of forward, backward and update.
func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name    string
		network *network.Description
		batch   int
	}{{"four blocks", fourBlocks(), 64}, {"residual", residualNet(), 128}} {
		b.Run(c.name, func(b *testing.B) { measure(b, c.network, processor(b), c.batch) })
	}
}

// BenchmarkOverhead is a step in which the device does nothing: what gorgonia
// and the engine cost.
func BenchmarkOverhead(b *testing.B) {
	b.Run("four blocks", func(b *testing.B) { measure(b, fourBlocks(), idle{reference.New()}, 64) })
	b.Run("residual", func(b *testing.B) { measure(b, residualNet(), idle{reference.New()}, 128) })
}

func measure(b *testing.B, n *network.Description, d device.Device, size int) {
	m := build(b, n, d, options(size))
	set(b, m, n.Initial(1))
	images, targets := batch(n, size, 1)
	number := 0
	run := func() {
		number++
		if _, _, err := m.Step(number, uint64(number), 1e-3, images, targets); err != nil {
			b.Fatal(err)
		}
	}
	run()
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	for range b.N {
		run()
	}
	b.ReportMetric(float64(b.N*size)/time.Since(start).Seconds(), "images/s")
}

// Steps and predictions allocate nothing, whether weights change between them
// or not. (The first ones do, and the first after a change between raw and
// average weights: gorgonia's tape machine runs those.)
func TestNothingIsAllocated(t *testing.T) {
	n := fourBlocks()
	m := build(t, n, processor(t), options(4))
	images, targets := batch(n, 4, 1)
	logits := make([]float32, len(targets))
	step := func() {
		if _, _, err := m.Step(1, 1, 1e-3, images, targets); err != nil {
			t.Fatal(err)
		}
	}
	predict := func() {
		if err := m.Predict(Average, images, logits); err != nil {
			t.Fatal(err)
		}
	}
	step()
	predict()
	for what, run := range map[string]func(){"a step": step, "a prediction": predict, "both": func() { step(); predict() }} {
		if count := testing.AllocsPerRun(5, run); count != 0 {
			t.Errorf("%s allocates %g objects", what, count)
		}
	}
}

// idle is a device whose operations compute nothing.
type idle struct{ device.Device }

func (idle) NewActivation(n, h, w, c int) (device.Activation, error) {
	return &idleActivation{n, h, w, c}, nil
}
func (i idle) NewConvolution(s device.ConvolutionSpec) (device.Convolution, error) {
	c, err := i.Device.NewConvolution(s)
	return idleConvolution{c}, err
}
func (i idle) NewNormalization(s device.NormalizationSpec) (device.Normalization, error) {
	n, err := i.Device.NewNormalization(s)
	return idleNormalization{n}, err
}
func (idle) NewGlobalPool(device.GlobalPoolSpec) (device.GlobalPool, error) {
	return idleGlobalPool{}, nil
}
func (idle) NewDropout(device.DropoutSpec) (device.Dropout, error) { return idleDropout{}, nil }
func (i idle) NewDense(s device.DenseSpec) (device.Dense, error) {
	d, err := i.Device.NewDense(s)
	return idleDense{d}, err
}
func (idle) NewCrossEntropy(device.CrossEntropySpec) (device.CrossEntropy, error) {
	return idleCrossEntropy{}, nil
}
func (i idle) NewOptimizer(s device.OptimizerSpec) (device.Optimizer, error) {
	o, err := i.Device.NewOptimizer(s)
	return idleOptimizer{o}, err
}

type idleActivation struct{ n, h, w, c int }

func (a idleActivation) Shape() (n, h, w, c int) { return a.n, a.h, a.w, a.c }
func (idleActivation) Upload([]float32)          {}
func (idleActivation) Download([]float32)        {}

type idleConvolution struct{ device.Convolution }

func (idleConvolution) Forward(x device.Activation, w device.Vector, y device.Activation) error {
	return nil
}
func (idleConvolution) BackwardInput(dy device.Activation, w device.Vector, addend, dx device.Activation) error {
	return nil
}
func (idleConvolution) BackwardWeights(x, dy device.Activation, dw device.Vector) error { return nil }

type idleNormalization struct{ device.Normalization }

func (idleNormalization) Forward(x device.Activation, scale, shift, mean, variance device.Vector, skip, y device.Activation) error {
	return nil
}
func (idleNormalization) Backward(x, y, dy device.Activation, scale, shift device.Vector, dx device.Activation, dscale, dshift device.Vector) error {
	return nil
}

type idleGlobalPool struct{}

func (idleGlobalPool) Forward(x, y device.Activation) error          { return nil }
func (idleGlobalPool) Backward(x, y, dy, dx device.Activation) error { return nil }

type idleDropout struct{}

func (idleDropout) Forward(seed uint64, x, y device.Activation) error    { return nil }
func (idleDropout) Backward(seed uint64, dy, dx device.Activation) error { return nil }

type idleDense struct{ device.Dense }

func (idleDense) Forward(x device.Activation, w, bias, y device.Vector) error { return nil }
func (idleDense) Backward(x device.Activation, w, dy device.Vector, dx device.Activation, dw, dbias device.Vector) error {
	return nil
}

type idleCrossEntropy struct{}

func (idleCrossEntropy) Loss(logits, targets device.Vector) (float32, error)   { return 0, nil }
func (idleCrossEntropy) Backward(logits, targets, dlogits device.Vector) error { return nil }

type idleOptimizer struct{ device.Optimizer }

func (idleOptimizer) Step(step int, rate float32, weights, gradients device.Vector) error {
	return nil
}
