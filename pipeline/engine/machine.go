package engine

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"catdog/pipeline/device"
	"catdog/pipeline/network"
	"catdog/pipeline/op"
)

// A Machine is a Trainer on gorgonia's tape machine. Training and inference
// are two graphs that share parameters, statistics and buffers.
type Machine struct {
	device  device.Device
	options Options
	buffers *op.Buffers

	input   network.Shape
	classes int

	// All parameters lie in one vector, all running statistics in another; so
	// do their moving averages, which are nil where Options keep none.
	parameters, statistics         *layout
	weights, running               device.Vector
	weightsAverage, runningAverage device.Vector
	optimizer                      device.Optimizer // nil for inference only
	order                          map[string]int   // of the arrays' names in Weights

	images              device.Activation
	targets             device.Vector
	step, seed          gorgonia.I64
	learningRate        gorgonia.F32
	loss                *gorgonia.F32
	logits              []float32
	padded              []float32 // a batch that Predict fills up
	training, inference *program
	loops               []device.Loop
	inferred            struct {
		parameters, statistics gorgonia.Nodes
		bound                  Weights
	}
}

// New builds a network's graphs on a device. Weights are zero until SetWeights
// or SetState. The device stays the caller's to close, after the Trainer.
//
// Besides what Trainer says: Weights(Average) and Predict(Average) use the
// moving average of the running statistics with that of the weights, since
// raw statistics belong to other weights. A Trainer's methods are called from
// one goroutine at a time.
func New(description *network.Description, d device.Device, options Options) (Trainer, error) {
	if err := check(description); err != nil {
		return nil, err
	}
	if options.Batch < 1 {
		return nil, fmt.Errorf("batch of %d images", options.Batch)
	}
	m := &Machine{
		device: d, options: options, buffers: op.NewBuffers(d),
		input: description.Input, classes: len(description.Classes),
		order: map[string]int{},
	}
	if err := m.build(description); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Machine) build(description *network.Description) (err error) {
	o, d, in := m.options, m.device, m.input
	inference, err := makeLayers(description, o, d, true)
	if err != nil {
		return err
	}
	m.parameters, m.statistics = layOut(description, inference)
	for i, p := range description.Parameters() {
		m.order[p.Name] = i
	}
	if m.weights, err = d.NewVector(m.parameters.length); err != nil {
		return err
	}
	if m.running, err = d.NewVector(max(m.statistics.length, device.Alignment)); err != nil {
		return err
	}
	if m.images, err = d.NewActivation(o.Batch, in.Height, in.Width, in.Channels); err != nil {
		return err
	}
	m.logits = make([]float32, o.Batch*m.classes)
	m.padded = make([]float32, m.batchLen())

	if !o.Inference {
		if m.targets, err = d.NewVector(o.Batch * m.classes); err != nil {
			return err
		}
		layers, err := makeLayers(description, o, d, false)
		if err != nil {
			return err
		}
		if err := m.buildTraining(layers); err != nil {
			return err
		}
		m.weightsAverage = m.optimizer.State()["average"]
		m.buffers.PutAll()
	}
	return m.buildInference(inference)
}

func (m *Machine) imageLen() int { return m.input.Height * m.input.Width * m.input.Channels }
func (m *Machine) batchLen() int { return m.options.Batch * m.imageLen() }

func (m *Machine) Step(step int, seed uint64, learningRate float32, images, targets []float32) (float32, []float32, error) {
	if m.training == nil {
		return 0, nil, errors.New("step: the network was built for inference only")
	}
	if len(images) != m.batchLen() || len(targets) != len(m.logits) {
		return 0, nil, fmt.Errorf("step %d: %d image values and %d targets, want %d and %d",
			step, len(images), len(targets), m.batchLen(), len(m.logits))
	}
	m.step, m.seed, m.learningRate = gorgonia.I64(step), gorgonia.I64(seed), gorgonia.F32(learningRate)
	m.images.Upload(images)
	m.targets.Upload(targets)
	if err := m.training.run(m.logits); err != nil {
		return 0, nil, fmt.Errorf("step %d: %w", step, err)
	}
	return float32(*m.loss), m.logits, nil
}

func (m *Machine) Predict(weights Weights, images []float32, logits []float32) error {
	count := len(images) / m.imageLen()
	if len(images) != count*m.imageLen() || len(logits) != count*m.classes {
		return fmt.Errorf("predict: %d image values and %d logits, want multiples of %d and %d for the same number of images",
			len(images), len(logits), m.imageLen(), m.classes)
	}
	if err := m.bind(weights); err != nil {
		return fmt.Errorf("predict: %w", err)
	}
	for len(images) > 0 {
		batch := images
		if len(images) < m.batchLen() {
			clear(m.padded[copy(m.padded, images):])
			batch = m.padded
		}
		m.images.Upload(batch[:m.batchLen()])
		if err := m.inference.run(m.logits); err != nil {
			return fmt.Errorf("predict: %w", err)
		}
		logits = logits[copy(logits, m.logits):]
		images = images[min(len(images), m.batchLen()):]
	}
	return nil
}

// vectors are the parameters and statistics of a set of weights.
func (m *Machine) vectors(weights Weights) (parameters, statistics device.Vector, err error) {
	switch {
	case weights == Raw:
		return m.weights, m.running, nil
	case m.weightsAverage == nil:
		return nil, nil, errors.New("no moving average of the weights is kept")
	case m.runningAverage == nil: // no layer has statistics
		return m.weightsAverage, m.running, nil
	}
	return m.weightsAverage, m.runningAverage, nil
}

// bind lets the graph for inference read a set of weights.
func (m *Machine) bind(weights Weights) error {
	if m.inferred.bound == weights {
		return nil
	}
	parameters, statistics, err := m.vectors(weights)
	if err != nil {
		return err
	}
	for i, s := range m.parameters.slots {
		err = errors.Join(err, gorgonia.Let(m.inferred.parameters[i], op.NewVector(s.in(parameters), s.shape...)))
	}
	for i, s := range m.statistics.slots {
		err = errors.Join(err, gorgonia.Let(m.inferred.statistics[i], op.NewVector(s.in(statistics), s.shape...)))
	}
	m.inferred.bound = weights
	return err
}

// Dot is the graph that the machine runs, for Graphviz.
func (m *Machine) Dot() string {
	if m.training != nil {
		return m.training.graph.ToDot()
	}
	return m.inference.graph.ToDot()
}

// Close ends the loops and the tape machines.
func (m *Machine) Close() error {
	var err error
	for _, l := range m.loops {
		err = errors.Join(err, l.Close())
	}
	m.loops = nil
	for _, p := range []*program{m.training, m.inference} {
		if p != nil {
			err = errors.Join(err, p.vm.Close())
		}
	}
	return err
}
