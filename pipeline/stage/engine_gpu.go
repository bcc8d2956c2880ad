//go:build gpu

package stage

import (
	"fmt"

	"catdog/pipeline/device/gpu"
	"catdog/pipeline/params"
)

func init() {
	describeGPU = func(train params.Train, opened bool) (string, error) {
		if _, err := gpu.Precision(train.Precision); err != nil {
			return "", err
		}
		description, err := gpu.Describe()
		if err != nil || !opened {
			return description, err
		}
		d, err := gpu.New()
		if err != nil {
			return "", err
		}
		if err := d.Close(); err != nil {
			return "", fmt.Errorf("close the gpu: %w", err)
		}
		return description, nil
	}
}
