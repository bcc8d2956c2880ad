package engine

import (
	"cmp"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"catdog/pipeline/device"
	"catdog/pipeline/network"
	"catdog/pipeline/op"
)

// layOut gives every array its place, the learnt ones in one layout and the
// running statistics in another.
func layOut(description *network.Description, layers []layer) (parameters, statistics *layout) {
	parameters, statistics = &layout{}, &layout{}
	for _, p := range description.Parameters() {
		s := slot{name: p.Name, shape: p.Shape, importer: plain{}, decayed: p.Role.Decayed()}
		length := (p.Elements() + device.Alignment - 1) / device.Alignment * device.Alignment
		switch l := layers[p.Layer]; {
		case l.Kind == network.Convolution:
			s.importer, length = l.convolution, l.convolution.WeightsLen()
		case l.Kind == network.Normalization:
			length = l.normalization.ParameterLen()
		case p.Role == network.Weight:
			s.importer, length = l.dense, l.dense.WeightsLen()
		}
		if p.Role.Learnt() {
			parameters.add(s, length)
		} else {
			statistics.add(s, length)
		}
	}
	return parameters, statistics
}

// variables adds a graph's input node for each array of a layout.
func variables(g *op.Graph, l *layout, v device.Vector) gorgonia.Nodes {
	nodes := make(gorgonia.Nodes, len(l.slots))
	for i, s := range l.slots {
		nodes[i] = g.Input(s.name, op.NewVector(s.in(v), s.shape...))
	}
	return nodes
}

// chain adds the layers to a graph and returns the logits' node. seed and
// gradients are nil in a graph for inference.
func (m *Machine) chain(g *op.Graph, layers []layer, images, seed *gorgonia.Node, parameters, statistics gorgonia.Nodes, gradients device.Vector) (*gorgonia.Node, error) {
	inference := gradients == nil
	outputs := make([]*gorgonia.Node, len(layers))
	skips := make([]*op.Skip, len(layers))
	for i, l := range layers {
		if l.adds() {
			skips[i] = &op.Skip{}
			skips[l.Skip+1] = skips[i]
		}
	}
	readers := lastReaders(layers)

	// Layers take their parameters and statistics in the order of the layouts.
	next := func() op.Parameter {
		i := len(m.parameters.slots) - len(parameters)
		p := op.Parameter{Node: parameters[0]}
		if !inference {
			p.Gradient = m.parameters.slots[i].in(gradients)
		}
		parameters = parameters[1:]
		return p
	}
	nextStatistics := func() op.Statistics {
		running := op.Statistics{Mean: statistics[0], Variance: statistics[1]}
		statistics = statistics[2:]
		return running
	}
	source := func(l layer) *gorgonia.Node {
		if l.adds() {
			return outputs[l.Skip]
		}
		return nil
	}
	x, dropouts := images, 0
	for i := 0; i < len(layers); i++ {
		var y *gorgonia.Node
		var err error
		first := i
		switch l := layers[i]; l.Kind {
		case network.Convolution:
			spec := m.options.convolutionSpec(l.Layer, i == 0, inference)
			if l.folded == nil && l.joined == nil {
				y, err = g.Convolution(l.Name, spec, l.convolution, x, next(), skips[i])
				break
			}
			i++
			following := m.options.normalizationSpec(layers[i].Layer, inference)
			weight, scale, shift := next(), next(), next()
			if l.joined != nil {
				y, err = g.Joined(l.Name, spec, following, l.joined, x, weight, scale, shift, nextStatistics())
			} else {
				y, err = g.Folded(l.Name, spec, following, l.folded, x, weight, scale, shift, nextStatistics(), source(layers[i]))
			}
		case network.Normalization:
			scale, shift := next(), next()
			y, err = g.Normalization(l.Name, m.options.normalizationSpec(l.Layer, inference), l.normalization, x,
				scale, shift, nextStatistics(), source(l), skips[i])
		case network.GlobalPool:
			y, err = g.GlobalPool(l.Name, m.options.globalPoolSpec(l.Layer), l.globalPool, x)
		case network.Dropout:
			if y = x; !inference {
				y, err = g.Dropout(l.Name, m.options.dropoutSpec(l.Layer), l.dropout, x, seed, dropouts)
				dropouts++
			}
		case network.Dense:
			weight, bias := next(), next()
			y, err = g.Dense(l.Name, m.options.denseSpec(l.Layer), l.dense, x, weight, bias)
		}
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", layers[i].Name, err)
		}
		outputs[i], x = y, y
		for j := range first {
			if inference && readers[j] >= first && readers[j] <= i {
				g.Retire(outputs[j])
			}
		}
	}
	return x, nil
}

