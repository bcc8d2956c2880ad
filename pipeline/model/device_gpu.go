//go:build gpu

package model

import (
	"fmt"
	"os"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu"
	"catdog/pipeline/device/gpu"
	"catdog/pipeline/params"
)

// Device opens the device that section train of params.yaml asks for, and says
// which one it took. auto takes a GPU only with cuDNN; gpu makes do with our
// own, slow convolutions.
func Device(p params.Train) (device.Device, error) {
	why := "train.device is cpu"
	if p.Device != "cpu" {
		d, err := gpu.New(gpu.ForTraining(p))
		if err == nil {
			fmt.Fprintf(os.Stderr, "device    %s\n", d.Describe())
			return d, nil
		}
		if p.Device == "gpu" {
			return nil, fmt.Errorf("train.device: gpu: %w", err)
		}
		why = err.Error()
	}
	precision := p.Precision
	if precision == "auto" {
		precision = "float32"
	}
	d, err := cpu.New(cpu.Options{Threads: p.Threads, Precision: precision})
	if err != nil {
		return nil, fmt.Errorf("train.device: %w", err)
	}
	fmt.Fprintf(os.Stderr, "device    %s (%s)\n", d.Describe(), why)
	return d, nil
}
