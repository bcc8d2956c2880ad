package stage

import (
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/params"
)

// describeGPU names what the GPU would compute with for section train, or says
// why it can't; opened asks it to open the GPU for a moment, to be sure.
// Builds with the tag gpu set it.
var describeGPU func(train params.Train, opened bool) (string, error)

// describeEngine names what train's parameters mean on this machine, without
// linking oneDNN. If that is not a GPU where one was asked for, noGPU says why.
// A GPU that must be is another engine even where there is none: what the CPU
// computed does not stand for it.
func describeEngine(train params.Train, opened bool) (description string, noGPU error) {
	if describeGPU != nil && train.Device != "cpu" {
		if description, noGPU = describeGPU(train, opened && train.Device == "auto"); noGPU == nil {
			return description, nil
		}
	}
	if train.Device == "gpu" {
		return "gpu", noGPU
	}
	return isa.Detect().Describe(train.Threads, isa.Precision(train.Precision), train.Convolution), noGPU
}
