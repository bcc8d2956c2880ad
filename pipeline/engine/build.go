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

// check says what of a description the engine cannot compute.
func check(description *network.Description) error {
	if len(description.Layers) == 0 {
		return fmt.Errorf("the network has no layers")
	}
	in := description.Input
	skips := map[int]string{}
	for i, l := range description.Layers {
		if l.In != in {
			return fmt.Errorf("layer %s takes %v, but gets %v", l.Name, l.In, in)
		}
		in = l.Out
		if l.Kind != network.Normalization || l.Skip < 0 {
			continue
		}
		switch other, twice := skips[l.Skip]; {
		case l.Skip+1 >= i || description.Layers[l.Skip+1].Kind != network.Convolution:
			return fmt.Errorf("layer %s: what its skip goes around must begin with a convolution", l.Name)
		case description.Layers[l.Skip].Out != l.Out:
			return fmt.Errorf("layer %s adds %v to %v", l.Name, description.Layers[l.Skip].Out, l.Out)
		case twice:
			return fmt.Errorf("layers %s and %s both add the output of %s", other, l.Name, description.Layers[l.Skip].Name)
		}
		skips[l.Skip] = l.Name
	}
	last := description.Layers[len(description.Layers)-1]
	if want := (network.Shape{Height: 1, Width: 1, Channels: len(description.Classes)}); last.Kind != network.Dense || last.Out != want {
		return fmt.Errorf("the last layer, %s, is a %s with output %v, want a dense one with %v", last.Name, last.Kind, last.Out, want)
	}
	return nil
}

// A layer is a network's layer with its device's operation, one of these.
type layer struct {
	network.Layer
	convolution   device.Convolution
	normalization device.Normalization
	globalPool    device.GlobalPool
	dropout       device.Dropout
	dense         device.Dense
	// folded is, for inference, this convolution with the next layer, a
	// normalisation; nil where the device computes them one after the other.
	folded device.Folded
	// joined is the same for training, of the network's first two layers only.
	joined device.Joined
}

// adds says whether the layer adds an earlier one's output to its own.
func (l layer) adds() bool { return l.Kind == network.Normalization && l.Skip >= 0 }

func (o Options) convolutionSpec(l network.Layer, first, inference bool) device.ConvolutionSpec {
	return device.ConvolutionSpec{
		Batch: o.Batch, Height: l.In.Height, Width: l.In.Width, In: l.In.Channels, Out: l.Out.Channels,
		Kernel: l.Kernel, Stride: l.Stride, Padding: l.Padding,
		NoInputGradient: first, Inference: inference,
	}
}

func (o Options) normalizationSpec(l network.Layer, inference bool) device.NormalizationSpec {
	spec := device.NormalizationSpec{
		Batch: o.Batch, Height: l.In.Height, Width: l.In.Width, Channels: l.In.Channels,
		ReLU: l.ReLU, Pool: l.Pool, Skip: l.Skip >= 0,
		Epsilon: 1e-5, Momentum: 0.9, Inference: inference,
	}
	if o.NormEpsilon != 0 {
		spec.Epsilon = o.NormEpsilon
	}
	if o.NormMomentum != 0 {
		spec.Momentum = o.NormMomentum
	}
	return spec
}

func (o Options) globalPoolSpec(l network.Layer) device.GlobalPoolSpec {
	return device.GlobalPoolSpec{Batch: o.Batch, Height: l.In.Height, Width: l.In.Width, Channels: l.In.Channels, Average: l.Average}
}

func (o Options) dropoutSpec(l network.Layer) device.DropoutSpec {
	return device.DropoutSpec{Batch: o.Batch, Height: l.In.Height, Width: l.In.Width, Channels: l.In.Channels, Rate: l.Rate}
}

func (o Options) denseSpec(l network.Layer) device.DenseSpec {
	return device.DenseSpec{Batch: o.Batch, Height: l.In.Height, Width: l.In.Width, Channels: l.In.Channels, Out: l.Out.Channels}
}

