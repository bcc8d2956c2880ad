//go:build gpu

package gpu

import (
	"fmt"
	"math"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
)

type optimizer struct {
	device.OptimizerSpec
	device   *Device
	number   int // among the device's optimizers
	state    map[string]device.Vector
	schedule device.Vector // what changes by step
	decayed  device.Vector // a byte for each group of elements
}

func (d *Device) NewOptimizer(spec device.OptimizerSpec) (device.Optimizer, error) {
	names := map[string][]string{"sgd": {"momentum"}, "adamw": {"moment1", "moment2"}}[spec.Name]
	if names == nil {
		return nil, fmt.Errorf("new optimizer %q: want sgd or adamw", spec.Name)
	}
	if spec.AverageDecay != 0 {
		names = append(names, "average")
	}
	o := &optimizer{OptimizerSpec: spec, device: d, state: map[string]device.Vector{}}
	var err error
	vector := func(length int) (v device.Vector) {
		if err == nil {
			v, err = d.NewVector(length)
		}
		return v
	}
	for _, name := range names {
		o.state[name] = vector(spec.Length)
	}
	o.schedule = vector(scheduled)
	groups := (spec.Length + device.Alignment - 1) / device.Alignment
	bytes := make([]float32, (groups+3)/4)
	for i, decayed := range spec.Decayed[:min(groups, len(spec.Decayed))] {
		if decayed {
			bytes[i/4] = math.Float32frombits(math.Float32bits(bytes[i/4]) | 1<<(i%4*8))
		}
	}
	o.decayed = vector(len(bytes))
	if err != nil {
		return nil, fmt.Errorf("new optimizer: %w", err)
	}
	o.decayed.Upload(bytes)
	o.number = len(d.optimizers)
	d.optimizers = append(d.optimizers, o)
	return o, nil
}

func (o *optimizer) State() map[string]device.Vector { return o.state }

// values are what changes from step to step, as struct schedule of
// kernels/optimizer.cu.
func (o *optimizer) values(step int, learningRate float32) [scheduled]float32 {
	correction := func(beta float32) float32 { return float32(1 - math.Pow(float64(beta), float64(step))) }
	return [scheduled]float32{
		learningRate, correction(o.Beta1), correction(o.Beta2),
		float32(math.Min(float64(o.AverageDecay), float64(1+step)/float64(10+step))),
	}
}

const scheduled = 4 // numbers of a schedule

func (o *optimizer) Step(step int, learningRate float32, weights, gradients device.Vector) error {
	operands := o.device.operands("optimizer step")
	take := func(name string) cu.DevicePtr {
		if o.state[name] == nil {
			return 0
		}
		return operands.vector(name, o.state[name], o.Length)
	}
	now := operands.vector("schedule", o.schedule, scheduled)
	decayed := operands.vector("decayed", o.decayed, o.decayed.Len())
	w, g := operands.vector("weights", weights, o.Length), operands.vector("gradients", gradients, o.Length)
	var launches []launch
	if l := o.device.recording; l != nil {
		now = l.schedule(o)
	} else {
		v := o.values(step, learningRate)
		launches = append(launches, over(1, "optimizer_schedule", now, v[0], v[1], v[2], v[3]))
	}
	if o.Name == "sgd" {
		return operands.submit(append(launches, over(o.Length, "optimizer_sgd", now, w, g, take("momentum"), take("average"), decayed,
			uint64(o.Length), o.WeightDecay, o.Momentum))...)
	}
	return operands.submit(append(launches, over(o.Length, "optimizer_adamw", now, w, g, take("moment1"), take("moment2"), take("average"), decayed,
		uint64(o.Length), o.WeightDecay, o.Beta1, o.Beta2, o.Epsilon))...)
}
