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

type crossEntropy struct {
	device *Device
	spec   device.CrossEntropySpec
	loss   *C.float
}

func (d *Device) NewCrossEntropy(spec device.CrossEntropySpec) (device.CrossEntropy, error) {
	if spec.Batch < 1 || spec.Classes < 1 {
		return nil, fmt.Errorf("new cross-entropy: impossible %+v", spec)
	}
	loss, err := allocate[C.float](d, 1)
	if err != nil {
		return nil, fmt.Errorf("new cross-entropy: %w", err)
	}
	return &crossEntropy{d, spec, loss}, nil
}

func (e *crossEntropy) Loss(logits, targets device.Vector) (float32, error) {
	o := e.device.operands()
	a := e.arguments(&o, logits, targets)
	if o.err != nil {
		return 0, fmt.Errorf("cross-entropy: %w", o.err)
	}
	e.device.submit(e.device.kernels.cross_entropy_loss, unsafe.Pointer(&a), unsafe.Sizeof(a))
	if err := e.device.wait(); err != nil {
		return 0, err
	}
	return float32(*e.loss), nil
}

func (e *crossEntropy) Backward(logits, targets, dlogits device.Vector) error {
	o := e.device.operands()
	a := e.arguments(&o, logits, targets)
	a.dlogits = o.vector("dlogits", dlogits, e.spec.Batch*e.spec.Classes)
	if o.err != nil {
		return fmt.Errorf("cross-entropy backward: %w", o.err)
	}
	e.device.submit(e.device.kernels.cross_entropy_backward, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return nil
}

func (e *crossEntropy) arguments(o *operands, logits, targets device.Vector) C.struct_cross_entropy_arguments {
	length := e.spec.Batch * e.spec.Classes
	return C.struct_cross_entropy_arguments{
		logits: o.vector("logits", logits, length), targets: o.vector("targets", targets, length), loss: e.loss,
		batch: C.int(e.spec.Batch), classes: C.int(e.spec.Classes),
	}
}
