package reference

import (
	"errors"
	"fmt"

	"catdog/pipeline/device"
)

type dropout struct{ device.DropoutSpec }

func (reference) NewDropout(spec device.DropoutSpec) (device.Dropout, error) {
	if !(spec.Rate >= 0 && spec.Rate < 1) {
		return nil, fmt.Errorf("dropout: rate %g is not in [0, 1)", spec.Rate)
	}
	return dropout{spec}, nil
}

func (d dropout) Forward(seed uint64, x, y device.Activation) error {
	if err := errors.Join(
		checkShape("dropout: input", x, d.Batch, d.Height, d.Width, d.Channels),
		checkShape("dropout: output", y, d.Batch, d.Height, d.Width, d.Channels)); err != nil {
		return err
	}
	for i, v := range data(x) {
		if device.DropoutKeep(seed, uint64(i), d.Rate) {
			data(y)[i] = v / (1 - d.Rate)
		} else {
			data(y)[i] = 0
		}
	}
	return nil
}

// Backward is the same linear map as Forward.
func (d dropout) Backward(seed uint64, dy, dx device.Activation) error {
	return d.Forward(seed, dy, dx)
}
