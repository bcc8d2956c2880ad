package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"catdog/pipeline/device"
)

type dropout struct {
	operation
	spec   device.DropoutSpec
	device device.Dropout
	seed   func(gorgonia.Value) uint64
}

// Dropout adds a dropout whose mask is drawn by seed, an int64 scalar. ordinal
// numbers the dropouts of a network, so that each draws a mask of its own.
func (g *Graph) Dropout(name string, spec device.DropoutSpec, d device.Dropout, x, seed *gorgonia.Node, ordinal int) (*gorgonia.Node, error) {
	y, err := g.lend(spec.Batch, spec.Height, spec.Width, spec.Channels)
	if err != nil {
		return nil, err
	}
	o := &dropout{
		operation: operation{
			graph:  g,
			name:   "dropout " + name,
			inputs: []input{floats(spec.Batch, spec.Height, spec.Width, spec.Channels), {tensor.Int64, nil}},
			result: y,
		},
		spec: spec, device: d,
		seed: func(v gorgonia.Value) uint64 { return uint64(*v.(*gorgonia.I64)) ^ uint64(ordinal)<<48 },
	}
	o.run = func(in []gorgonia.Value) error { return d.Forward(o.seed(in[1]), activation(in[0]), y.On) }
	return gorgonia.ApplyOp(o, x, seed)
}

func (o *dropout) DiffWRT(int) []bool { return []bool{true, false} }

func (o *dropout) SymDiff(inputs gorgonia.Nodes, output, gradient *gorgonia.Node) (gorgonia.Nodes, error) {
	dx, err := o.graph.lend(o.spec.Batch, o.spec.Height, o.spec.Width, o.spec.Channels)
	if err != nil {
		return nil, err
	}
	node, err := gorgonia.ApplyOp(&operation{
		graph:  o.graph,
		name:   "gradient of " + o.name,
		inputs: o.inputs,
		result: dx,
		run: func(in []gorgonia.Value) error {
			return o.device.Backward(o.seed(in[1]), activation(in[0]), dx.On)
		},
	}, gradient, inputs[1])
	o.graph.Retire(output, gradient)
	return gorgonia.Nodes{node, nil}, err
}
