// Package devicetest compares a device with the reference, operation by
// operation, on small and odd shapes.
package devicetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/reference"
)

// Conform checks that a device's operations give what the reference's give:
// for each output the Euclidean norm of the difference is at most tolerance
// times the norm of the reference's output.
func Conform(t *testing.T, d device.Device, tolerance float64) {
	same := func(v float32) float32 { return v }
	conform(t, conformance{t, d, tolerance, same, same})
}

// BFloat16Tolerance is Conform's tolerance for a device whose activations are
// bfloat16. One rounding is off by at most 2⁻⁸ of a value, and by a third of
// that in the mean; an operation rounds its result, and at most one value on
// the way to it.
const BFloat16Tolerance = 1.0 / 256

// ConformBFloat16 is Conform for a device whose activations are bfloat16. All
// inputs are such numbers, so that both devices take the same ReLUs and maxima;
// for joined operations what is between is, too. A device that only multiplies
// such numbers keeps a float32's tolerance.
func ConformBFloat16(t *testing.T, d device.Device, tolerance float64) {
	conform(t, conformance{t, d, tolerance, bfloat16, func(v float32) float32 {
		// A sum of 27 products is a whole number up to 243: 8 binary digits.
		return float32(math.Round(max(-3, min(3, float64(v)))))
	}})
}

// bfloat16 rounds to the nearest such number.
func bfloat16(v float32) float32 {
	bits := math.Float32bits(v)
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}

func conform(t *testing.T, c conformance) {
	t.Run("memory", c.memory)
	t.Run("convolution", c.convolution)
	t.Run("normalization", c.normalization)
	if _, joins := c.device.(device.Joiner); joins {
		t.Run("joined", c.joined)
	}
	t.Run("global pool", c.globalPool)
	t.Run("dropout", c.dropout)
	t.Run("dense", c.dense)
	t.Run("cross-entropy", c.crossEntropy)
	t.Run("optimizer", c.optimizer)
}

type conformance struct {
	t         *testing.T
	device    device.Device
	tolerance float64
	// round makes a random input one that the device can hold.
	round func(float32) float32
	// factor makes it one for an input or a weight of a 3×3 convolution of three
	// channels whose output the device can hold as well.
	factor func(float32) float32
}

// compare runs an experiment on the reference and on the device, with the same
// random numbers, and compares what it recorded.
func (c conformance) compare(t *testing.T, name string, experiment func(*lab)) {
	t.Run(name, func(t *testing.T) {
		want, got := newLab(t, reference.New(), c.round), newLab(t, c.device, c.round)
		experiment(want)
		experiment(got)
		for i, w := range want.outputs {
			if d := distance(got.outputs[i].values, w.values); !(d <= c.tolerance) {
				t.Errorf("%s: differs from the reference by %.2g of its norm, want at most %.2g", w.name, d, c.tolerance)
			}
		}
	})
}

// distance is ‖a−b‖/‖b‖, or ‖a‖ where b is zero.
func distance(a, b []float32) float64 {
	difference, norm := 0.0, 0.0
	for i := range b {
		d := float64(a[i]) - float64(b[i])
		difference += d * d
		norm += float64(b[i]) * float64(b[i])
	}
	if norm == 0 {
		norm = 1
	}
	return math.Sqrt(difference / norm)
}

// A lab is a device with a source of random inputs and a record of outputs.
type lab struct {
	device.Device
	t       *testing.T
	random  *rand.Rand
	round   func(float32) float32
	outputs []output
}

type output struct {
	name   string
	values []float32
}

func newLab(t *testing.T, d device.Device, round func(float32) float32) *lab {
	return &lab{Device: d, t: t, random: rand.New(rand.NewPCG(1, 2)), round: round}
}

func (l *lab) check(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) numbers(length int) []float32 {
	values := make([]float32, length)
	for i := range values {
		values[i] = l.round(float32(l.random.NormFloat64()))
	}
	return values
}

func (l *lab) activation(n, h, w, ch int) device.Activation {
	l.t.Helper()
	a, err := l.NewActivation(n, h, w, ch)
	l.check(err)
	a.Upload(l.numbers(n * h * w * ch))
	return a
}

// vector makes a vector that is a slice of a longer one, as parameters are.
func (l *lab) vector(values []float32, length int) device.Vector {
	l.t.Helper()
	whole, err := l.NewVector(length + 2*device.Alignment)
	l.check(err)
	v := whole.Slice(device.Alignment, device.Alignment+length)
	padded := make([]float32, length)
	copy(padded, values)
	v.Upload(padded)
	return v
}

