package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu"
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/device/devicetest"
	"catdog/pipeline/device/reference"
	"catdog/pipeline/network"
	"catdog/pipeline/params"
)

// stateOf and weightsOf read what must be readable.
func stateOf(t testing.TB, s State) []Tensor {
	t.Helper()
	tensors, err := s.State()
	if err != nil {
		t.Fatal(err)
	}
	return tensors
}

func weightsOf(t testing.TB, s State, which Weights) []Tensor {
	t.Helper()
	tensors, err := s.Weights(which)
	if err != nil {
		t.Fatal(err)
	}
	return tensors
}

// A drawing board for descriptions.
type board struct{ network.Description }

func newBoard(height, width, classes int) *board {
	b := &board{network.Description{Input: network.Shape{Height: height, Width: width, Channels: 3}}}
	for i := range classes {
		b.Classes = append(b.Classes, fmt.Sprintf("class%d", i))
	}
	return b
}

func (b *board) add(l network.Layer, out network.Shape) {
	l.In, l.Out = b.Output(), out
	l.Name = fmt.Sprintf("layer%d", len(b.Layers))
	b.Layers = append(b.Layers, l)
}

func (b *board) convolution(channels, kernel, stride, padding int) {
	in := b.Output()
	b.add(network.Layer{Kind: network.Convolution, Kernel: kernel, Stride: stride, Padding: padding}, network.Shape{
		Height:   (in.Height+2*padding-kernel)/stride + 1,
		Width:    (in.Width+2*padding-kernel)/stride + 1,
		Channels: channels,
	})
}

func (b *board) normalization(relu bool, pool, skip int) {
	in := b.Output()
	b.add(network.Layer{Kind: network.Normalization, ReLU: relu, Pool: pool, Skip: skip},
		network.Shape{Height: in.Height / pool, Width: in.Width / pool, Channels: in.Channels})
}

func (b *board) block(channels, pool int) {
	b.convolution(channels, 3, 1, 1)
	b.normalization(true, pool, -1)
}

func (b *board) residual() {
	source := len(b.Layers) - 1
	channels := b.Output().Channels
	b.block(channels, 1)
	b.convolution(channels, 3, 1, 1)
	b.normalization(true, 1, source)
}

func (b *board) dropout(rate float32) {
	b.add(network.Layer{Kind: network.Dropout, Rate: rate}, b.Output())
}

func (b *board) globalPool(average bool) {
	b.add(network.Layer{Kind: network.GlobalPool, Average: average}, network.Shape{Height: 1, Width: 1, Channels: b.Output().Channels})
}

func (b *board) dense() {
	b.add(network.Layer{Kind: network.Dense}, network.Shape{Height: 1, Width: 1, Channels: len(b.Classes)})
}

// mixed has every kind of layer on odd sizes, and two residual blocks in a row.
func mixed() *network.Description {
	b := newBoard(11, 9, 3)
	b.block(4, 2) // 5×4
	b.residual()
	b.residual()
	b.dropout(0.3)
	b.convolution(5, 1, 1, 0)
	b.normalization(false, 1, -1)
	b.convolution(6, 5, 2, 2) // 3×2
	b.normalization(true, 1, -1)
	b.globalPool(true)
	b.dropout(0.2)
	b.dense()
	return &b.Description
}

// flat ends without a global pool and pools by three; its normalisation does
// not always follow a convolution.
func flat() *network.Description {
	b := newBoard(10, 13, 2)
	b.block(5, 3) // 3×4
	b.normalization(true, 1, -1)
	b.dropout(0.1)
	b.normalization(false, 1, -1)
	b.dense()
	return &b.Description
}

// maximal pools globally by the maximum.
func maximal() *network.Description {
	b := newBoard(7, 6, 2)
	b.block(4, 1)
	b.residual()
	b.globalPool(false)
	b.dense()
	return &b.Description
}

func networks() map[string]*network.Description {
	return map[string]*network.Description{"mixed": mixed(), "flat": flat(), "maximal": maximal()}
}

// devices are what every test runs on.
func devices(t testing.TB) map[string]device.Device {
	return map[string]device.Device{"reference": reference.New(), "cpu": processor(t)}
}

