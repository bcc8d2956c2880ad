package devicetest

import (
	"fmt"
	"testing"

	"catdog/pipeline/device"
)

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