func contents(a device.Activation) []float32 {
	n, h, w, c := a.Shape()
	values := make([]float32, n*h*w*c)
	a.Download(values)
	return values
}

func elements(v device.Vector) []float32 {
	values := make([]float32, v.Len())
	v.Download(values)
	return values
}

func (l *lab) record(name string, values []float32) {
	l.outputs = append(l.outputs, output{name, values})
}

// leftovers are values that must be overwritten. They are not random, since
// how many there are differs between devices.
func leftovers(length int) []float32 {
	values := make([]float32, length)
	for i := range values {
		values[i] = float32(i%7) + 1
	}
	return values
}

// importer is what convolutions and dense layers have in common.
type importer interface {
	WeightsLen() int
	Import([]float32, device.Vector)
	Export(device.Vector, []float32)
}

// weights imports random numbers and checks that they come back.
func (l *lab) weights(op importer, count int) device.Vector {
	l.t.Helper()
	if op.WeightsLen()%device.Alignment != 0 || op.WeightsLen() < count {
		l.t.Errorf("WeightsLen is %d for %d weights, want a multiple of %d", op.WeightsLen(), count, device.Alignment)
	}
	plain := l.numbers(count)
	w := l.vector(nil, op.WeightsLen())
	op.Import(plain, w)
	back := l.plain(op, w, count)
	for i := range plain {
		if plain[i] != back[i] {
			l.t.Fatalf("weight %d of %d: imported %g, exported %g", i, count, plain[i], back[i])
		}
	}
	return w
}

// plain exports weights or their gradients and checks that nothing but them
// and zero padding is in the vector.
func (l *lab) plain(op importer, w device.Vector, count int) []float32 {
	l.t.Helper()
	values := make([]float32, count)
	op.Export(w, values)
	again := l.vector(nil, op.WeightsLen())
	op.Import(values, again)
	for i, v := range elements(again) {
		if was := elements(w)[i]; was != v {
			l.t.Fatalf("element %d of %d is %g, after export and import %g: padding must be zero", i, w.Len(), was, v)
		}
	}
	return values
}

func (c conformance) memory(t *testing.T) {
	l := newLab(t, c.device, c.round)
	for _, shape := range [][4]int{{1, 1, 1, 1}, {3, 5, 7, 3}, {2, 4, 3, 17}, {1, 2, 2, 32}} {
		a := l.activation(shape[0], shape[1], shape[2], shape[3])
		want := l.numbers(shape[0] * shape[1] * shape[2] * shape[3])
		a.Upload(want)
		if d := distance(contents(a), want); d > c.tolerance {
			t.Errorf("activation %v: upload and download differ by %.2g", shape, d)
		}
	}
	v, err := c.device.NewVector(3 * device.Alignment)
	l.check(err)
	if d := distance(elements(v), make([]float32, v.Len())); d != 0 {
		t.Error("a new vector is not zero")
	}
	v.Slice(device.Alignment, 2*device.Alignment).Upload(l.numbers(device.Alignment))
	values := elements(v)
	for i, value := range values {
		if (value != 0) != (i/device.Alignment == 1) {
			t.Errorf("element %d is %g after elements %d to %d were set", i, value, device.Alignment, 2*device.Alignment)
		}
	}
}

