//go:build gpu

package engine

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catdog/pipeline/device/gpu"
	"catdog/pipeline/device/reference"
	"catdog/pipeline/network"
)

// onGPU trains for some steps and returns losses and final weights.
func onGPU(t *testing.T, precision string, n *network.Description, o Options, steps int) (losses []float32, weights []Tensor) {
	t.Helper()
	with := gpu.Options{Precision: precision}
	if _, err := gpu.Describe(with); err != nil {
		t.Skip(err)
	}
	d, err := gpu.New(with)
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := New(n, d, o)
	if err != nil {
		t.Fatal(err)
	}
	m := trainer.(*Machine)
	set(t, m, initial(n))
	for number := range steps {
		loss, _ := step(t, m, n, number+1)
		losses = append(losses, loss)
	}
	weights = m.Weights(Average)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	return losses, weights
}

// Losses agree with the other devices'. In bfloat16 each activation is off by
// up to 2⁻⁹ of itself, and at the kinks of ReLUs and maxima gradients jump: a
// loss is off by a few of those.
func TestGPUTrainsAsTheOthersDo(t *testing.T) {
	const steps = 6
	sgd := options(6)
	sgd.Optimizer, sgd.Momentum = "sgd", 0.9
	for precision, tolerance := range map[string]float64{"float32": 1e-3, "bfloat16": 0.05} {
		for name, n := range networks() {
			for _, o := range []Options{options(6), sgd} {
				t.Run(precision+" "+name+" "+o.Optimizer, func(t *testing.T) {
					got, weights := onGPU(t, precision, n, o, steps)
					for other, m := range map[string]*Machine{
						"reference": build(t, n, reference.New(), o),
						"cpu":       build(t, n, processor(t), o),
					} {
						set(t, m, initial(n))
						for number := range steps {
							want, _ := step(t, m, n, number+1)
							if off := math.Abs(float64(got[number]-want)) / math.Abs(float64(want)); !(off <= tolerance) {
								t.Errorf("step %d: loss %g, on the %s %g", number+1, got[number], other, want)
							}
						}
					}
					again, same := onGPU(t, precision, n, o, steps)
					if fmt.Sprint(got) != fmt.Sprint(again) || fmt.Sprint(weights) != fmt.Sprint(same) {
						t.Error("the same training gives other bits")
					}
				})
			}
		}
	}
}

// The stand-in driver writes what it counted when a context ends: more steps
// allocate no more, launch and copy in proportion, and nothing is left.
func TestGPUStepsAllocateNothing(t *testing.T) {
	report := filepath.Join(t.TempDir(), "counts")
	t.Setenv("STANDIN_REPORT", report)
	type counts struct{ allocations, frees, live, launches, copies int }
	run := func(steps int) (c counts) {
		os.Remove(report)
		onGPU(t, "bfloat16", mixed(), options(4), steps)
		text, err := os.ReadFile(report)
		if err != nil {
			t.Skip("this is a real GPU, which doesn't count")
		}
		if _, err := fmt.Fscan(strings.NewReader(string(text)), &c.allocations, &c.frees, &c.live, &c.launches, &c.copies); err != nil {
			t.Fatal(err)
		}
		return c
	}
	two, four, six := run(2), run(4), run(6)
	if two.live != 0 || six.live != 0 || two.allocations != two.frees {
		t.Errorf("memory is left: %+v, %+v", two, six)
	}
	if six.allocations != two.allocations {
		t.Errorf("2 steps allocate %d times, 6 steps %d times", two.allocations, six.allocations)
	}
	if six.launches-four.launches != four.launches-two.launches || six.copies-four.copies != four.copies-two.copies {
		t.Errorf("launches and copies don't grow evenly: %+v, %+v, %+v", two, four, six)
	}
	t.Logf("a step of the network with every layer: %d launches, %d copies", (six.launches-two.launches)/4, (six.copies-two.copies)/4)
}
