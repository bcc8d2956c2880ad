package train

import (
	"math"

	"catdog/pipeline/params"
)

// learningRate is the rate of a step, from 1 to steps. It rises linearly to the
// peak over the share Warmup of all steps and then follows Schedule; the last
// step's is Final·Peak (with "constant" the peak). The cosine is that of
// Loshchilov and Hutter, "SGDR", 2017, without restarts.
func learningRate(p params.LearningRate, step, steps int) float64 {
	warmup := int(math.Round(p.Warmup * float64(steps)))
	if step <= warmup {
		return p.Peak * float64(step) / float64(warmup)
	}
	passed := float64(step-warmup) / float64(steps-warmup) // in (0, 1]
	left := 1.0
	switch p.Schedule {
	case "linear":
		left = 1 - passed
	case "cosine":
		left = (1 + math.Cos(math.Pi*passed)) / 2
	}
	return p.Peak * (p.Final + (1-p.Final)*left)
}