func processor(t testing.TB) device.Device {
	t.Helper()
	d, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func eachDevice(t *testing.T, test func(t *testing.T, d device.Device)) {
	for name, d := range devices(t) {
		t.Run(name, func(t *testing.T) { test(t, d) })
	}
}

func options(batch int) Options {
	return Options{
		Batch: batch, Optimizer: "adamw", Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8,
		WeightDecay: 0.05, AverageDecay: 0.9,
	}
}

func build(t testing.TB, n *network.Description, d device.Device, o Options) *Machine {
	t.Helper()
	trainer, err := New(n, d, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := trainer.Close(); err != nil {
			t.Error(err)
		}
	})
	return trainer.(*Machine)
}

// initial are random weights whose scales and shifts are not the usual 1 and 0.
func initial(n *network.Description) []Tensor {
	random := rand.New(rand.NewPCG(3, 4))
	tensors := n.Initial(1)
	for _, tensor := range tensors {
		for i := range tensor.Values {
			switch {
			case strings.HasSuffix(tensor.Name, ".scale"), strings.HasSuffix(tensor.Name, ".variance"):
				tensor.Values[i] = 0.5 + random.Float32()
			case !strings.HasSuffix(tensor.Name, ".weight"):
				tensor.Values[i] = 0.3 * float32(random.NormFloat64())
			}
		}
	}
	return tensors
}

func batch(n *network.Description, images int, seed uint64) (pixels, targets []float32) {
	random := rand.New(rand.NewPCG(seed, 5))
	pixels = make([]float32, images*n.Input.Elements())
	for i := range pixels {
		pixels[i] = float32(random.NormFloat64())
	}
	classes := len(n.Classes)
	targets = make([]float32, images*classes)
	for i := range images {
		for c := range classes {
			targets[i*classes+c] = 0.1 / float32(classes)
		}
		targets[i*classes+random.IntN(classes)] += 0.9
	}
	return pixels, targets
}

func step(t testing.TB, m *Machine, n *network.Description, number int) (float32, []float32) {
	t.Helper()
	images, targets := batch(n, m.options.Batch, uint64(number))
	loss, logits, err := m.Step(number, uint64(number)*77, 1e-2, images, targets)
	if err != nil {
		t.Fatal(err)
	}
	return loss, logits
}

func set(t testing.TB, m *Machine, tensors []Tensor) {
	t.Helper()
	if err := m.SetWeights(tensors); err != nil {
		t.Fatal(err)
	}
}

// entropy is the mean softmax cross-entropy in float64.
func entropy(logits, targets []float32, classes int) float64 {
	total := 0.0
	for n := 0; n < len(logits); n += classes {
		sum := 0.0
		for _, v := range logits[n : n+classes] {
			sum += math.Exp(float64(v))
		}
		for c := range classes {
			total -= float64(targets[n+c]) * (float64(logits[n+c]) - math.Log(sum))
		}
	}
	return total / float64(len(logits)/classes)
}

// Every parameter's gradient, by gorgonia's differentiation through the whole
// network, against central differences of the loss on the reference device.
// Plain gradient descent with rate 1 gives the gradient as the difference of
// the weights. The tolerance, for the norm over an array's (sampled) elements,
// is 1 % and, since a loss is the float64 sum of float32 logits and is divided
// by 2·h, 5e-4. A larger h would meet more kinks of ReLUs and maxima.
func TestGradientsAreFiniteDifferences(t *testing.T) {
	eachDevice(t, func(t *testing.T, d device.Device) {
		for name, n := range networks() {
			t.Run(name, func(t *testing.T) { finiteDifferences(t, n, d) })
		}
	})
}

func finiteDifferences(t *testing.T, n *network.Description, d device.Device) {
	const h = 2e-4
	sgd := Options{Batch: 3, Optimizer: "sgd"}
	tested, loss := build(t, n, d, sgd), build(t, n, reference.New(), sgd)
	start := initial(n)
	images, targets := batch(n, 3, 1)

	set(t, tested, start)
	if _, _, err := tested.Step(1, 9, 1, images, targets); err != nil {
		t.Fatal(err)
	}
	moved := weightsOf(t, tested, Raw)
	lossAt := func() float64 {
		set(t, loss, start)
		_, logits, err := loss.Step(1, 9, 0, images, targets)
		if err != nil {
			t.Fatal(err)
		}
		return entropy(logits, targets, len(n.Classes))
	}
	random := rand.New(rand.NewPCG(1, 1))
	for i, p := range n.Parameters() {
		if !p.Role.Learnt() {
			continue
		}
		// Many elements are too slow one by one: a sample of them.
		difference, norm := 0.0, 0.0
		for _, j := range random.Perm(p.Elements())[:min(p.Elements(), 12)] {
			value := start[i].Values[j]
			start[i].Values[j] = value + h
			up, above := float64(start[i].Values[j]), lossAt()
			start[i].Values[j] = value - h
			down, below := float64(start[i].Values[j]), lossAt()
			start[i].Values[j] = value
			numeric := (above - below) / (up - down)
			symbolic := float64(value) - float64(moved[i].Values[j])
			difference += (numeric - symbolic) * (numeric - symbolic)
			norm += numeric * numeric
		}
		if e := math.Sqrt(difference); e > 0.01*math.Sqrt(norm)+5e-4 {
			t.Errorf("%s: gradients differ by %.2g of %.2g", p.Name, e, math.Sqrt(norm))
		}
	}
}