func (c conformance) convolution(t *testing.T) {
	for _, s := range []device.ConvolutionSpec{
		{Batch: 1, Height: 5, Width: 7, In: 3, Out: 16, Kernel: 3, Stride: 1, Padding: 1, NoInputGradient: true},
		{Batch: 3, Height: 8, Width: 8, In: 3, Out: 32, Kernel: 3, Stride: 1, Padding: 1, NoInputGradient: true},
		{Batch: 3, Height: 9, Width: 6, In: 16, Out: 16, Kernel: 3, Stride: 1, Padding: 1},
		{Batch: 1, Height: 7, Width: 7, In: 5, Out: 19, Kernel: 3, Stride: 2, Padding: 1},
		{Batch: 3, Height: 6, Width: 5, In: 17, Out: 3, Kernel: 1, Stride: 1, Padding: 0},
		{Batch: 1, Height: 6, Width: 7, In: 32, Out: 16, Kernel: 1, Stride: 2, Padding: 0},
		{Batch: 3, Height: 11, Width: 8, In: 4, Out: 6, Kernel: 5, Stride: 1, Padding: 2},
		{Batch: 1, Height: 11, Width: 9, In: 16, Out: 8, Kernel: 5, Stride: 2, Padding: 2},
		{Batch: 3, Height: 13, Width: 13, In: 32, Out: 48, Kernel: 3, Stride: 1, Padding: 1},
		{Batch: 1, Height: 4, Width: 4, In: 16, Out: 32, Kernel: 3, Stride: 1, Padding: 0},
	} {
		name := fmt.Sprintf("%dx%dx%dx%d to %d kernel %d stride %d padding %d",
			s.Batch, s.Height, s.Width, s.In, s.Out, s.Kernel, s.Stride, s.Padding)
		c.compare(t, name, func(l *lab) {
			op, err := l.NewConvolution(s)
			l.check(err)
			count := s.Out * s.In * s.Kernel * s.Kernel
			h, w := s.OutputSize()
			weights := l.weights(op, count)
			x, y := l.activation(s.Batch, s.Height, s.Width, s.In), l.activation(s.Batch, h, w, s.Out)
			l.check(op.Forward(x, weights, y))
			l.record("output", contents(y))

			dy, dw := l.activation(s.Batch, h, w, s.Out), l.vector(leftovers(op.WeightsLen()), op.WeightsLen())
			l.check(op.BackwardWeights(x, dy, dw))
			l.record("weights' gradient", l.plain(op, dw, count))
			if s.NoInputGradient {
				return
			}
			dx, addend := l.activation(s.Batch, s.Height, s.Width, s.In), l.activation(s.Batch, s.Height, s.Width, s.In)
			l.check(op.BackwardInput(dy, weights, nil, dx))
			l.record("input's gradient", contents(dx))
			l.check(op.BackwardInput(dy, weights, addend, dx))
			l.record("input's gradient with an addend", contents(dx))
			l.check(op.BackwardInput(dy, weights, addend, addend))
			l.record("input's gradient added in place", contents(addend))

			forInference := s
			forInference.Inference = true
			inference, err := l.NewConvolution(forInference)
			l.check(err)
			if inference.WeightsLen() != op.WeightsLen() {
				l.t.Fatalf("WeightsLen is %d for inference, %d for training", inference.WeightsLen(), op.WeightsLen())
			}
			l.check(inference.Forward(x, weights, y))
			l.record("output for inference", contents(y))
		})
	}
}

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

// joined compares with the reference's two operations. Batch, Height and Width
// are the convolution's output's.
func (c conformance) joined(t *testing.T) {
	for _, s := range []struct {
		device.NormalizationSpec
		stride int
	}{
		{device.NormalizationSpec{Batch: 3, Height: 9, Width: 8, Channels: 32, ReLU: true, Pool: 1}, 1},
		{device.NormalizationSpec{Batch: 1, Height: 7, Width: 5, Channels: 16, Pool: 1}, 1},
		{device.NormalizationSpec{Batch: 3, Height: 6, Width: 7, Channels: 40, ReLU: true, Pool: 1}, 2},
		{device.NormalizationSpec{Batch: 2, Height: 8, Width: 8, Channels: 32, ReLU: true, Pool: 2}, 1},
		{device.NormalizationSpec{Batch: 3, Height: 9, Width: 7, Channels: 40, ReLU: true, Pool: 2}, 1},
		{device.NormalizationSpec{Batch: 1, Height: 11, Width: 6, Channels: 16, Pool: 2}, 1},
		{device.NormalizationSpec{Batch: 3, Height: 10, Width: 13, Channels: 16, ReLU: true, Pool: 3}, 1},
		{device.NormalizationSpec{Batch: 2, Height: 11, Width: 9, Channels: 32, Pool: 3}, 1},
		{device.NormalizationSpec{Batch: 1, Height: 12, Width: 8, Channels: 40, ReLU: true, Pool: 3}, 1},
		{device.NormalizationSpec{Batch: 5, Height: 37, Width: 70, Channels: 32, ReLU: true, Pool: 2}, 1}, // beyond a tile
	} {
		s.Epsilon, s.Momentum = 1e-3, 0.9
		first := device.ConvolutionSpec{
			Batch: s.Batch, Height: s.Height * s.stride, Width: s.Width * s.stride, In: 3, Out: s.Channels,
			Kernel: 3, Stride: s.stride, Padding: 1, NoInputGradient: true,
		}
		name := fmt.Sprintf("%dx%dx%d to %d stride %d relu %t pool %d", s.Batch, first.Height, first.Width, s.Channels, s.stride, s.ReLU, s.Pool)
		c.compare(t, name, func(l *lab) { l.joined(first, s.NormalizationSpec, c.factor) })
	}
}

