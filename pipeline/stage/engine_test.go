package stage

import (
	"errors"
	"strings"
	"testing"

	"catdog/pipeline/params"
)

// The GPU is asked for unless the CPU is wanted, and opened only where its
// failure leads to the CPU.
func TestEngineIsTheGPUOrSaysWhyNot(t *testing.T) {
	before := describeGPU
	t.Cleanup(func() { describeGPU = before })
	missing := errors.New("no driver")
	for _, test := range []struct {
		device        string
		computes      bool
		answer        error
		want          string
		asked, opened bool
	}{
		{"cpu", true, nil, "cpu float32", false, false},
		{"auto", false, nil, "gpu x", true, false},
		{"auto", true, nil, "gpu x", true, true},
		{"auto", true, missing, "cpu float32", true, true},
		{"gpu", true, nil, "gpu x", true, false},
		{"gpu", true, missing, "gpu", true, false},
	} {
		asked, opened := false, false
		describeGPU = func(_ params.Train, open bool) (string, error) {
			asked, opened = true, open
			return "gpu x", test.answer
		}
		got, why := describeEngine(params.Train{Device: test.device, Precision: "float32", Threads: 1}, test.computes)
		if !strings.HasPrefix(got, test.want) || asked != test.asked || opened != test.opened || why != test.answer && test.asked {
			t.Errorf("%+v: %q (%v), asked %t, opened %t", test, got, why, asked, opened)
		}
	}
	describeGPU = nil
	if got, why := describeEngine(params.Train{Device: "auto", Precision: "float32"}, true); !strings.HasPrefix(got, "cpu float32") || why != nil {
		t.Errorf("without the tag gpu: %q (%v)", got, why)
	}
}
