package engine

import (
	"math"
	"strings"
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/reference"
	"catdog/pipeline/network"
)

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
	for name, n := range networks() {
		for on, d := range devices(t) {
			for what, value := range map[string]float64{"NaN": math.NaN(), "infinity": math.Inf(1)} {
				m := build(t, n, d, options(2))
				set(t, m, initial(n))
				images, targets := batch(n, 2, 1)
				images[5] = float32(value)
				loss, _, err := m.Step(1, 1, 1, images, targets)
				if err != nil || loss == loss {
					t.Errorf("%s of %s on %s: loss %g, error %v, want NaN", what, name, on, loss, err)
				}
			}
		}
	}
}
