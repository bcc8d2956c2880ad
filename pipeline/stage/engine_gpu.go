//go:build gpu

package stage

import (
	"fmt"

	"catdog/pipeline/device/gpu"
	"catdog/pipeline/params"
)

func init() {
	describeGPU = func(train params.Train, opened bool) (string, error) {
		options := gpu.ForTraining(train)
		description, err := gpu.Describe(options)
		if err != nil || !opened {
			return description, err
		}
		d, err := gpu.New(options)
		if err != nil {
			return "", err
		}
		if err := d.Close(); err != nil {
			return "", fmt.Errorf("close the gpu: %w", err)
		}
		return description, nil
	}
}
