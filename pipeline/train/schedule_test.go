package train

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"catdog/pipeline/params"
)

func TestLearningRate(t *testing.T) {
	base := params.LearningRate{Peak: 0.4, Warmup: 0.2, Final: 0.1}
	for _, test := range []struct {
		schedule string
		step     int
		want     float64
	}{
		{"cosine", 1, 0.02},
		{"cosine", 10, 0.2},
		{"cosine", 20, 0.4},
		{"cosine", 60, 0.22}, // half way between the peak and the final rate
		{"cosine", 100, 0.04},
		{"linear", 20, 0.4},
		{"linear", 60, 0.22},
		{"linear", 40, 0.31},
		{"linear", 100, 0.04},
		{"constant", 10, 0.2},
		{"constant", 21, 0.4},
		{"constant", 100, 0.4},
	} {
		p := base
		p.Schedule = test.schedule
		if got := learningRate(p, test.step, 100); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("%s, step %d: %g, want %g", test.schedule, test.step, got, test.want)
		}
	}
}

// TestLearningRateShape: the rate is never above the peak nor negative, rises
// during the warm-up and never rises after it.
func TestLearningRateShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := params.LearningRate{
			Peak:     rapid.Float64Range(1e-7, 100).Draw(t, "peak"),
			Warmup:   rapid.Float64Range(0, 0.9).Draw(t, "warmup"),
			Final:    rapid.Float64Range(0, 1).Draw(t, "final"),
			Schedule: rapid.SampledFrom([]string{"constant", "linear", "cosine"}).Draw(t, "schedule"),
		}
		steps := rapid.IntRange(1, 60).Draw(t, "steps")
		warmup := int(math.Round(p.Warmup * float64(steps)))
		before := 0.0
		for step := 1; step <= steps; step++ {
			rate := learningRate(p, step, steps)
			switch {
			case !(rate >= 0 && rate <= p.Peak*(1+1e-12)):
				t.Fatalf("step %d: %g", step, rate)
			case step <= warmup && rate <= before, step > warmup+1 && rate > before*(1+1e-12):
				t.Fatalf("step %d: %g after %g", step, rate, before)
			}
			before = rate
		}
	})
}
