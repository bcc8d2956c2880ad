//go:build !gpu

package model

import (
	"errors"
	"fmt"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu"
	"catdog/pipeline/params"
)

// Device opens the device that section train of params.yaml asks for.
func Device(p params.Train) (device.Device, error) {
	if p.Device == "gpu" {
		return nil, errors.New("train.device: gpu: this build has none; auto or cpu trains on the CPU")
	}
	precision := p.Precision
	if precision == "auto" {
		precision = "" // the CPU's own choice
	}
	d, err := cpu.New(cpu.Options{Threads: p.Threads, Precision: precision})
	if err != nil {
		return nil, fmt.Errorf("train.device: %w", err)
	}
	return d, nil
}
