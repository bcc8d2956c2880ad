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
	_, missing := gpu.Describe()
	for _, want := range []string{"auto", "gpu", "cpu"} {
		d, err := Device(params.Train{Device: want, Precision: "auto"})
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
