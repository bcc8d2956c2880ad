//go:build gpu

package cudnn

import (
	"strings"
	"testing"
)

func TestAlgorithmsAreTakenFromTheTable(t *testing.T) {
	shape := Shape{Batch: 512, Height: 64, Width: 64, In: 8, Out: 32, Rows: 64, Columns: 64, Kernel: 3, Stride: 1, Padding: 1, BFloat16: true}
	head := strings.Join(Columns, ",") + "\n"
	row := strings.Join(Row(90, shape, Forward), ",")
	if want := "90,bfloat16,512,64,64,8,32,3,1,1,forward"; row != want {
		t.Errorf("row is %s, want %s", row, want)
	}
	listed, err := parse(head + row + ",6\n")
	if err != nil || len(listed) != 1 || listed[row] != 6 {
		t.Errorf("%v, %v", listed, err)
	}
	for name, text := range map[string]string{
		"nothing": "", "another head": "a,b\n", "one that adds atomically": head + strings.Join(Row(90, shape, BackwardWeights), ",") + ",3\n",
		"a short row": head + "90,1\n", "an algorithm that isn't": head + row + ",8\n", "words": head + row + ",one\n",
	} {
		if _, err := parse(text); err == nil {
			t.Errorf("%s is taken for a table", name)
		}
	}
	if _, err := table(); err != nil {
		t.Errorf("the committed table: %v", err)
	}
}

// Algorithms that add atomically must not be chosen, whatever is measured.
func TestDeterministicLeavesOutAtomicSums(t *testing.T) {
	for o, forbidden := range map[Operation][]int{BackwardInput: {0}, BackwardWeights: {0, 3}} {
		for _, algorithm := range o.Deterministic() {
			for _, f := range forbidden {
				if algorithm == f {
					t.Errorf("%v lists algorithm %d", o, f)
				}
			}
		}
	}
}
