//go:build !gpu

package stage

import (
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/params"
)

// describeEngine names what train's parameters mean on this machine, without
// linking any of it.
func describeEngine(train params.Train) string {
	precision := train.Precision
	if precision == "auto" {
		precision = "float32"
	}
	return isa.Describe(train.Threads, precision)
}
