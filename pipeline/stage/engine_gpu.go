//go:build gpu

package stage

import (
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/device/gpu"
	"catdog/pipeline/params"
)

// describeEngine names what train's parameters mean on this machine.
func describeEngine(train params.Train) string {
	if train.Device != "cpu" {
		if description, err := gpu.Describe(gpu.ForTraining(train)); err == nil {
			return description
		}
	}
	precision := train.Precision
	if precision == "auto" {
		precision = "float32"
	}
	return isa.Describe(train.Threads, precision)
}
