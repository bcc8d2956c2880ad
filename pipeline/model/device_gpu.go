//go:build gpu

package model

import (
	"catdog/pipeline/device"
	"catdog/pipeline/device/gpu"
	"catdog/pipeline/params"
)

func init() {
	openGPU = func(p params.Train) (device.Device, error) {
		d, err := gpu.New(gpu.ForTraining(p))
		if err != nil {
			return nil, err // not d: a nil *gpu.Device would not be a nil Device
		}
		return d, nil
	}
}
