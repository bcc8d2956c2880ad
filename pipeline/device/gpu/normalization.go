//go:build gpu

package gpu

import (
	"errors"
	"fmt"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
)

type normalization struct {
	device.NormalizationSpec
	device                 *Device
	height, width          int // of the output
	mean, inverse, partial cu.DevicePtr
}

// Sums by channel: SUM_CHANNELS and SUM_ROWS of kernels/common.h, and the most
// partial sums that are left of each channel.
const sumChannels, sumRows, mostParts = 32, 8, 256

func (d *Device) NewNormalization(spec device.NormalizationSpec) (device.Normalization, error) {
	if spec.Batch < 1 || spec.Channels < 1 || spec.Pool < 1 || spec.Height < spec.Pool || spec.Width < spec.Pool {
		return nil, fmt.Errorf("new normalization: impossible %+v", spec)
	}
	if spec.Skip && spec.Pool > 1 {
		return nil, errors.New("new normalization: a skip connection cannot follow pooling")
	}
	memory, err := d.allocate(4 * (2 + 2*mostParts) * spec.Channels)
	if err != nil {
		return nil, fmt.Errorf("new normalization: %w", err)
	}
	row := cu.DevicePtr(4 * spec.Channels)
	return &normalization{
		NormalizationSpec: spec, device: d, height: spec.Height / spec.Pool, width: spec.Width / spec.Pool,
		mean: memory, inverse: memory + row, partial: memory + 2*row,
	}, nil
}

func (n *normalization) ParameterLen() int { return roundUp(n.Channels, device.Alignment) }

// sums launches a kernel that leaves partial sums over so many rows, and says
// how many it leaves.
func (n *normalization) sums(rows int, kernel string, arguments ...any) (launch, int) {
	parts := max(1, min((rows+4*sumRows-1)/(4*sumRows), mostParts))
	return launch{kernel, (n.Channels + sumChannels - 1) / sumChannels, parts, arguments}, parts
}

func (n *normalization) Forward(x device.Activation, scale, shift, runningMean, runningVariance device.Vector, skip, y device.Activation) error {
	o := n.device.operands("normalization forward")
	if n.Inference {
		o.err = errors.New("normalization forward: it was made for inference")
	}
	in := o.activation("input", x, n.Batch, n.Height, n.Width, n.Channels)
	rows := n.Batch * n.Height * n.Width
	sums, parts := n.sums(rows, "normalization_sums", in, n.partial, rows, n.Channels)
	return n.output(o, in, n.mean, scale, shift, skip, y, sums,
		over(n.Channels, "normalization_statistics", in, n.partial, n.mean, n.inverse,
			o.vector("running mean", runningMean, n.Channels), o.vector("running variance", runningVariance, n.Channels),
			parts, rows, n.Channels, n.Epsilon, n.Momentum))
}

func (n *normalization) Infer(x device.Activation, scale, shift, runningMean, runningVariance device.Vector, skip, y device.Activation) error {
	o := n.device.operands("normalization infer")
	return n.output(o, o.activation("input", x, n.Batch, n.Height, n.Width, n.Channels), o.vector("running mean", runningMean, n.Channels),
		scale, shift, skip, y,
		over(n.Channels, "normalization_inverse", o.vector("running variance", runningVariance, n.Channels), n.inverse, n.Channels, n.Epsilon))
}

func (n *normalization) output(o *operands, in, mean cu.DevicePtr, scale, shift device.Vector, skip, y device.Activation, before ...launch) error {
	var added cu.DevicePtr
	if n.Skip {
		added = o.activation("skip", skip, n.Batch, n.height, n.width, n.Channels)
	}
	return o.submit(append(before, over(n.Batch*n.height*n.width*n.Channels, "normalization_forward",
		in, mean, n.inverse, o.vector("scale", scale, n.Channels), o.vector("shift", shift, n.Channels), added,
		o.activation("output", y, n.Batch, n.height, n.width, n.Channels),
		n.Batch, n.Height, n.Width, n.Channels, n.Pool, n.ReLU))...)
}

func (n *normalization) Backward(x, y, dy device.Activation, scale, shift device.Vector, dx device.Activation, dscale, dshift device.Vector) error {
	o := n.device.operands("normalization backward")
	in := o.activation("input", x, n.Batch, n.Height, n.Width, n.Channels)
	dout := o.activation("output's gradient", dy, n.Batch, n.height, n.width, n.Channels)
	din := o.activation("input's gradient", dx, n.Batch, n.Height, n.Width, n.Channels)
	scales, shifts := o.vector("scale", scale, n.Channels), o.vector("shift", shift, n.Channels)
	length := n.ParameterLen()
	dscales, dshifts := o.vector("scale's gradient", dscale, length), o.vector("shift's gradient", dshift, length)
	sums, parts := n.sums(n.Batch*n.height*n.width, "normalization_gradient_sums",
		in, dout, n.mean, n.inverse, scales, shifts, n.partial, n.Batch, n.Height, n.Width, n.Channels, n.Pool, n.ReLU)
	windows := n.Batch * ((n.Height + n.Pool - 1) / n.Pool) * ((n.Width + n.Pool - 1) / n.Pool)
	return o.submit(sums,
		over(length, "normalization_gradients", n.partial, dscales, dshifts, parts, n.Channels, length),
		over(windows*n.Channels, "normalization_backward", in, dout, n.mean, n.inverse, scales, shifts, dscales, dshifts, din,
			n.Batch, n.Height, n.Width, n.Channels, n.Pool, n.ReLU))
}
