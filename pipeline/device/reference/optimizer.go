package reference

import (
	"fmt"
	"math"

	"catdog/pipeline/device"
)

// optimizer holds what its rule needs of momentum, moment1 and moment2.
type optimizer struct {
	device.OptimizerSpec
	momentum, moment1, moment2, average vector
}

func (reference) NewOptimizer(spec device.OptimizerSpec) (device.Optimizer, error) {
	o := &optimizer{OptimizerSpec: spec}
	switch spec.Name {
	case "sgd":
		o.momentum = make(vector, spec.Length)
	case "adamw":
		o.moment1, o.moment2 = make(vector, spec.Length), make(vector, spec.Length)
	default:
		return nil, fmt.Errorf("optimizer %q: want sgd or adamw", spec.Name)
	}
	if spec.AverageDecay != 0 {
		o.average = make(vector, spec.Length)
	}
	return o, nil
}

func (o *optimizer) State() map[string]device.Vector {
	state := map[string]device.Vector{}
	for name, v := range map[string]vector{
		"momentum": o.momentum, "moment1": o.moment1, "moment2": o.moment2, "average": o.average,
	} {
		if v != nil {
			state[name] = v
		}
	}
	return state
}

func (o *optimizer) decay(i int) float64 {
	if group := i / device.Alignment; group < len(o.Decayed) && o.Decayed[group] {
		return float64(o.WeightDecay)
	}
	return 0
}

// Step is, for sgd,
//
//	g ← g + decay·w;  m ← Momentum·m + g;  w ← w − rate·(g + Momentum·m)
//
// and for adamw
//
//	m ← β₁·m + (1−β₁)·g;  v ← β₂·v + (1−β₂)·g²
//	w ← w − rate·decay·w − rate·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + Epsilon)
func (o *optimizer) Step(step int, learningRate float32, weights, gradients device.Vector) error {
	w, g, rate := weights.(vector), gradients.(vector), float64(learningRate)
	if len(w) != o.Length || len(g) != o.Length {
		return fmt.Errorf("optimizer: %d weights and %d gradients, want %d", len(w), len(g), o.Length)
	}
	if o.Name == "sgd" {
		momentum := float64(o.Momentum)
		for i := range w {
			gradient := float64(g[i]) + o.decay(i)*float64(w[i])
			m := momentum*float64(o.momentum[i]) + gradient
			o.momentum[i] = float32(m)
			w[i] = float32(float64(w[i]) - rate*(gradient+momentum*m))
		}
	} else {
		beta1, beta2 := float64(o.Beta1), float64(o.Beta2)
		correction1 := 1 - math.Pow(beta1, float64(step))
		correction2 := 1 - math.Pow(beta2, float64(step))
		for i := range w {
			gradient := float64(g[i])
			m := beta1*float64(o.moment1[i]) + (1-beta1)*gradient
			v := beta2*float64(o.moment2[i]) + (1-beta2)*gradient*gradient
			o.moment1[i], o.moment2[i] = float32(m), float32(v)
			update := (m / correction1) / (math.Sqrt(v/correction2) + float64(o.Epsilon))
			w[i] = float32(float64(w[i]) - rate*o.decay(i)*float64(w[i]) - rate*update)
		}
	}
	if o.average != nil {
		decay := math.Min(float64(o.AverageDecay), float64(1+step)/float64(10+step))
		for i := range w {
			o.average[i] = float32(decay*float64(o.average[i]) + (1-decay)*float64(w[i]))
		}
	}
	return nil
}