func (l *lab) joined(first device.ConvolutionSpec, behind device.NormalizationSpec, factor func(float32) float32) {
	l.t.Helper()
	convolution, err := l.NewConvolution(first)
	l.check(err)
	normalization, err := l.NewNormalization(behind)
	l.check(err)
	var op device.Joined = apart{convolution, normalization}
	if joiner, joins := l.Device.(device.Joiner); joins {
		if op, err = joiner.Join(convolution, normalization); err == nil && op == nil {
			l.t.Skip("not joined")
		}
		l.check(err)
	}
	factors := func(count int, mean float32) []float32 {
		values := l.numbers(count)
		for i := range values {
			values[i] = factor(values[i] + mean)
		}
		return values
	}
	count := first.Out * first.In * first.Kernel * first.Kernel
	w := l.vector(nil, convolution.WeightsLen())
	convolution.Import(factors(count, 0), w)
	length, channels := normalization.ParameterLen(), behind.Channels
	scales := l.numbers(channels)
	scales[2] = -1
	if behind.Pool == 1 { // otherwise maxima get lost beside the shift
		scales[1] = 1e-6
	}
	scale, shift := l.vector(scales, length), l.vector(l.numbers(channels), length)
	mean, variance := l.vector(l.numbers(channels), length), l.vector(l.numbers(channels), length)
	x := l.activation(first.Batch, first.Height, first.Width, first.In)
	between := l.activation(behind.Batch, behind.Height, behind.Width, channels)
	// The second batch shows what is left of the first.
	for _, batch := range []string{"first", "second"} {
		x.Upload(factors(first.Batch*first.Height*first.Width*first.In, 0.5))
		y := l.activation(behind.Batch, behind.Height/behind.Pool, behind.Width/behind.Pool, channels)
		dy := l.activation(behind.Batch, behind.Height/behind.Pool, behind.Width/behind.Pool, channels)
		dw, dscale, dshift := l.vector(leftovers(w.Len()), w.Len()), l.vector(leftovers(length), length), l.vector(leftovers(length), length)
		l.check(op.Forward(x, w, scale, shift, mean, variance, between, y))
		l.check(op.Backward(x, between, y, dy, scale, shift, dw, dscale, dshift))
		l.record(batch+" output", contents(y))
		l.record("running mean of the "+batch, elements(mean)[:channels])
		l.record("running variance of the "+batch, elements(variance)[:channels])
		l.record("weights' gradient of the "+batch, l.plain(convolution, dw, count))
		for name, v := range map[string]device.Vector{"scale": dscale, "shift": dshift} {
			for _, padding := range elements(v)[channels:] {
				if padding != 0 {
					l.t.Errorf("padding of the %s's gradient is %g", name, padding)
				}
			}
		}
		l.record("scale's gradient of the "+batch, elements(dscale)[:channels])
		l.record("shift's gradient of the "+batch, elements(dshift)[:channels])
	}
}

func (c conformance) globalPool(t *testing.T) {
	for _, s := range []device.GlobalPoolSpec{
		{Batch: 3, Height: 3, Width: 5, Channels: 17},
		{Batch: 1, Height: 4, Width: 4, Channels: 16, Average: true},
		{Batch: 3, Height: 1, Width: 1, Channels: 5, Average: true},
	} {
		c.compare(t, fmt.Sprintf("%dx%dx%dx%d average %t", s.Batch, s.Height, s.Width, s.Channels, s.Average), func(l *lab) {
			op, err := l.NewGlobalPool(s)
			l.check(err)
			x := l.activation(s.Batch, s.Height, s.Width, s.Channels)
			// Rounding makes equal maxima likely.
			values := contents(x)
			for i := range values {
				values[i] = float32(math.Round(float64(values[i])))
			}
			x.Upload(values)
			y, dy := l.activation(s.Batch, 1, 1, s.Channels), l.activation(s.Batch, 1, 1, s.Channels)
			dx := l.activation(s.Batch, s.Height, s.Width, s.Channels)
			l.check(op.Forward(x, y))
			l.record("output", contents(y))
			l.check(op.Backward(x, y, dy, dx))
			l.record("input's gradient", contents(dx))
		})
	}
}

func (c conformance) dropout(t *testing.T) {
	for _, s := range []device.DropoutSpec{
		{Batch: 3, Height: 3, Width: 5, Channels: 17, Rate: 0.3},
		{Batch: 1, Height: 1, Width: 1, Channels: 64, Rate: 0.5},
		{Batch: 3, Height: 2, Width: 2, Channels: 16, Rate: 0},
	} {
		c.compare(t, fmt.Sprintf("%dx%dx%dx%d rate %g", s.Batch, s.Height, s.Width, s.Channels, s.Rate), func(l *lab) {
			op, err := l.NewDropout(s)
			l.check(err)
			x, y := l.activation(s.Batch, s.Height, s.Width, s.Channels), l.activation(s.Batch, s.Height, s.Width, s.Channels)
			l.check(op.Forward(7, x, y))
			l.record("output", contents(y))
			l.check(op.Backward(1<<63+5, x, y))
			l.record("input's gradient", contents(y))
		})
	}
}

