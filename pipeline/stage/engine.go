package stage

import (
	"fmt"
	"strings"

	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/params"
)

// describeGPU names what the GPU would compute with for section train, or says
// why it can't; opened asks it to open the GPU for a moment, to be sure.
// Builds with the tag gpu set it.
var describeGPU func(train params.Train, opened bool) (string, error)

// describeEngine names what train's parameters mean on this machine, without
// linking oneDNN.
func describeEngine(train params.Train, opened bool) string {
	if describeGPU != nil && train.Device != "cpu" {
		if description, err := describeGPU(train, opened); err == nil {
			return description
		}
	}
	return isa.Describe(train.Threads, isa.Precision(train.Precision))
}

// ComputesOn makes sure that a stage computes on what its output's key names:
// the description of a device that was opened must be that of the engine or
// say more.
func (j *Job) ComputesOn(device string) error {
	if j.Engine != "" && !strings.HasPrefix(device+" ", j.Engine+" ") {
		return fmt.Errorf("computes on %q, the plan was for %q; run make again", device, j.Engine)
	}
	return nil
}
