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
// which one it took.
func Device(p params.Train) (device.Device, error) {
	precision := p.Precision
	if precision == "auto" {
		precision = "float32"
	}
	why := "train.device is cpu"
	if p.Device != "cpu" {
		var d *gpu.Device
		err := fmt.Errorf("the gpu computes in float32, not in %s", precision)
		if precision == "float32" {
			d, err = gpu.New()
		}
		if err == nil {
			fmt.Fprintf(os.Stderr, "device    %s\n", d.Describe())
			return d, nil
		}
		if p.Device == "gpu" {
			return nil, fmt.Errorf("train.device: gpu: %w", err)
		}
		why = err.Error()
	}
	d, err := cpu.New(cpu.Options{Threads: p.Threads, Precision: precision})
	if err != nil {
		return nil, fmt.Errorf("train.device: %w", err)
	}
	fmt.Fprintf(os.Stderr, "device    %s (%s)\n", d.Describe(), why)
	return d, nil
}
