package cpu

import (
	"testing"

	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/device/devicetest"
)

// sets are the instruction sets that can run here.
func sets() []isa.Set {
	all := []isa.Set{isa.Detect()}
	if all[0] == isa.AVX512 {
		all = append(all, isa.AVX2)
	}
	return append(all, isa.Generic)
}

func TestConform(t *testing.T) {
	for _, set := range sets() {
		for _, threads := range []int{1, 2, 3} {
			t.Run(string(set), func(t *testing.T) {
				d, err := open(Options{Threads: threads}, set)
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				t.Log(d.Describe())
				devicetest.Conform(t, d, 1e-5)
			})
		}
	}
}
