package op

import (
	"gorgonia.org/gorgonia"

	"catdog/pipeline/device"
)

type dense struct {
	operation
	spec         device.DenseSpec
	device       device.Dense
	weight, bias Parameter
}

// Dense adds a fully connected layer; the weight's shape is out,
// height·width·channels, the result's batch, out.
func (g *Graph) Dense(name string, spec device.DenseSpec, d device.Dense, x *gorgonia.Node, weight, bias Parameter) (*gorgonia.Node, error) {
	y, err := g.Buffers.NewVector(spec.Batch * spec.Out)
	if err != nil {
		return nil, err
	}
	o := &dense{
		operation: operation{
			graph: g,
			name:  "dense " + name,
			inputs: []input{
				floats(spec.Batch, spec.Height, spec.Width, spec.Channels),
				floats(spec.Out, spec.Height*spec.Width*spec.Channels),
				floats(spec.Out),
			},
			result: NewVector(y, spec.Batch, spec.Out),
		},
		spec: spec, device: d, weight: weight, bias: bias,
	}
	o.run = func(in []gorgonia.Value) error {
		return d.Forward(activation(in[0]), vector(in[1]), vector(in[2]), y)
	}
	return gorgonia.ApplyOp(o, x, weight.Node, bias.Node)
}

func (o *dense) DiffWRT(int) []bool { return []bool{true, true, true} }

func (o *dense) SymDiff(inputs gorgonia.Nodes, output, gradient *gorgonia.Node) (gorgonia.Nodes, error) {
	dx, err := o.graph.lend(o.spec.Batch, o.spec.Height, o.spec.Width, o.spec.Channels)
	if err != nil {
		return nil, err
	}
	node, err := gorgonia.ApplyOp(&operation{
		graph:  o.graph,
		name:   "gradient of " + o.name,
		inputs: []input{o.inputs[0], o.inputs[1], floats(o.result.Shape()...)},
		result: dx,
		run: func(in []gorgonia.Value) error {
			return o.device.Backward(activation(in[0]), vector(in[1]), vector(in[2]), dx.On, o.weight.Gradient, o.bias.Gradient)
		},
	}, inputs[0], inputs[1], gradient)
	if err != nil {
		return nil, err
	}
	side, err := o.graph.sideGradients(node, o.weight, o.bias)
	return append(gorgonia.Nodes{node}, side...), err
}
