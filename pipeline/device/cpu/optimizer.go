package cpu

/*
#include "kernels.h"
*/
import "C"

import (
	"fmt"
	"math"
	"unsafe"

	"catdog/pipeline/device"
)

type optimizer struct {
	device    *Device
	spec      device.OptimizerSpec
	run       C.operation
	arguments C.struct_optimizer_arguments
	state     map[string]device.Vector
}

func (d *Device) NewOptimizer(spec device.OptimizerSpec) (device.Optimizer, error) {
	if spec.Length < 0 || spec.Length%device.Alignment != 0 {
		return nil, fmt.Errorf("new optimizer: %d elements, not a multiple of %d", spec.Length, device.Alignment)
	}
	groups := spec.Length / device.Alignment
	if len(spec.Decayed) != groups {
		return nil, fmt.Errorf("new optimizer: weight decay given for %d groups of %d", len(spec.Decayed), groups)
	}
	p := &optimizer{device: d, spec: spec, state: map[string]device.Vector{}}
	decayed, err := allocate[C.uint8_t](d, groups)
	if err != nil {
		return nil, fmt.Errorf("new optimizer: %w", err)
	}
	for i, decay := range spec.Decayed {
		unsafe.Slice(decayed, groups)[i] = C.uint8_t(boolean(decay))
	}
	p.arguments = C.struct_optimizer_arguments{
		decayed: decayed, length: C.size_t(spec.Length),
		momentum: C.float(spec.Momentum), beta1: C.float(spec.Beta1), beta2: C.float(spec.Beta2), epsilon: C.float(spec.Epsilon),
		threads: C.int(d.threads),
	}
	switch spec.Name {
	case "sgd":
		p.run = d.kernels.optimizer_sgd
		p.arguments.moment1, err = p.keep("momentum", nil)
	case "adamw":
		p.run = d.kernels.optimizer_adamw
		p.arguments.moment1, err = p.keep("moment1", nil)
		p.arguments.moment2, err = p.keep("moment2", err)
	default:
		return nil, fmt.Errorf("new optimizer: name %q, known are sgd and adamw", spec.Name)
	}
	if spec.AverageDecay > 0 {
		p.arguments.average, err = p.keep("average", err)
	}
	if err != nil {
		return nil, fmt.Errorf("new optimizer: %w", err)
	}
	return p, nil
}

// keep makes a vector of the state, unless something has failed already.
func (p *optimizer) keep(name string, failed error) (*C.float, error) {
	if failed != nil {
		return nil, failed
	}
	v, err := p.device.NewVector(p.spec.Length)
	if err != nil {
		return nil, err
	}
	p.state[name] = v
	return v.(*vector).data, nil
}

func (p *optimizer) State() map[string]device.Vector { return p.state }

func (p *optimizer) Step(step int, learningRate float32, weights, gradients device.Vector) error {
	s := p.spec
	o := p.device.operands()
	a := p.arguments
	a.weights = o.vector("weights", weights, s.Length)
	a.gradients = o.vector("gradients", gradients, s.Length)
	if o.err != nil {
		return fmt.Errorf("optimizer step %d: %w", step, o.err)
	}
	a.rate, a.decay = C.float(learningRate), C.float(s.WeightDecay)
	t := float64(step)
	a.correction1 = C.float(1 / (1 - math.Pow(float64(s.Beta1), t)))
	a.correction2 = C.float(1 / (1 - math.Pow(float64(s.Beta2), t)))
	a.average_decay = C.float(min(float64(s.AverageDecay), (1+t)/(10+t)))
	p.device.submit(p.run, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return nil
}
