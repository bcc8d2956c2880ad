package engine

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/reference"
	"catdog/pipeline/network"
	"catdog/pipeline/params"
)

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
