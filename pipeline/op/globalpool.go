package op

import (
	"gorgonia.org/gorgonia"

	"catdog/pipeline/device"
)

type globalPool struct {
	operation
	spec   device.GlobalPoolSpec
	device device.GlobalPool
}

// GlobalPool adds the maximum or mean over height and width.
func (g *Graph) GlobalPool(name string, spec device.GlobalPoolSpec, d device.GlobalPool, x *gorgonia.Node) (*gorgonia.Node, error) {
	y, err := g.lend(spec.Batch, 1, 1, spec.Channels)
	if err != nil {
		return nil, err
	}
	p := &globalPool{
		operation: operation{
			graph:  g,
			name:   "global pool " + name,
			inputs: []input{floats(spec.Batch, spec.Height, spec.Width, spec.Channels)},
			result: y,
		},
		spec: spec, device: d,
	}
	p.run = func(in []gorgonia.Value) error { return d.Forward(activation(in[0]), y.On) }
	return gorgonia.ApplyOp(p, x)
}

func (p *globalPool) DiffWRT(int) []bool { return []bool{true} }

func (p *globalPool) SymDiff(inputs gorgonia.Nodes, output, gradient *gorgonia.Node) (gorgonia.Nodes, error) {
	dx, err := p.graph.lend(p.spec.Batch, p.spec.Height, p.spec.Width, p.spec.Channels)
	if err != nil {
		return nil, err
	}
	out := floats(p.result.Shape()...)
	node, err := gorgonia.ApplyOp(&operation{
		graph:  p.graph,
		name:   "gradient of " + p.name,
		inputs: []input{p.inputs[0], out, out},
		result: dx,
		run: func(in []gorgonia.Value) error {
			return p.device.Backward(activation(in[0]), activation(in[1]), activation(in[2]), dx.On)
		},
	}, inputs[0], output, gradient)
	p.graph.Retire(output, gradient)
	return gorgonia.Nodes{node}, err
}
