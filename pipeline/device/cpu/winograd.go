package cpu

/*
#include "convolution.h"
#include "kernels.h"
*/
import "C"

import (
	"unsafe"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu/isa"
)

// winogradFits says whether our own kernels can compute a convolution.
func winogradFits(s device.ConvolutionSpec) bool {
	return s.Kernel == 3 && s.Stride == 1 && s.Padding == 1 && !isPlain(s.In)
}

// narrow maps have a side of fewer than three pixels. oneDNN has but its
// reference loops for their weights' gradient: 5 s where ours take 10 ms (2.6.3
// on AVX2, 256 channels, 128 maps of 2×2).
func narrow(s device.ConvolutionSpec) bool { return min(s.Height, s.Width) < 3 }

// chooseWinograd decides by the shape alone, so that Describe's words stand for
// the choice. Our own kernels compute whatever they can, so that the number of
// threads changes no digit. Beside oneDNN's direct convolutions they are up to
// 2.7 times as fast; on maps of 5×5 and 3×3 pixels as fast, a fifth more or
// less; and slower where there is next to nothing to do: 0.6 ms in place of 0.2
// for two maps of 8×8, 128 channels. (With AVX-512 and fewer than 16 channels,
// oneDNN 2.6.3 has but its reference loops, which take a second.) In bfloat16,
// which has eight binary digits, all but narrow maps are direct: Winograd's
// transforms would cost two or three of them.
func (d *Device) chooseWinograd(s device.ConvolutionSpec) bool {
	return (d.own() || narrow(s) && d.winograd != never) && winogradFits(s)
}

// own says that our own kernels compute all that they can.
func (d *Device) own() bool { return d.winograd == ours && !d.bfloat16 }

// winogradSource says whose Winograd convolutions a device uses.
type winogradSource string

const (
	ours    winogradSource = isa.Winograd
	oneDNNs winogradSource = "oneDNN's winograd" // where oneDNN has them and finds them best, to compare
	never   winogradSource = isa.Direct
)

func (c *convolution) makeWinograd() error {
	d, s := c.device, c.spec
	c.winograd = &C.struct_winograd_arguments{
		workspace: d.workspace,
		batch:     C.int(s.Batch), height: C.int(s.Height), width: C.int(s.Width), in: C.int(s.In), out: C.int(s.Out),
		threads: C.int(d.threads),
	}
	if !s.Inference {
		sums, err := allocate[C.double](d, 2*roundUp(s.Out, device.Alignment))
		if err != nil {
			return err
		}
		c.winograd.sums = sums
	}
	return nil
}

func (c *convolution) winogradForward(x, w, y *C.float, to *activation) {
	a := *c.winograd
	a.x, a.w, a.y = x, w, y
	if a.sums != nil {
		c.sum(to, a.sums)
	}
	c.device.submit(c.device.kernels.winograd_forward, unsafe.Pointer(&a), unsafe.Sizeof(a))
}

func (c *convolution) winogradBackwardInput(dy, w, addend, dx *C.float) {
	a := *c.winograd
	a.x, a.w, a.addend, a.y, a.sums = dy, w, addend, dx, nil
	a.in, a.out, a.turn = a.out, a.in, 1
	c.device.submit(c.device.kernels.winograd_forward, unsafe.Pointer(&a), unsafe.Sizeof(a))
}

func (c *convolution) winogradBackwardWeights(x, dy, dw *C.float) {
	a := *c.winograd
	a.x, a.dy, a.dw = x, dy, dw
	c.device.submit(c.device.kernels.winograd_backward_weights, unsafe.Pointer(&a), unsafe.Sizeof(a))
}
