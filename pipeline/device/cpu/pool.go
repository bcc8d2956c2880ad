package cpu

/*
#include "kernels.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"catdog/pipeline/device"
)

type globalPool struct {
	device    *Device
	spec      device.GlobalPoolSpec
	arguments C.struct_global_pool_arguments
}

func (d *Device) NewGlobalPool(spec device.GlobalPoolSpec) (device.GlobalPool, error) {
	if spec.Batch < 1 || spec.Height < 1 || spec.Width < 1 || spec.Channels < 1 {
		return nil, fmt.Errorf("new global pool: impossible %+v", spec)
	}
	return &globalPool{d, spec, C.struct_global_pool_arguments{
		batch: C.int(spec.Batch), height: C.int(spec.Height), width: C.int(spec.Width), channels: C.int(spec.Channels),
		average: boolean(spec.Average), threads: C.int(d.threads),
	}}, nil
}

func (g *globalPool) Forward(x, y device.Activation) error {
	s := g.spec
	o := g.device.operands()
	a := g.arguments
	a.x = o.read("x", x, s.Batch, s.Height, s.Width, s.Channels)
	a.y = o.write("y", y, s.Batch, 1, 1, s.Channels)
	if o.err != nil {
		return fmt.Errorf("global pool forward: %w", o.err)
	}
	g.device.submit(g.device.kernels.global_pool_forward, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return nil
}

func (g *globalPool) Backward(x, y, dy, dx device.Activation) error {
	s := g.spec
	o := g.device.operands()
	a := g.arguments
	a.x = o.read("x", x, s.Batch, s.Height, s.Width, s.Channels)
	// Only read by the kernel.
	a.y = o.read("y", y, s.Batch, 1, 1, s.Channels)
	a.dy = o.read("dy", dy, s.Batch, 1, 1, s.Channels)
	a.dx = o.write("dx", dx, s.Batch, s.Height, s.Width, s.Channels)
	if o.err != nil {
		return fmt.Errorf("global pool backward: %w", o.err)
	}
	g.device.submit(g.device.kernels.global_pool_backward, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return nil
}
