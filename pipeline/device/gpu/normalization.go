//go:build gpu

package gpu

import (
	"errors"
	"fmt"
	"math"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
)

type normalization struct {
	device.NormalizationSpec
	device                         *Device
	height, width                  int // of the output
	channels                       int // pitch
	coefficients, partial, tickets cu.DevicePtr
}

const (
	sumChannels, sumRows = 32, 64 // SUM_CHANNELS and SUM_ROWS of kernels/common.h
	coefficients         = 6      // their rows
	// sumBlocks are three for each of an H100's 132 multiprocessors, which all
	// run at once: each leaves partial sums that have to be added up.
	sumBlocks = 3 * 132
	// sweepBlocks let a thread that has read its channels' coefficients use
	// them for several octets.
	sweepBlocks = 1 << 11
)

func (d *Device) NewNormalization(spec device.NormalizationSpec) (device.Normalization, error) {
	if spec.Batch < 1 || spec.Channels < 1 || spec.Pool < 1 || spec.Height < spec.Pool || spec.Width < spec.Pool {
		return nil, fmt.Errorf("new normalization: impossible %+v", spec)
	}
	if spec.Skip && spec.Pool > 1 {
		return nil, errors.New("new normalization: a skip connection cannot follow pooling")
	}
	n := &normalization{
		NormalizationSpec: spec, device: d, height: spec.Height / spec.Pool, width: spec.Width / spec.Pool,
		channels: pitch(spec.Channels),
	}
	own, partial := coefficients*n.channels, 2*sumChannels*n.blocks()*n.parts(math.MaxInt32)
	memory, err := d.allocate(4 * (own + partial + n.blocks()))
	if err != nil {
		return nil, fmt.Errorf("new normalization: %w", err)
	}
	n.coefficients, n.partial, n.tickets = memory, memory+cu.DevicePtr(4*own), memory+cu.DevicePtr(4*(own+partial))
	return n, nil
}

func (n *normalization) ParameterLen() int { return roundUp(n.Channels, device.Alignment) }

// blocks is how many blocks share out the channels.
func (n *normalization) blocks() int { return (n.channels + sumChannels - 1) / sumChannels }

// parts is how many blocks share out so many rows of the same channels: no
// more than give each thread four rows.
func (n *normalization) parts(rows int) int {
	return max(1, min((rows+4*sumRows-1)/(4*sumRows), sumBlocks/n.blocks()))
}

// sums launches a kernel that adds up so many rows.
func (n *normalization) sums(rows int, kernel string, arguments ...any) launch {
	return launch{kernel: n.device.onElements(kernel), gridX: n.blocks(), gridY: n.parts(rows), arguments: arguments}
}

// sweep launches a kernel whose threads share out the octets of so many
// windows: a multiple of a window's octets.
func (n *normalization) sweep(windows int, kernel string, arguments ...any) launch {
	l := n.device.over(windows*n.channels/octet, kernel, arguments...)
	several := n.channels / octet
	for power := threads; power > 1 && several%2 == 0; power /= 2 {
		several /= 2
	}
	l.gridX = roundUp(min(l.gridX, sweepBlocks), several)
	return l
}

// pooled is the kernel for the windows: there is one for those of 1 and of 2
// that leave nothing of an image out.
func (n *normalization) pooled(kernel string) string {
	if n.Pool <= 2 && n.Height%n.Pool == 0 && n.Width%n.Pool == 0 {
		return fmt.Sprintf("%s_pool%d", kernel, n.Pool)
	}
	return kernel
}

func (n *normalization) input(o *operands, name string, x device.Activation) cu.DevicePtr {
	return o.activation(name, x, n.Batch, n.Height, n.Width, n.Channels)
}

func (n *normalization) result(o *operands, name string, y device.Activation) cu.DevicePtr {
	return o.activation(name, y, n.Batch, n.height, n.width, n.Channels)
}

func (n *normalization) Forward(x device.Activation, scale, shift, runningMean, runningVariance device.Vector, skip, y device.Activation) error {
	o := n.device.operands("normalization forward")
	if n.Inference {
		o.err = errors.New("normalization forward: it was made for inference")
	}
	length, rows, in := n.ParameterLen(), n.Batch*n.Height*n.Width, n.input(o, "input", x)
	return n.output(o, in, skip, y, n.sums(rows, "normalization_statistics", in, n.partial, n.tickets, n.coefficients,
		o.vector("scale", scale, length), o.vector("shift", shift, length),
		o.vector("running mean", runningMean, length), o.vector("running variance", runningVariance, length),
		rows, n.channels, n.Epsilon, n.Momentum))
}

func (n *normalization) Infer(x device.Activation, scale, shift, runningMean, runningVariance device.Vector, skip, y device.Activation) error {
	o := n.device.operands("normalization infer")
	length := n.ParameterLen()
	return n.output(o, n.input(o, "input", x), skip, y, n.device.over(n.channels, "normalization_coefficients", n.coefficients,
		o.vector("scale", scale, length), o.vector("shift", shift, length),
		o.vector("running mean", runningMean, length), o.vector("running variance", runningVariance, length), n.channels, n.Epsilon))
}

// output queues what makes the coefficients, and what uses them.
func (n *normalization) output(o *operands, in cu.DevicePtr, skip, y device.Activation, before launch) error {
	kernel, added := n.pooled("normalization_forward"), cu.DevicePtr(0)
	if n.Skip {
		kernel, added = "normalization_forward_skip", n.result(o, "skip", skip)
	}
	return o.submit(before, n.sweep(n.Batch*n.height*n.width, kernel,
		in, n.coefficients, added, n.result(o, "output", y),
		n.Batch, n.Height, n.Width, n.channels, n.Pool, n.ReLU))
}

func (n *normalization) Backward(x, y, dy device.Activation, scale, shift device.Vector, dx device.Activation, dscale, dshift device.Vector) error {
	o := n.device.operands("normalization backward")
	in, dout, din := n.input(o, "input", x), n.result(o, "output's gradient", dy), n.input(o, "input's gradient", dx)
	windows := n.Batch * ((n.Height + n.Pool - 1) / n.Pool) * ((n.Width + n.Pool - 1) / n.Pool)
	return o.submit(n.gradients(o, in, dout, dscale, dshift),
		n.sweep(windows, n.pooled("normalization_backward"), in, dout, n.coefficients, din,
			n.Batch, n.Height, n.Width, n.channels, n.Pool, n.ReLU))
}

// gradients launches what writes those of scale and shift, and the coefficients
// of the input's.
func (n *normalization) gradients(o *operands, in, dout cu.DevicePtr, dscale, dshift device.Vector) launch {
	length := n.ParameterLen()
	return n.sums(n.Batch*n.height*n.width, n.pooled("normalization_gradients"), in, dout, n.partial, n.tickets, n.coefficients,
		o.vector("scale's gradient", dscale, length), o.vector("shift's gradient", dshift, length),
		n.Batch, n.Height, n.Width, n.channels, n.Pool, n.ReLU, length)
}