func equal(t *testing.T, what string, a, b []Tensor) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%s: %d and %d tensors", what, len(a), len(b))
	}
	for i := range a {
		if a[i].Name != b[i].Name {
			t.Fatalf("%s: tensor %d is %s and %s", what, i, a[i].Name, b[i].Name)
		}
		if !bytes.Equal(bits(a[i].Values), bits(b[i].Values)) {
			t.Errorf("%s: %s differs", what, a[i].Name)
		}
	}
}

func bits(values []float32) []byte {
	var b []byte
	for _, v := range values {
		b = fmt.Appendf(b, "%08x", math.Float32bits(v))
	}
	return b
}

// A second machine that takes over the state goes on with the same bytes.
func TestStateGoesOnWithTheSameBytes(t *testing.T) {
	eachDevice(t, func(t *testing.T, d device.Device) {
		for _, optimizer := range []string{"adamw", "sgd"} {
			o := options(3)
			o.Optimizer, o.Momentum = optimizer, 0.9
			n := mixed()
			first, second := build(t, n, d, o), build(t, n, d, o)
			set(t, first, initial(n))
			for i := 1; i <= 3; i++ {
				step(t, first, n, i)
			}
			state := stateOf(t, first)
			if err := second.SetState(state); err != nil {
				t.Fatal(err)
			}
			equal(t, "state after restoring", state, stateOf(t, second))
			for i := 4; i <= 6; i++ {
				a, logitsA := step(t, first, n, i)
				b, logitsB := step(t, second, n, i)
				if a != b || !bytes.Equal(bits(logitsA), bits(logitsB)) {
					t.Errorf("step %d: losses %g and %g", i, a, b)
				}
			}
			equal(t, "state after more steps", stateOf(t, first), stateOf(t, second))
			equal(t, "average weights", weightsOf(t, first, Average), weightsOf(t, second, Average))
		}
	})
}

// Training is deterministic, and prediction between steps does not disturb it.
func TestPredictDoesNotDisturbTraining(t *testing.T) {
	eachDevice(t, func(t *testing.T, d device.Device) {
		n := mixed()
		first, second := build(t, n, d, options(3)), build(t, n, d, options(3))
		set(t, first, initial(n))
		set(t, second, initial(n))
		images, _ := batch(n, 4, 99)
		logits := make([]float32, 4*len(n.Classes))
		for i := 1; i <= 4; i++ {
			step(t, first, n, i)
			step(t, second, n, i)
			for _, weights := range []Weights{Raw, Average} {
				if err := second.Predict(weights, images, logits); err != nil {
					t.Fatal(err)
				}
			}
		}
		equal(t, "state", stateOf(t, first), stateOf(t, second))
	})
}

// Any number of images is predicted as if one by one.
func TestPredictPadsTheLastBatch(t *testing.T) {
	eachDevice(t, func(t *testing.T, d device.Device) {
		for name, n := range networks() {
			const count = 7
			m := build(t, n, d, Options{Batch: 3, Inference: true})
			single := build(t, n, d, Options{Batch: 1, Inference: true})
			set(t, m, initial(n))
			set(t, single, initial(n))
			images, _ := batch(n, count, 1)
			classes, size := len(n.Classes), n.Input.Elements()
			all, one := make([]float32, count*classes), make([]float32, classes)
			if err := m.Predict(Raw, images, all); err != nil {
				t.Fatal(err)
			}
			for i := range count {
				if err := single.Predict(Raw, images[i*size:(i+1)*size], one); err != nil {
					t.Fatal(err)
				}
				for c := range classes {
					if d := math.Abs(float64(one[c] - all[i*classes+c])); d > 1e-5 {
						t.Errorf("%s: image %d, class %d: %g alone, %g in a batch", name, i, c, one[c], all[i*classes+c])
					}
				}
			}
			if err := m.Predict(Raw, nil, nil); err != nil {
				t.Errorf("predict no images: %v", err)
			}
		}
	})
}

