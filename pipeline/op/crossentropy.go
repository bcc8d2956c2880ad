package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"catdog/pipeline/device"
)

type crossEntropy struct {
	operation
	spec   device.CrossEntropySpec
	device device.CrossEntropy
}

// CrossEntropy adds the mean softmax cross-entropy of logits against targets,
// both batch × classes: a scalar.
func (g *Graph) CrossEntropy(spec device.CrossEntropySpec, d device.CrossEntropy, logits, targets *gorgonia.Node) (*gorgonia.Node, error) {
	loss := gorgonia.NewF32(0)
	table := floats(spec.Batch, spec.Classes)
	c := &crossEntropy{
		operation: operation{graph: g, name: "cross-entropy", inputs: []input{table, table}, result: loss},
		spec:      spec, device: d,
	}
	c.run = func(in []gorgonia.Value) error {
		value, err := d.Loss(vector(in[0]), vector(in[1]))
		*loss = gorgonia.F32(value)
		return err
	}
	return gorgonia.ApplyOp(c, logits, targets)
}

func (c *crossEntropy) DiffWRT(int) []bool { return []bool{true, false} }

func (c *crossEntropy) SymDiff(inputs gorgonia.Nodes, output, gradient *gorgonia.Node) (gorgonia.Nodes, error) {
	dlogits, err := c.graph.Buffers.NewVector(c.spec.Batch * c.spec.Classes)
	if err != nil {
		return nil, err
	}
	node, err := gorgonia.ApplyOp(&operation{
		graph:  c.graph,
		name:   "gradient of " + c.name,
		inputs: append(c.inputs[:2:2], input{tensor.Float32, nil}),
		result: NewVector(dlogits, c.spec.Batch, c.spec.Classes),
		run: func(in []gorgonia.Value) error {
			if g := *in[2].(*gorgonia.F32); g != 1 {
				return fmt.Errorf("the loss must be the graph's cost itself, not %v times it", g)
			}
			return c.device.Backward(vector(in[0]), vector(in[1]), dlogits)
		},
	}, inputs[0], inputs[1], gradient)
	return gorgonia.Nodes{node, nil}, err
}
