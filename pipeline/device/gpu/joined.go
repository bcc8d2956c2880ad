//go:build gpu

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
)

var _ device.Joiner = (*Device)(nil)

// joined is the first convolution with the normalisation behind it, on our own
// kernels: cuDNN's take five times as long as moving that layer's large output
// does, and write a gradient of it that only the weights' gradient reads.
type joined struct {
	convolution   *convolution
	normalization *normalization
	partial       cu.DevicePtr // sums: forward of the statistics, backward of the weights' gradients
}

// Blocks that share the images, and what each of them takes, as in
// kernels/joined.cu.
const (
	joinedParts                  = 264
	joinedColours, joinedColumns = 3, 32
	joinedPool, joinedPixels     = 2, 16
)

// joinedMost is how many pixels the kernels' indices do not count.
const joinedMost = 1 << 29

// Join is for what the kernels compute: 3×3 convolutions of images to a
// multiple of 32 channels, with 2×2 pooling, in bfloat16.
func (d *Device) Join(convolutional device.Convolution, normalizing device.Normalization) (device.Joined, error) {
	c, ok := convolutional.(*convolution)
	n, too := normalizing.(*normalization)
	if !ok || !too || c.device != d || n.device != d {
		return nil, fmt.Errorf("join: not a convolution and a normalization of this gpu")
	}
	if d.element() != 2 || !c.NoInputGradient || c.In > joinedColours || c.Out%sumChannels != 0 || n.Pool != joinedPool || n.Skip ||
		c.Kernel != 3 || c.Stride != 1 || c.Padding != 1 || c.Batch*c.Height*c.Width >= joinedMost {
		return nil, nil
	}
	if n.Batch != c.Batch || n.Height != c.height || n.Width != c.width || n.Channels != c.Out {
		return nil, fmt.Errorf("join: a convolution to %d×%d×%d×%d and a normalization of %d×%d×%d×%d",
			c.Batch, c.height, c.width, c.Out, n.Batch, n.Height, n.Width, n.Channels)
	}
	memory, err := d.allocate(4 * joinedParts * joinedColumns * c.Out)
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	return &joined{c, n, memory}, nil
}

// shared launches a kernel whose blocks share out so many tiles.
func (j *joined) shared(tiles int, kernel string, arguments ...any) launch {
	parts := min((tiles+warps-1)/warps, joinedParts)
	return launch{kernel: kernel, gridX: j.convolution.Out / sumChannels, gridY: parts, arguments: arguments}
}

func (j *joined) Forward(x device.Activation, w, scale, shift, runningMean, runningVariance device.Vector, between, y device.Activation) error {
	c, n := j.convolution, j.normalization
	o := c.device.operands("joined forward")
	length, made := n.ParameterLen(), c.output(o, "convolution's output", between)
	tiles := c.Batch * c.height * ((c.width + joinedPixels - 1) / joinedPixels)
	return n.output(o, made, nil, y, j.shared(tiles, "joined_forward",
		c.input(o, "input", x), o.vector("weights", w, c.WeightsLen()), made,
		j.partial, n.tickets, n.coefficients, o.vector("scale", scale, length), o.vector("shift", shift, length),
		o.vector("running mean", runningMean, length), o.vector("running variance", runningVariance, length),
		c.Batch, c.height, c.width, c.out, n.Epsilon, n.Momentum))
}

func (j *joined) Backward(x, between, y, dy device.Activation, scale, shift device.Vector, dw, dscale, dshift device.Vector) error {
	c, n := j.convolution, j.normalization
	o := c.device.operands("joined backward")
	output, gradient := c.output(o, "convolution's output", between), n.result(o, "output's gradient", dy)
	tiles := c.Batch * ((c.height + 1) / joinedPool) * ((c.width + joinedPixels/joinedPool - 1) / (joinedPixels / joinedPool))
	sums := j.shared(tiles, "joined_backward",
		c.input(o, "input", x), output, gradient, n.coefficients, j.partial, c.Batch, c.height, c.width, c.out, n.ReLU)
	return o.submit(n.gradients(o, output, gradient, dscale, dshift), sums,
		over(32*c.WeightsLen(), "joined_weights", j.partial, o.vector("weights' gradient", dw, c.WeightsLen()), sums.gridY, c.out))
}
