package model

import (
	"fmt"
	"os"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu"
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/params"
)

// openGPU opens the GPU for section train; builds with the tag gpu set it.
var openGPU func(params.Train) (device.Device, error)

// Device opens the device that section train of params.yaml asks for. A build
// that knows GPUs says which one it took, and why it is not the GPU.
func Device(p params.Train) (device.Device, error) {
	if openGPU == nil && p.Device == "gpu" {
		return nil, fmt.Errorf("train.device: gpu: this build has none (make GPU=1 makes one that has); auto or cpu trains on the CPU")
	}
	why := "train.device is cpu"
	if openGPU != nil && p.Device != "cpu" {
		d, err := openGPU(p)
		if err == nil {
			fmt.Fprintf(os.Stderr, "device    %s\n", d.Describe())
			return d, nil
		}
		if p.Device == "gpu" {
			return nil, fmt.Errorf("train.device: gpu: %w", err)
		}
		why = err.Error()
	}
	d, err := cpu.New(cpu.Options{Threads: p.Threads, Precision: isa.Precision(p.Precision)})
	if err != nil {
		return nil, fmt.Errorf("train.device: %w", err)
	}
	if openGPU != nil {
		fmt.Fprintf(os.Stderr, "device    %s (%s)\n", d.Describe(), why)
	}
	return d, nil
}
