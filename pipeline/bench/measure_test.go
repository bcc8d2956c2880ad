package bench

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestCompare(t *testing.T) {
	ours, peer := sample{30, 10, 20}, sample{5, 4}
	got := more("name", "unit", ours, "peer", peer)
	if got.Ours != 20 || got.Peer != 4.5 || got.Ratio != 4.444 || *got.OursRange != [2]float64{10, 30} || got.Rounds != 3 {
		t.Errorf("%+v", got)
	}
	if got := less("name", "unit", ours, "peer", peer); got.Ratio != 0.225 {
		t.Errorf("ratio %g where less is better, want 0.225", got.Ratio)
	}
	if got := more("name", "unit", sample{2}, "peer", sample{1}); got.OursRange != nil || got.Rounds != 0 {
		t.Errorf("a range of one number: %+v", got)
	}
}

func TestDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Float64Range(1e-9, 1e12).Draw(t, "value")
		if got := digits(value); math.Abs(got-value) > 5.001e-4*value {
			t.Fatalf("digits(%g) = %g", value, got)
		}
	})
	for _, none := range []float64{0, math.Inf(1), math.NaN()} {
		if got := digits(none); got != 0 {
			t.Errorf("digits(%g) = %g; JSON has no such number", none, got)
		}
	}
}
