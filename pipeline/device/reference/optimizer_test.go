package reference_test

import (
	"math"
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/reference"
)

// steps runs an optimiser on one weight of 2 with the given gradients, at
// learning rate 0.1, and returns the weight and the states.
func steps(t *testing.T, spec device.OptimizerSpec, gradients ...float32) (weight float64, state map[string]float64) {
	t.Helper()
	d := reference.New()
	spec.Length = device.Alignment
	o, err := d.NewOptimizer(spec)
	if err != nil {
		t.Fatal(err)
	}
	w, _ := d.NewVector(spec.Length)
	g, _ := d.NewVector(spec.Length)
	w.Upload([]float32{2})
	for i, gradient := range gradients {
		g.Upload([]float32{gradient})
		if err := o.Step(i+1, 0.1, w, g); err != nil {
			t.Fatal(err)
		}
	}
	first := func(v device.Vector) float64 {
		values := make([]float32, spec.Length)
		v.Download(values)
		return float64(values[0])
	}
	state = map[string]float64{}
	for name, v := range o.State() {
		state[name] = first(v)
	}
	return first(w), state
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 2e-6*max(1, math.Abs(want))) {
		t.Errorf("%s is %g, want %g", what, got, want)
	}
}

// By hand: m₁ = 1, w₁ = 2 − 0.1·(1 + 0.9) = 1.81; m₂ = 0.9 − 1 = −0.1,
// w₂ = 1.81 − 0.1·(−1 − 0.09) = 1.919.
func TestNesterov(t *testing.T) {
	w, state := steps(t, device.OptimizerSpec{Name: "sgd", Momentum: 0.9}, 1, -1)
	near(t, "weight", w, 1.919)
	near(t, "momentum", state["momentum"], -0.1)
}

// Decay is part of the gradient: 2 − 0.1·(1 + 0.5·2) = 1.8.
func TestDecayOfSGD(t *testing.T) {
	spec := device.OptimizerSpec{Name: "sgd", WeightDecay: 0.5, Decayed: []bool{true}}
	w, _ := steps(t, spec, 1)
	near(t, "decayed weight", w, 1.8)
	spec.Decayed[0] = false
	w, _ = steps(t, spec, 1)
	near(t, "weight that is not decayed", w, 1.9)
}

// The first step of Adam is the learning rate in the gradient's direction,
// whatever its size; decay is beside it: 2 − 0.1·0.5·2 − 0.1 = 1.8.
func TestAdamW(t *testing.T) {
	spec := device.OptimizerSpec{Name: "adamw", Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-10, WeightDecay: 0.5, Decayed: []bool{true}}
	w, state := steps(t, spec, 30)
	near(t, "weight", w, 1.8)
	near(t, "moment1", state["moment1"], 3)
	near(t, "moment2", state["moment2"], 9)

	// With gradients 1 and −1: m̂₂ = (0.09 − 0.1)/0.19, v̂₂ = 1.
	spec.WeightDecay = 0
	w, _ = steps(t, spec, 1, -1)
	near(t, "weight after two steps", w, 1.9+0.1*0.01/0.19)
}

// The average's decay is 2/11 at the first step: (9/11)·1.9.
func TestAverage(t *testing.T) {
	_, state := steps(t, device.OptimizerSpec{Name: "sgd", AverageDecay: 0.9}, 1)
	near(t, "average", state["average"], 1.9*9/11)
	_, state = steps(t, device.OptimizerSpec{Name: "sgd", AverageDecay: 0.1}, 1)
	near(t, "average with a small decay", state["average"], 1.9*0.9)
}

func TestUnknownOptimizer(t *testing.T) {
	if _, err := reference.New().NewOptimizer(device.OptimizerSpec{Name: "lion"}); err == nil {
		t.Error("an unknown optimiser was accepted")
	}
}
