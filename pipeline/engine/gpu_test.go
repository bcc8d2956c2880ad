//go:build gpu

package engine

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	losses, weights = train(t, m, n, steps)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	return losses, weights
}

// Losses agree with the other devices'. In bfloat16 each activation is off by
// up to 2⁻⁸ of itself, and at the kinks of ReLUs and maxima gradients jump: a
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

// What the stand-in driver writes about a context when it ends, see
// device/gpu/standin/ledger.h.
type ledger struct {
	Allocations   int            `json:"allocations"`
	Frees         int            `json:"frees"`
	CopiesIn      int            `json:"copies_in"`
	CopiesOut     int            `json:"copies_out"`
	CopiesWithin  int            `json:"copies_within"`
	Pageable      int            `json:"pageable"`
	Sets          int            `json:"sets"`
	Launches      int            `json:"launches"`
	Events        int            `json:"events"`
	Waits         int            `json:"waits"`
	GraphNodes    int            `json:"graph_nodes"`
	GraphLaunches int            `json:"graph_launches"`
	PeakBytes     int            `json:"peak_bytes"`
	Kernels       map[string]int `json:"kernels"`
	Left          []string       `json:"left"`
	Faults        []string       `json:"faults"`
}

// onStandIn is onGPU with what the stand-in wrote; on a real GPU it skips.
func onStandIn(t *testing.T, n *network.Description, o Options, steps int) (l ledger) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report")
	t.Setenv("STANDIN_REPORT", report)
	onGPU(t, "bfloat16", n, o, steps)
	text, err := os.ReadFile(report)
	if err != nil {
		t.Skip("this is a real GPU, which doesn't count")
	}
	if err := json.Unmarshal(text, &l); err != nil {
		t.Fatal(err)
	}
	if len(l.Left) > 0 || l.Allocations != l.Frees || len(l.Faults) > 0 {
		t.Errorf("%d steps: left %v, %d allocations, %d frees, faults %v", steps, l.Left, l.Allocations, l.Frees, l.Faults)
	}
	return l
}

// A step allocates and frees nothing and does just what is listed here.
func TestGPUStepsDoWhatIsListed(t *testing.T) {
	const few, many = 2, 7
	for name, want := range steadySteps {
		t.Run(name, func(t *testing.T) {
			n := networks()[name]
			a, b := onStandIn(t, n, options(4), few), onStandIn(t, n, options(4), many)
			got := ledger{
				Allocations: b.Allocations - a.Allocations, Frees: b.Frees - a.Frees,
				CopiesIn: b.CopiesIn - a.CopiesIn, CopiesOut: b.CopiesOut - a.CopiesOut, CopiesWithin: b.CopiesWithin - a.CopiesWithin,
				Pageable: b.Pageable - a.Pageable, Sets: b.Sets - a.Sets, Launches: b.Launches - a.Launches,
				Events: b.Events - a.Events, Waits: b.Waits - a.Waits,
				GraphNodes: b.GraphNodes - a.GraphNodes, GraphLaunches: b.GraphLaunches - a.GraphLaunches,
				PeakBytes: b.PeakBytes - a.PeakBytes,
			}
			for _, count := range []*int{&want.CopiesIn, &want.CopiesOut, &want.CopiesWithin, &want.Sets, &want.Launches, &want.Events, &want.Waits, &want.GraphLaunches} {
				*count *= many - few
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%d steps (-listed +done):\n%s", many-few, diff)
			}
		})
	}
}

// steadySteps are what one step does that the host feeds. In: images and
// targets. Out: loss and logits. Events: two for each convolution whose
// gradients are computed beside each other.
var steadySteps = map[string]ledger{
	"mixed": {CopiesIn: 2, CopiesOut: 2, Launches: 77, Events: 12, Waits: 4},
}
