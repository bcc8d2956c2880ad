//go:build gpu

package model

import (
	"strings"
	"testing"

	"catdog/pipeline/device/gpu"
	"catdog/pipeline/params"
)

// auto takes the GPU where there is one; gpu takes nothing else.
func TestDeviceIsTheGPUOrSaysWhyNot(t *testing.T) {
	for _, want := range []string{"auto", "gpu", "cpu"} {
		p := params.Train{Device: want, Precision: "auto"}
		_, missing := gpu.Describe(gpu.ForTraining(p))
		d, err := Device(p)
		if want == "gpu" && missing != nil {
			if err == nil || !strings.Contains(err.Error(), missing.Error()) {
				t.Errorf("gpu without one: %v, want %v", err, missing)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		kind := "cpu "
		if want != "cpu" && missing == nil {
			kind = "gpu "
		}
		if !strings.HasPrefix(d.Describe(), kind) {
			t.Errorf("%s opens %s", want, d.Describe())
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