// scalar adds an input node whose value is changed in place before each run.
func scalar(g *op.Graph, name string, v gorgonia.Value) *gorgonia.Node {
	return gorgonia.NewScalar(g.ExprGraph, v.Dtype(), gorgonia.WithName(name), gorgonia.WithValue(v))
}

// buildTraining makes the graph of one step: forward, backward, update.
func (m *Machine) buildTraining(layers []layer) (err error) {
	d, o := m.device, m.options
	g := &op.Graph{ExprGraph: gorgonia.NewGraph(gorgonia.WithGraphName("training")), Buffers: m.buffers}
	gradients, err := d.NewVector(m.parameters.length)
	if err != nil {
		return err
	}

	spec := device.OptimizerSpec{
		Name: o.Optimizer, Length: m.parameters.length,
		Momentum: o.Momentum, Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon,
		WeightDecay: o.WeightDecay, Decayed: m.parameters.decayed(), AverageDecay: o.AverageDecay,
	}
	if m.optimizer, err = d.NewOptimizer(spec); err != nil {
		return err
	}

	images := g.Input("images", op.NewActivation(m.trained.batch))
	targets := g.Input("targets", op.NewVector(m.targets, o.Batch, m.classes))
	step := scalar(g, "step", &m.step)
	learningRate := scalar(g, "learning rate", &m.learningRate)
	var seed *gorgonia.Node
	for _, l := range layers {
		if l.Kind == network.Dropout && seed == nil {
			seed = scalar(g, "seed", &m.seed)
		}
	}
	parameters := variables(g, m.parameters, m.weights)
	statistics := variables(g, m.statistics, m.running)
	logits, err := m.chain(g, layers, images, seed, parameters, statistics, gradients)
	if err != nil {
		return err
	}

	lossSpec := device.CrossEntropySpec{Batch: o.Batch, Classes: m.classes}
	crossEntropy, err := d.NewCrossEntropy(lossSpec)
	if err != nil {
		return err
	}
	cost, err := g.CrossEntropy(lossSpec, crossEntropy, logits, targets)
	if err != nil {
		return err
	}
	m.loss = cost.Op().(op.Result).Value().(*gorgonia.F32)

	derivatives, err := gorgonia.Grad(cost, parameters...)
	if err != nil {
		return fmt.Errorf("differentiate the network: %w", cmp.Or(m.buffers.Err(), err))
	}
	update, err := g.OptimizerStep("parameters", m.optimizer, m.weights, gradients, step, learningRate, derivatives...)
	if err != nil {
		return err
	}
	if err := m.averageStatistics(g, step, update); err != nil {
		return err
	}
	m.training, err = compile(g, logits)
	return err
}

// averageStatistics keeps the moving average of the running statistics: they
// are parameters of an optimiser that never moves them.
func (m *Machine) averageStatistics(g *op.Graph, step, after *gorgonia.Node) error {
	if m.options.AverageDecay == 0 || m.statistics.length == 0 {
		return nil
	}
	still, err := m.device.NewVector(m.statistics.length)
	if err != nil {
		return err
	}
	spec := device.OptimizerSpec{
		Name: "sgd", Length: m.statistics.length, Decayed: m.statistics.decayed(), AverageDecay: m.options.AverageDecay,
	}
	averager, err := m.device.NewOptimizer(spec)
	if err != nil {
		return err
	}
	m.runningAverage = averager.State()["average"]
	rate := gorgonia.NewScalar(g.ExprGraph, tensor.Float32, gorgonia.WithName("no learning rate"), gorgonia.WithValue(gorgonia.NewF32(0)))
	_, err = g.OptimizerStep("statistics", averager, m.running, still, step, rate, after)
	return err
}

// buildInference makes the graph that Predict runs.
func (m *Machine) buildInference(layers []layer) error {
	g := &op.Graph{ExprGraph: gorgonia.NewGraph(gorgonia.WithGraphName("inference")), Buffers: m.buffers, Changed: true}
	images := g.Input("images", op.NewActivation(m.predicted.batch))
	m.inferred.parameters = variables(g, m.parameters, m.weights)
	m.inferred.statistics = variables(g, m.statistics, m.running)
	logits, err := m.chain(g, layers, images, nil, m.inferred.parameters, m.inferred.statistics, nil)
	if err != nil {
		return err
	}
	m.inference, err = compile(g, logits)
	return err
}
