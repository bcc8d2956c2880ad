package stage

import (
	"errors"
	"strings"
	"testing"

	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/params"
)

// The GPU is asked for unless the CPU is wanted, and opened only where its
// failure leads to the CPU.
func TestEngineIsTheGPUOrSaysWhyNot(t *testing.T) {
	before := describeGPU
	t.Cleanup(func() { describeGPU = before })
	missing, processor := errors.New("no driver"), "cpu "+isa.Precision("auto")+" "
	for _, test := range []struct {
		device        string
		computes      bool
		answer        error
		want          string
		asked, opened bool
	}{
		{"cpu", true, nil, processor, false, false},
		{"auto", false, nil, "gpu x", true, false},
		{"auto", true, nil, "gpu x", true, true},
		{"auto", true, missing, processor, true, true},
		{"gpu", true, nil, "gpu x", true, false},
		{"gpu", true, missing, "gpu", true, false},
	} {
		asked, opened := false, false
		describeGPU = func(_ params.Train, open bool) (string, error) {
			asked, opened = true, open
			return "gpu x", test.answer
		}
		got, why := describeEngine(params.Train{Device: test.device, Precision: "auto", Convolution: "winograd"}, test.computes)
		if !strings.HasPrefix(got, test.want) || asked != test.asked || opened != test.opened || why != test.answer && test.asked {
			t.Errorf("%+v: %q (%v), asked %t, opened %t", test, got, why, asked, opened)
		}
	}
	describeGPU = nil
	if got, why := describeEngine(params.Train{Device: "auto", Precision: "auto", Convolution: "winograd"}, true); !strings.HasPrefix(got, processor) || why != nil {
		t.Errorf("without the tag gpu: %q (%v)", got, why)
	}
}