// A machine that predicts from larger images trains as one that does not, and
// predicts as a network of that size does.
func TestPredictsFromLargerImages(t *testing.T) {
	sized := func(height, width int) *network.Description {
		n, err := network.New(params.Network{
			Height: height, Width: width, Channels: []int{4, 20}, Residuals: []int{0, 1}, Pools: []int{2, 2}, Head: "maximum", Dropout: 0.2,
		}, []string{"cat", "dog", "owl"})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n, larger := sized(8, 9), sized(14, 11)
	eachDevice(t, func(t *testing.T, d device.Device) {
		o := options(3)
		same := build(t, n, d, o)
		o.Predicting = larger
		m := build(t, n, d, o)
		alone := build(t, larger, d, Options{Batch: 3, Inference: true})
		set(t, same, initial(n))
		set(t, m, initial(n))
		images, _ := batch(larger, 5, 9)
		got, want := make([]float32, 5*3), make([]float32, 5*3)
		for i := 1; i <= 3; i++ {
			step(t, same, n, i)
			step(t, m, n, i)
			equal(t, "state", stateOf(t, same), stateOf(t, m))
			set(t, alone, weightsOf(t, m, Average))
			if err := errors.Join(m.Predict(Average, images, got), alone.Predict(Raw, images, want)); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("logits %v, of a network of that size %v", got, want)
			}
		}
	})
	o := options(3)
	o.Predicting = mixed()
	if _, err := New(n, reference.New(), o); err == nil || !strings.Contains(err.Error(), "other parameters") {
		t.Errorf("another network: %v", err)
	}
}

// unfolding hides that a device folds normalisations into convolutions.
type unfolding struct{ device.Device }

// Predictions with normalisations folded into the convolutions are those of the
// separate layers, to 1e-5 of the logits' norm, with the weights of the moment.
func TestFoldedPredictions(t *testing.T) {
	const size = 3
	for name, n := range map[string]*network.Description{"four blocks": fourBlocks(), "residual": residualNet(), "mixed": mixed()} {
		folded, apart := build(t, n, processor(t), options(size)), build(t, n, unfolding{processor(t)}, options(size))
		set(t, folded, initial(n))
		set(t, apart, initial(n))
		images, _ := batch(n, size+1, 9)
		got, want := make([]float32, (size+1)*len(n.Classes)), make([]float32, (size+1)*len(n.Classes))
		check := func(when string, weights Weights) {
			for m, logits := range map[*Machine][]float32{folded: got, apart: want} {
				if err := m.Predict(weights, images, logits); err != nil {
					t.Fatal(err)
				}
			}
			difference, norm := 0.0, 0.0
			for i := range want {
				difference += (float64(got[i]) - float64(want[i])) * (float64(got[i]) - float64(want[i]))
				norm += float64(want[i]) * float64(want[i])
			}
			if e := math.Sqrt(difference / norm); !(e <= 1e-5) {
				t.Errorf("%s, %s: logits %v and %v differ by %.1e of their norm", name, when, got, want, e)
			}
		}
		check("at first", Raw)
		step(t, folded, n, 1)
		if err := apart.SetState(stateOf(t, folded)); err != nil {
			t.Fatal(err)
		}
		check("after a step", Raw)
		check("after a step, average", Average)
		check("raw again", Raw)
		if name != "mixed" && !strings.Contains(folded.inference.graph.ToDot(), "folded convolution") {
			t.Errorf("%s: nothing is folded", name)
		}
	}
}

// Training with the first two layers as one operation is training with them one
// after the other, to the bit.
func TestJoinedTraining(t *testing.T) {
	eachDevice(t, func(t *testing.T, d device.Device) {
		for name, n := range networks() {
			joined, apart := build(t, n, devicetest.Joining(d), options(3)), build(t, n, unfolding{d}, options(3))
			set(t, joined, initial(n))
			set(t, apart, initial(n))
			for i := 1; i <= 5; i++ {
				a, logitsA := step(t, joined, n, i)
				b, logitsB := step(t, apart, n, i)
				if a != b || !bytes.Equal(bits(logitsA), bits(logitsB)) {
					t.Errorf("%s, step %d: losses %g and %g", name, i, a, b)
				}
			}
			equal(t, name+": state", stateOf(t, joined), stateOf(t, apart))
			if !strings.Contains(joined.Dot(), "joined convolution layer0") {
				t.Errorf("%s: the first two layers are not joined", name)
			}
		}
	})
}

