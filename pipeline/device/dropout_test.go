package device

import (
	"math"
	"testing"
)

func TestDropoutKeepsItsShare(t *testing.T) {
	const draws = 1 << 18
	for _, rate := range []float32{0, 0.1, 0.25, 0.5, 0.9} {
		for seed := uint64(0); seed < 4; seed++ {
			kept := 0
			for i := uint64(0); i < draws; i++ {
				if DropoutKeep(seed, i, rate) {
					kept++
				}
			}
			expected := (1 - float64(rate)) * draws
			deviation := math.Sqrt(draws * float64(rate) * (1 - float64(rate)))
			if math.Abs(float64(kept)-expected) > 5*deviation {
				t.Errorf("rate %g, seed %d: kept %d of %d", rate, seed, kept, draws)
			}
		}
	}
}

func TestDropoutSeedsAreIndependent(t *testing.T) {
	const draws = 1 << 16
	same := 0
	for i := uint64(0); i < draws; i++ {
		if DropoutKeep(1, i, 0.5) == DropoutKeep(2, i, 0.5) {
			same++
		}
	}
	if math.Abs(float64(same)-draws/2) > 5*math.Sqrt(draws)/2 {
		t.Errorf("masks of seeds 1 and 2 agree at %d of %d", same, draws)
	}
}

// The function is part of what a model's bytes depend on, so it must not drift.
func TestDropoutGolden(t *testing.T) {
	var word uint64
	for i := uint64(0); i < 64; i++ {
		if DropoutKeep(42, i<<27+i, 0.5) {
			word |= 1 << i
		}
	}
	if word != golden {
		t.Errorf("mask %#x, expected %#x", word, uint64(golden))
	}
}

const golden = 0x133d5d788fbe57a2
