//go:build gpu

package gpu

import (
	"fmt"

	"catdog/pipeline/device"
)

type dropout struct {
	device.DropoutSpec
	device *Device
}

func (d *Device) NewDropout(spec device.DropoutSpec) (device.Dropout, error) {
	if !(spec.Rate >= 0 && spec.Rate < 1) {
		return nil, fmt.Errorf("new dropout: rate %g is not in [0, 1)", spec.Rate)
	}
	return dropout{spec, d}, nil
}

func (d dropout) Forward(seed uint64, x, y device.Activation) error {
	o := d.device.operands("dropout")
	positions := d.Batch * d.Height * d.Width
	return o.submit(d.device.over(positions*pitch(d.Channels)/octet, "dropout",
		o.activation("input", x, d.Batch, d.Height, d.Width, d.Channels), o.activation("output", y, d.Batch, d.Height, d.Width, d.Channels),
		d.device.stepSeed, seed, positions, d.Channels, pitch(d.Channels), device.DropoutThreshold(d.Rate), d.Rate))
}

// Backward is the same linear map as Forward.
func (d dropout) Backward(seed uint64, dy, dx device.Activation) error {
	return d.Forward(seed, dy, dx)
}