// Losses in bfloat16 are those in float32 but for a twentieth: each factor is
// off by up to 2⁻⁸ of itself, and at the kinks of ReLUs and maxima gradients
// jump, of networks as small as these more than of others. The same training gives the same bits again.
func TestTrainingInBFloat16(t *testing.T) {
	if isa.Detect() != isa.AVX512 {
		t.Skip("no AVX-512")
	}
	train := func(t *testing.T, n *network.Description, precision string) (losses []float32, weights []Tensor) {
		d, err := cpu.New(cpu.Options{Precision: precision})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		m := build(t, n, d, options(6))
		defer m.Close()
		set(t, m, initial(n))
		for number := range 6 {
			loss, _ := step(t, m, n, number+1)
			losses = append(losses, loss)
		}
		return losses, weightsOf(t, m, Average)
	}
	for name, n := range networks() {
		t.Run(name, func(t *testing.T) {
			want, exact := train(t, n, "float32")
			got, weights := train(t, n, isa.BFloat16)
			for i := range want {
				if off := math.Abs(float64(got[i]-want[i])) / float64(want[i]); !(off <= 0.05) {
					t.Errorf("step %d: loss %g, in float32 %g", i+1, got[i], want[i])
				}
			}
			if fmt.Sprint(weights) == fmt.Sprint(exact) {
				t.Error("nothing was rounded")
			}
			again, same := train(t, n, isa.BFloat16)
			if fmt.Sprint(got) != fmt.Sprint(again) || fmt.Sprint(weights) != fmt.Sprint(same) {
				t.Error("the same training gives other bits")
			}
		})
	}
}

// unjoining is a device.Joiner that joins nothing, or fails to.
type unjoining struct {
	device.Device
	err error
}

func (u unjoining) Join(device.Convolution, device.Normalization) (device.Joined, error) {
	return nil, u.err
}

// Layers stay apart where the device wants it so, or where there is no
// normalisation behind the first convolution.
func TestNotJoined(t *testing.T) {
	b := newBoard(6, 5, 2)
	b.convolution(4, 3, 1, 1)
	b.block(4, 1)
	b.dense()
	for name, m := range map[string]*Machine{
		"nothing to gain": build(t, maximal(), unjoining{Device: reference.New()}, options(2)),
		"no neighbours":   build(t, &b.Description, devicetest.Joining(reference.New()), options(2)),
		"inference only":  build(t, maximal(), devicetest.Joining(reference.New()), Options{Batch: 2, Inference: true}),
	} {
		if strings.Contains(m.Dot(), "joined") {
			t.Errorf("%s: joined", name)
		}
	}
	_, err := New(maximal(), unjoining{reference.New(), errors.New("out of order")}, options(2))
	if want := "layers layer0 and layer1: out of order"; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}

// The moving average is the recurrence of device.Optimizer over the weights
// that each step leaves, running statistics included; Predict(Average) uses
// both.
func TestAverage(t *testing.T) {
	eachDevice(t, func(t *testing.T, d device.Device) {
		n := mixed()
		m := build(t, n, d, options(3))
		set(t, m, initial(n))
		want := initial(n)
		for i := 1; i <= 5; i++ {
			step(t, m, n, i)
			decay := math.Min(0.9, float64(1+i)/float64(10+i))
			for j, tensor := range weightsOf(t, m, Raw) {
				for k, v := range tensor.Values {
					want[j].Values[k] = float32(decay*float64(want[j].Values[k]) + (1-decay)*float64(v))
				}
			}
		}
		average := weightsOf(t, m, Average)
		for j := range want {
			for k, v := range want[j].Values {
				if math.Abs(float64(v-average[j].Values[k])) > 1e-5 {
					t.Fatalf("%s[%d] is %g, want %g", want[j].Name, k, average[j].Values[k], v)
				}
			}
		}

		other := build(t, n, d, Options{Batch: 3, Inference: true})
		set(t, other, average)
		images, _ := batch(n, 3, 50)
		a, b := make([]float32, 9), make([]float32, 9)
		if err := m.Predict(Average, images, a); err != nil {
			t.Fatal(err)
		}
		if err := other.Predict(Raw, images, b); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bits(a), bits(b)) {
			t.Errorf("average weights predict %v, the same weights set as raw ones %v", a, b)
		}
	})
}

