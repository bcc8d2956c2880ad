package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"catdog/pipeline/device"
)

// OptimizerStep adds the update, in place, of a vector that holds all
// parameters, from a vector that holds all gradients. step (int64, counts from
// 1) and learningRate (float32) are scalars; after are the nodes that must
// have run before: the gradients.
func (g *Graph) OptimizerStep(name string, d device.Optimizer, weights, gradients device.Vector, step, learningRate *gorgonia.Node, after ...*gorgonia.Node) (*gorgonia.Node, error) {
	o := &operation{
		graph:  g,
		name:   "optimizer step of " + name,
		inputs: []input{{tensor.Int64, nil}, {tensor.Float32, nil}},
		result: NewVector(weights, weights.Len()),
		run: func(in []gorgonia.Value) error {
			return d.Step(int(*in[0].(*gorgonia.I64)), float32(*in[1].(*gorgonia.F32)), weights, gradients)
		},
	}
	for _, n := range after {
		o.inputs = append(o.inputs, floats(n.Shape()...))
	}
	return gorgonia.ApplyOp(o, append(gorgonia.Nodes{step, learningRate}, after...)...)
}
