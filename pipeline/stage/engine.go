//go:build !gpu

package stage

import (
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/params"
)

// describeEngine names what train's parameters mean on this machine, without
// linking any of it. A GPU that is asked for is another engine, though this build
// cannot open one: what the CPU computed does not stand for it.
func describeEngine(train params.Train) string {
	if train.Device == "gpu" {
		return "gpu"
	}
	precision := train.Precision
	if precision == "auto" {
		precision = "float32"
	}
	return isa.Describe(train.Threads, precision)
}
