package op

import (
	"gorgonia.org/gorgonia"

	"catdog/pipeline/device"
)

type joined struct {
	operation
	device               device.Joined
	between              device.Activation
	weight, scale, shift Parameter
}

// Joined adds, for training, the first convolution with the normalisation
// behind it as one operation, whose inputs are those of both: see Convolution
// and Normalization.
func (g *Graph) Joined(name string, convolution device.ConvolutionSpec, normalization device.NormalizationSpec, d device.Joined, x *gorgonia.Node, weight, scale, shift Parameter, statistics Statistics) (*gorgonia.Node, error) {
	between, err := g.Buffers.Get(normalization.Batch, normalization.Height, normalization.Width, normalization.Channels)
	if err != nil {
		return nil, err
	}
	y, err := g.lend(normalization.Batch, normalization.Height/normalization.Pool, normalization.Width/normalization.Pool, normalization.Channels)
	if err != nil {
		return nil, err
	}
	channels := floats(convolution.Out)
	j := &joined{
		operation: operation{
			graph: g,
			name:  "joined convolution " + name,
			inputs: []input{
				floats(convolution.Batch, convolution.Height, convolution.Width, convolution.In),
				floats(convolution.Out, convolution.In, convolution.Kernel, convolution.Kernel),
				channels, channels, channels, channels,
			},
			result: y,
		},
		device: d, between: between, weight: weight, scale: scale, shift: shift,
	}
	j.run = func(in []gorgonia.Value) error {
		return d.Forward(activation(in[0]), vector(in[1]), vector(in[2]), vector(in[3]), vector(in[4]), vector(in[5]), between, y.On)
	}
	return gorgonia.ApplyOp(j, x, weight.Node, scale.Node, shift.Node, statistics.Mean, statistics.Variance)
}

// DiffWRT leaves out the image and the statistics.
func (j *joined) DiffWRT(int) []bool { return []bool{false, true, true, true, false, false} }

func (j *joined) SymDiff(inputs gorgonia.Nodes, output, gradient *gorgonia.Node) (gorgonia.Nodes, error) {
	out := floats(j.result.Shape()...)
	dw, err := gorgonia.ApplyOp(&operation{
		graph:  j.graph,
		name:   "gradient of " + j.weight.Name(),
		inputs: []input{j.inputs[0], out, out, j.inputs[2], j.inputs[3]},
		result: NewVector(j.weight.Gradient, j.inputs[1].shape...),
		run: func(in []gorgonia.Value) error {
			return j.device.Backward(activation(in[0]), j.between, activation(in[1]), activation(in[2]), vector(in[3]), vector(in[4]),
				j.weight.Gradient, j.scale.Gradient, j.shift.Gradient)
		},
	}, inputs[0], output, gradient, inputs[2], inputs[3])
	if err != nil {
		return nil, err
	}
	side, err := j.graph.sideGradients(dw, j.scale, j.shift)
	if err != nil {
		return nil, err
	}
	j.graph.Buffers.Put(j.between)
	j.graph.Retire(output, gradient)
	return gorgonia.Nodes{nil, dw, side[0], side[1], nil, nil}, nil
}
