package engine

import (
	"bytes"
	"math"
	"testing"

	"catdog/pipeline/device"
)

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
