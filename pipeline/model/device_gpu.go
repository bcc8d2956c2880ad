//go:build gpu

package model

import (
	"catdog/pipeline/device"
	"catdog/pipeline/device/gpu"
	"catdog/pipeline/params"
)

func init() {
	openGPU = func(p params.Train) (device.Device, error) {
		if _, err := gpu.Precision(p.Precision); err != nil {
			return nil, err
		}
		d, err := gpu.New()
		if err != nil {
			return nil, err // not d: a nil *gpu.Device would not be a nil Device
		}
		return d, nil
	}
}
