//go:build gpu

package stage

import (
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/device/gpu"
	"catdog/pipeline/params"
)

// describeEngine names what train's parameters mean on this machine.
func describeEngine(train params.Train) string {
	precision := train.Precision
	if precision == "auto" {
		precision = "float32"
	}
	if train.Device != "cpu" && precision == "float32" {
		if description, err := gpu.Describe(); err == nil {
			return description
		}
	}
	return isa.Describe(train.Threads, precision)
}