// Setting weights gives them back and forgets the optimiser's past.
func TestSetWeightsStartsAnew(t *testing.T) {
	eachDevice(t, func(t *testing.T, d device.Device) {
		n := mixed()
		m, fresh := build(t, n, d, options(3)), build(t, n, d, options(3))
		set(t, m, initial(n))
		step(t, m, n, 1)
		set(t, m, initial(n))
		set(t, fresh, initial(n))
		equal(t, "raw weights", initial(n), weightsOf(t, m, Raw))
		equal(t, "average weights", initial(n), weightsOf(t, m, Average))
		equal(t, "state", stateOf(t, fresh), stateOf(t, m))
	})
}

// A small network learns a batch by heart.
func TestLossFalls(t *testing.T) {
	eachDevice(t, func(t *testing.T, d device.Device) {
		n := maximal()
		m := build(t, n, d, options(6))
		set(t, m, n.Initial(1))
		images, targets := batch(n, 6, 1)
		var first, last float32
		for i := 1; i <= 60; i++ {
			loss, logits, err := m.Step(i, 1, 2e-2, images, targets)
			if err != nil {
				t.Fatal(err)
			}
			if want := entropy(logits, targets, 2); math.Abs(float64(loss)-want) > 1e-5 {
				t.Fatalf("step %d: loss %g, of its logits %g", i, loss, want)
			}
			if i == 1 {
				first = loss
			}
			last = loss
		}
		// Targets of 0.95 and 0.05 leave an entropy of 0.199.
		if last > 0.25 {
			t.Errorf("loss went from %g to %g", first, last)
		}
	})
}

func TestErrors(t *testing.T) {
	n := maximal()
	m := build(t, n, reference.New(), options(2))
	images, targets := batch(n, 2, 1)
	inference := build(t, n, reference.New(), Options{Batch: 2, Inference: true})
	weights := initial(n)

	change := func(edit func(*network.Description)) *network.Description {
		changed := maximal()
		edit(changed)
		return changed
	}
	wrong := func(d *network.Description) error {
		_, err := New(d, reference.New(), options(2))
		return err
	}
	_, _, short := m.Step(1, 1, 1, images[1:], targets)
	_, _, notTraining := inference.Step(1, 1, 1, images, targets)
	twice := append(weights[:len(weights):len(weights)], weights[0])
	misshapen := initial(n)
	misshapen[0].Shape = []int{1, 2}
	for want, err := range map[string]error{
		"want 252 and 4":                     short,
		"built for inference only":           notTraining,
		"no moving average":                  inference.Predict(Average, images, make([]float32, 4)),
		"same number of images":              m.Predict(Raw, images, make([]float32, 3)),
		"layer0.weight is there twice":       m.SetWeights(twice),
		"layer0.weight is missing":           m.SetWeights(weights[1:]),
		"layer0.weight has shape [1 2]":      m.SetWeights(misshapen),
		"moment1:layer0.weight is missing":   m.SetState(weights),
		"the network has no layers":          wrong(&network.Description{}),
		"must begin with a convolution":      wrong(change(func(d *network.Description) { d.Layers[5].Skip = 4 })),
		"both add the output of layer1":      wrong(change(func(d *network.Description) { d.Layers[3].Skip = 1 })),
		"takes 7×6×4, but gets 7×6×3":        wrong(change(func(d *network.Description) { d.Layers = d.Layers[1:] })),
		"want a dense one with 1×1×2":        wrong(change(func(d *network.Description) { d.Layers = d.Layers[:6] })),
		"layer1: unknown kind \"attention\"": wrong(change(func(d *network.Description) { d.Layers[1].Kind = "attention" })),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
}

// The graph is gorgonia's own: it can be drawn, with every layer and gradient.
func TestDot(t *testing.T) {
	dot := build(t, mixed(), reference.New(), options(2)).Dot()
	for _, want := range []string{"convolution layer0", "gradient of normalization layer5", "gradient of layer0.weight", "cross-entropy", "optimizer step of parameters"} {
		if !strings.Contains(dot, want) {
			t.Errorf("the drawing lacks %q", want)
		}
	}
}

// NaN goes through to the loss, where package train looks for it.
func TestNaNReachesTheLoss(t *testing.T) {
	n := maximal()
	m := build(t, n, reference.New(), options(2))
	set(t, m, initial(n))
	images, targets := batch(n, 2, 1)
	images[5] = float32(math.NaN())
	loss, _, err := m.Step(1, 1, 1, images, targets)
	if err != nil || loss == loss {
		t.Errorf("loss %g, error %v, want NaN", loss, err)
	}
}