// makeLayers makes the device's operations.
func makeLayers(description *network.Description, o Options, d device.Device, inference bool) ([]layer, error) {
	layers := make([]layer, len(description.Layers))
	for i, described := range description.Layers {
		l := layer{Layer: described}
		var err error
		switch described.Kind {
		case network.Convolution:
			spec := o.convolutionSpec(described, i == 0, inference)
			if h, w := spec.OutputSize(); h != described.Out.Height || w != described.Out.Width {
				return nil, fmt.Errorf("layer %s: output is %d×%d, described as %v", described.Name, h, w, described.Out)
			}
			l.convolution, err = d.NewConvolution(spec)
		case network.Normalization:
			l.normalization, err = d.NewNormalization(o.normalizationSpec(described, inference))
		case network.GlobalPool:
			l.globalPool, err = d.NewGlobalPool(o.globalPoolSpec(described))
		case network.Dropout:
			l.dropout, err = d.NewDropout(o.dropoutSpec(described))
		case network.Dense:
			l.dense, err = d.NewDense(o.denseSpec(described))
		default:
			err = fmt.Errorf("unknown kind %q", described.Kind)
		}
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", described.Name, err)
		}
		layers[i] = l
	}
	if folder, ok := d.(device.Folder); ok && inference {
		return layers, fold(folder, layers)
	}
	if joiner, ok := d.(device.Joiner); ok && !inference {
		return layers, join(joiner, layers)
	}
	return layers, nil
}

// fold folds normalisations into the convolutions before them, where the device
// does so.
func fold(d device.Folder, layers []layer) (err error) {
	for i := range len(layers) - 1 {
		l, next := &layers[i], &layers[i+1]
		if l.Kind != network.Convolution || next.Kind != network.Normalization {
			continue
		}
		if l.folded, err = d.Fold(l.convolution, next.normalization); err != nil {
			return fmt.Errorf("layers %s and %s: %w", l.Name, next.Name, err)
		}
	}
	return nil
}

// join joins the first two layers, where they are a convolution and a
// normalisation and the device does so. No skip reads what is between them or
// ends there: check wants a convolution right behind the layer it comes from.
func join(d device.Joiner, layers []layer) (err error) {
	if layers[0].Kind != network.Convolution || layers[1].Kind != network.Normalization {
		return nil
	}
	if layers[0].joined, err = d.Join(layers[0].convolution, layers[1].normalization); err != nil {
		return fmt.Errorf("layers %s and %s: %w", layers[0].Name, layers[1].Name, err)
	}
	return nil
}

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

// lastReaders finds, for each layer, the last one that reads its output in
// inference, where a dropout's output is its input.
func lastReaders(layers []layer) []int {
	readers := make([]int, len(layers))
	for i, l := range layers {
		readers[i] = i + 1
		if l.adds() {
			readers[l.Skip] = i
		}
	}
	for i := len(layers) - 1; i > 0; i-- {
		if layers[i].Kind == network.Dropout {
			readers[i-1] = max(readers[i-1], readers[i])
		}
	}
	return readers
}

// A program is a compiled graph.
type program struct {
	graph  *op.Graph
	vm     gorgonia.VM
	logits device.Vector
	known  bool // the tape machine has run it with the values that are bound
}

// compile checks that gorgonia keeps all nodes apart: it merges those whose
// 32-bit hashes are equal.
func compile(g *op.Graph, logits *gorgonia.Node) (*program, error) {
	seen := map[uint32]*gorgonia.Node{}
	for _, n := range g.AllNodes() {
		if other, twice := seen[n.Hashcode()]; twice {
			return nil, fmt.Errorf("nodes %v and %v have the same hash", n, other)
		}
		seen[n.Hashcode()] = n
	}
	compiled, locations, err := gorgonia.Compile(g.ExprGraph)
	if err != nil {
		return nil, fmt.Errorf("compile the graph: %w", err)
	}
	vm := gorgonia.NewTapeMachine(g.ExprGraph, gorgonia.WithPrecompiled(compiled, locations))
	return &program{graph: g, vm: vm, logits: logits.Op().(op.Result).Value().(*op.Vector).On}, nil
}

// run runs the graph and downloads the logits.
func (p *program) run(logits []float32) error {
	if err := p.execute(); err != nil {
		return err
	}
	p.logits.Download(logits)
	return nil
}

// execute runs the graph: the first time by the tape machine, then by
// repeating what that did.
func (p *program) execute() error {
	if p.known {
		if err := p.graph.Repeat(); err != nil {
			return err
		}
	} else {
		p.graph.Record()
		p.vm.Reset()
		if err := p.vm.RunAll(); err != nil {
			return cmp.Or(p.graph.Err, err)
		}
		p.known = true
	}
	p.graph.Changed = false
	return nil
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
