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

type dropout struct {
	device    *Device
	spec      device.DropoutSpec
	arguments C.struct_dropout_arguments
}

func (d *Device) NewDropout(spec device.DropoutSpec) (device.Dropout, error) {
	if spec.Batch < 1 || spec.Height < 1 || spec.Width < 1 || spec.Channels < 1 || !(spec.Rate >= 0 && spec.Rate < 1) {
		return nil, fmt.Errorf("new dropout: impossible %+v", spec)
	}
	return &dropout{d, spec, C.struct_dropout_arguments{
		threshold: C.uint32_t(device.DropoutThreshold(spec.Rate)), scale: C.float(1 / (1 - spec.Rate)),
		batch: C.int(spec.Batch), height: C.int(spec.Height), width: C.int(spec.Width), channels: C.int(spec.Channels),
		threads: C.int(d.threads),
	}}, nil
}

func (p *dropout) Forward(seed uint64, x, y device.Activation) error    { return p.apply(seed, x, y) }
func (p *dropout) Backward(seed uint64, dy, dx device.Activation) error { return p.apply(seed, dy, dx) }

func (p *dropout) apply(seed uint64, from, to device.Activation) error {
	s := p.spec
	o := p.device.operands()
	a := p.arguments
	keys := device.DropoutKeys(seed)
	a.keys = [2]C.uint32_t{C.uint32_t(keys[0]), C.uint32_t(keys[1])}
	a.x = o.read("input", from, s.Batch, s.Height, s.Width, s.Channels)
	a.y = o.write("output", to, s.Batch, s.Height, s.Width, s.Channels)
	if o.err != nil {
		return fmt.Errorf("dropout: %w", o.err)
	}
	p.device.submit(p.device.kernels.dropout, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return nil
}
