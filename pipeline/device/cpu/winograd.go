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
func (d *Device) winogradFits(s device.ConvolutionSpec) bool {
	return s.Kernel == 3 && s.Stride == 1 && s.Padding == 1 && !d.isPlain(s.In)
}

// winogradPays says whether our own kernels are faster than oneDNN's direct
// convolution of a shape. They do a quarter of its multiplications (more where
// 4 does not divide height and width), but transform what they read and write
// and, once a call, the weights. Measured beside oneDNN 3.2 on a Zen 4: 1.8 to
// 2.7 times as fast with 32 channels and more, by AVX-512 as by AVX2; 0.9 to
// 2 times with 16 channels or maps of 6×6; slower with fewer than 16 tiles or
// maps of 5×5. Of maps with fewer than 3 pixels to a side oneDNN has but its
// reference loops for the weights' gradient: 5 s where ours take 10 ms (2.6.3
// on AVX2, 256 channels, 128 maps of 2×2).
func winogradPays(s device.ConvolutionSpec) bool {
	if narrow(s) {
		return true
	}
	tiles := (s.Height + 3) / 4 * ((s.Width + 3) / 4)
	return s.In >= 16 && s.Out >= 16 && 36*tiles*2 <= 9*s.Height*s.Width && s.Batch*tiles >= 16
}

func narrow(s device.ConvolutionSpec) bool { return min(s.Height, s.Width) < 3 }

// chooseWinograd decides by the shape alone, so that Describe's words stand for
// the choice. In bfloat16, which has eight binary digits, all but narrow maps are
// direct: Winograd's transforms would cost two or three of them.
func (d *Device) chooseWinograd(s device.ConvolutionSpec) bool {
	switch d.winograd {
	case always:
		return d.winogradFits(s)
	case never:
		return false
	}
	wanted := !d.bfloat16 && d.winograd == ours
	return (wanted || narrow(s)) && d.winogradFits(s) && winogradPays(s)
}

// winogradSource says whose Winograd convolutions a device uses.
type winogradSource string

const (
	ours    winogradSource = "own winograd"      // where winogradPays
	oneDNNs winogradSource = "oneDNN's winograd" // where oneDNN has them and finds them best, to compare
	always  winogradSource = "only winograd"     // wherever they fit, for tests
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
		sums, err := allocate[C.double](d, 2*d.threads*roundUp(s.Out, device.Alignment))
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
