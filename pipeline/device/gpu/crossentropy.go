//go:build gpu

package gpu

import (
	"fmt"

	"catdog/pipeline/device"
)

type crossEntropy struct {
	device.CrossEntropySpec
	device *Device
	loss   device.Vector
}

func (d *Device) NewCrossEntropy(spec device.CrossEntropySpec) (device.CrossEntropy, error) {
	if spec.Batch < 1 || spec.Classes < 1 {
		return nil, fmt.Errorf("new cross-entropy: impossible %+v", spec)
	}
	loss, err := d.NewVector(1)
	if err != nil {
		return nil, fmt.Errorf("new cross-entropy: %w", err)
	}
	return crossEntropy{spec, d, loss}, nil
}

func (c crossEntropy) Loss(logits, targets device.Vector) (float32, error) {
	o := c.device.operands("cross-entropy")
	loss := make([]float32, 1)
	if err := o.submit(launch{kernel: "crossentropy_loss", gridX: 1, gridY: 1, arguments: []any{
		o.vector("logits", logits, c.Batch*c.Classes), o.vector("targets", targets, c.Batch*c.Classes),
		o.vector("loss", c.loss, 1), c.Batch, c.Classes,
	}}); err != nil {
		return 0, err
	}
	if c.device.recording != nil {
		return 0, nil // it stays on the GPU
	}
	c.loss.Download(loss)
	return loss[0], c.device.Err()
}

func (c crossEntropy) Backward(logits, targets, dlogits device.Vector) error {
	o := c.device.operands("cross-entropy backward")
	return o.submit(over(c.Batch, "crossentropy_backward",
		o.vector("logits", logits, c.Batch*c.Classes), o.vector("targets", targets, c.Batch*c.Classes),
		o.vector("logits' gradient", dlogits, c.Batch*c.Classes), c.Batch, c.Classes))
}
