//go:build gpu

package gpu

import "catdog/pipeline/device"

type globalPool struct {
	device.GlobalPoolSpec
	device *Device
}

func (d *Device) NewGlobalPool(spec device.GlobalPoolSpec) (device.GlobalPool, error) {
	return globalPool{spec, d}, nil
}

func (p globalPool) Forward(x, y device.Activation) error {
	o := p.device.operands("global pool forward")
	return o.submit(p.device.over(p.Batch*pitch(p.Channels)/octet, "pool_forward",
		o.activation("input", x, p.Batch, p.Height, p.Width, p.Channels), o.activation("output", y, p.Batch, 1, 1, p.Channels),
		p.Batch, p.Height*p.Width, pitch(p.Channels), p.Average))
}

func (p globalPool) Backward(x, y, dy, dx device.Activation) error {
	o := p.device.operands("global pool backward")
	return o.submit(p.device.over(p.Batch*pitch(p.Channels)/octet, "pool_backward",
		o.activation("input", x, p.Batch, p.Height, p.Width, p.Channels), o.activation("output's gradient", dy, p.Batch, 1, 1, p.Channels),
		o.activation("input's gradient", dx, p.Batch, p.Height, p.Width, p.Channels),
		p.Batch, p.Height*p.Width, pitch(p.Channels), p.Average))
}
