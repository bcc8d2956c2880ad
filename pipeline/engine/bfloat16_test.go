package engine

import (
	"fmt"
	"math"
	"testing"

	"catdog/pipeline/device/cpu"
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/network"
)

func convolutions(n *network.Description) int {
	count := 0
	for _, layer := range n.Layers {
		if layer.Kind == network.Convolution {
			count++
		}
	}
	return count
}

// Losses in bfloat16 are those in float32 but for a twentieth: each factor is
// off by up to 2⁻⁸ of itself, and at the kinks of ReLUs and maxima gradients
// jump, of networks as small as these more than of others. The same training
// gives the same bits again.
func TestTrainingInBFloat16(t *testing.T) {
	if isa.Detect() != isa.AVX512 {
		t.Skip("no AVX-512")
	}
	train := func(t *testing.T, n *network.Description, precision string) ([]float32, []Tensor) {
		return train(t, build(t, n, processorWith(t, cpu.Options{Precision: precision}), options(6)), n, 6)
	}
	for name, n := range networks() {
		t.Run(name, func(t *testing.T) {
			want, exact := train(t, n, "float32")
			got, weights := train(t, n, isa.BFloat16)
			for i := range want {
				if off := math.Abs(float64(got[i]-want[i])) / float64(want[i]); !(off <= 0.05) {
					t.Errorf("step %d: loss %g, in float32 %g", i+1, got[i], want[i])
				}
			}
			// The first layer's kernel is our own, and float32's.
			if rounded := fmt.Sprint(weights) != fmt.Sprint(exact); rounded != (convolutions(n) > 1) {
				t.Errorf("%d convolutions, something was rounded: %t", convolutions(n), rounded)
			}
			again, same := train(t, n, isa.BFloat16)
			if fmt.Sprint(got) != fmt.Sprint(again) || fmt.Sprint(weights) != fmt.Sprint(same) {
				t.Error("the same training gives other bits")
			}
		})
	}
}
