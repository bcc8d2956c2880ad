package engine

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu"
	"catdog/pipeline/device/reference"
	"catdog/pipeline/network"
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

// devices are what every test runs on.
func devices(t testing.TB) map[string]device.Device {
	return map[string]device.Device{"reference": reference.New(), "cpu": processor(t)}
}

func processor(t testing.TB) device.Device {
	t.Helper()
	return processorWith(t, cpu.Options{})
}

func processorWith(t testing.TB, o cpu.Options) device.Device {
	t.Helper()
	d, err := cpu.New(o)
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

// train trains for some steps and returns losses and final weights.
func train(t testing.TB, m *Machine, n *network.Description, steps int) (losses []float32, weights []Tensor) {
	t.Helper()
	set(t, m, initial(n))
	for number := range steps {
		loss, _ := step(t, m, n, number+1)
		losses = append(losses, loss)
	}
	return losses, weightsOf(t, m, Average)
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