func (c conformance) dense(t *testing.T) {
	for _, s := range []device.DenseSpec{
		{Batch: 3, Height: 1, Width: 1, Channels: 17, Out: 2},
		{Batch: 1, Height: 3, Width: 2, Channels: 5, Out: 3},
		{Batch: 3, Height: 2, Width: 2, Channels: 32, Out: 16},
		{Batch: 600, Height: 1, Width: 1, Channels: 48, Out: 3},
	} {
		c.compare(t, fmt.Sprintf("%dx%dx%dx%d to %d", s.Batch, s.Height, s.Width, s.Channels, s.Out), func(l *lab) {
			op, err := l.NewDense(s)
			l.check(err)
			count := s.Out * s.Height * s.Width * s.Channels
			weights := l.weights(op, count)
			biasLen := (s.Out + device.Alignment - 1) / device.Alignment * device.Alignment
			bias := l.vector(l.numbers(s.Out), biasLen)
			x := l.activation(s.Batch, s.Height, s.Width, s.Channels)
			y := l.vector(nil, s.Batch*s.Out)
			l.check(op.Forward(x, weights, bias, y))
			l.record("output", elements(y))

			dy := l.vector(l.numbers(s.Batch*s.Out), s.Batch*s.Out)
			dx := l.activation(s.Batch, s.Height, s.Width, s.Channels)
			dw, dbias := l.vector(leftovers(op.WeightsLen()), op.WeightsLen()), l.vector(nil, biasLen)
			l.check(op.Backward(x, weights, dy, dx, dw, dbias))
			l.record("input's gradient", contents(dx))
			l.record("weights' gradient", l.plain(op, dw, count))
			l.record("bias' gradient", elements(dbias))
		})
	}
}

func (c conformance) crossEntropy(t *testing.T) {
	for _, s := range []device.CrossEntropySpec{{Batch: 3, Classes: 2}, {Batch: 1, Classes: 5}, {Batch: 17, Classes: 3}} {
		c.compare(t, fmt.Sprintf("%d of %d classes", s.Batch, s.Classes), func(l *lab) {
			op, err := l.NewCrossEntropy(s)
			l.check(err)
			count := s.Batch * s.Classes
			values, targets := l.numbers(count), make([]float32, count)
			for i := range values {
				// Logits whose exponentials overflow float32.
				values[i] *= 60
				targets[i] = 0.1 / float32(s.Classes)
			}
			for n := range s.Batch {
				targets[n*s.Classes+n%s.Classes] += 0.9
			}
			logits, target, dlogits := l.vector(values, count), l.vector(targets, count), l.vector(nil, count)
			loss, err := op.Loss(logits, target)
			l.check(err)
			l.record("loss", []float32{loss})
			l.check(op.Backward(logits, target, dlogits))
			l.record("gradient", elements(dlogits))
		})
	}
}

func (c conformance) optimizer(t *testing.T) {
	const length = 5 * device.Alignment
	for _, s := range []device.OptimizerSpec{
		{Name: "sgd", Momentum: 0.9},
		{Name: "sgd", Momentum: 0.9, WeightDecay: 0.1, AverageDecay: 0.99},
		{Name: "sgd", AverageDecay: 0.5},
		{Name: "adamw", Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8},
		{Name: "adamw", Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-3, WeightDecay: 0.5, AverageDecay: 0.25},
	} {
		s.Length, s.Decayed = length, []bool{true, false, true, false, false}
		c.compare(t, fmt.Sprintf("%s decay %g average %g", s.Name, s.WeightDecay, s.AverageDecay), func(l *lab) {
			op, err := l.NewOptimizer(s)
			l.check(err)
			weights := l.vector(l.numbers(length), length)
			for step := range 5 {
				l.check(op.Step(step+1, 0.1/float32(step+1), weights, l.vector(l.numbers(length), length)))
			}
			l.record("weights", elements(weights))
			state := op.State()
			names := map[string][]string{"sgd": {"momentum"}, "adamw": {"moment1", "moment2"}}[s.Name]
			if s.AverageDecay != 0 {
				names = append(names, "average")
			}
			if len(state) != len(names) {
				l.t.Errorf("state holds %d vectors, want %v", len(state), names)
			}
			for _, name := range names {
				if state[name] == nil {
					l.t.Fatalf("state has no %s", name)
				}
				l.record(name, elements(state[name]))
			}
		})
	}
}
