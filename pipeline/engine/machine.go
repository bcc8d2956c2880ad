package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

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

	classes int

	// All parameters lie in one vector, all running statistics in another; so
	// do their moving averages, which are nil where Options keep none.
	parameters, statistics         *layout
	weights, running               device.Vector
	weightsAverage, runningAverage device.Vector
	optimizer                      device.Optimizer // nil for inference only
	order                          map[string]int   // of the arrays' names in Weights

	trained, predicted  input // one and the same where they are of one size
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

// An input is what a graph is given: a batch of images.
type input struct {
	size  network.Shape // of an image
	batch device.Activation
}

func (m *Machine) newInput(size network.Shape) (i input, err error) {
	i.size = size
	i.batch, err = m.device.NewActivation(m.options.Batch, size.Height, size.Width, size.Channels)
	return i, err
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
	predicting := cmp.Or(options.Predicting, description)
	if err := check(predicting); err != nil {
		return nil, fmt.Errorf("for predictions: %w", err)
	}
	parameters := description.Parameters()
	if !slices.EqualFunc(parameters, predicting.Parameters(), sameArray) {
		return nil, errors.New("the network for predictions has other parameters")
	}
	if options.Batch < 1 {
		return nil, fmt.Errorf("batch of %d images", options.Batch)
	}
	m := &Machine{
		device: d, options: options, buffers: op.NewBuffers(d),
		classes: len(description.Classes),
		order:   map[string]int{},
	}
	for i, p := range parameters {
		m.order[p.Name] = i
	}
	if err := m.build(description, predicting); err != nil {
		return nil, err
	}
	return m, nil
}

// sameArray says whether weights of one parameter are weights of the other.
func sameArray(a, b network.Parameter) bool {
	return a.Name == b.Name && slices.Equal(a.Shape, b.Shape)
}

func (m *Machine) build(description, predicting *network.Description) (err error) {
	o, d := m.options, m.device
	inference, err := makeLayers(predicting, o, d, true)
	if err != nil {
		return err
	}
	m.parameters, m.statistics = layOut(predicting, inference)
	if m.weights, err = d.NewVector(m.parameters.length); err != nil {
		return err
	}
	if m.running, err = d.NewVector(max(m.statistics.length, device.Alignment)); err != nil {
		return err
	}
	if m.predicted, err = m.newInput(predicting.Input); err != nil {
		return err
	}
	m.logits = make([]float32, o.Batch*m.classes)
	m.padded = make([]float32, o.Batch*predicting.Input.Elements())

	if !o.Inference {
		m.trained = m.predicted
		if description.Input != predicting.Input {
			if m.trained, err = m.newInput(description.Input); err != nil {
				return err
			}
		}
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

func (m *Machine) Step(step int, seed uint64, learningRate float32, images, targets []float32) (float32, []float32, error) {
	if m.training == nil {
		return 0, nil, errors.New("step: the network was built for inference only")
	}
	if want := m.options.Batch * m.trained.size.Elements(); len(images) != want || len(targets) != len(m.logits) {
		return 0, nil, fmt.Errorf("step %d: %d image values and %d targets, want %d and %d",
			step, len(images), len(targets), want, len(m.logits))
	}
	m.inference.graph.Changed = true
	m.step, m.seed, m.learningRate = gorgonia.I64(step), gorgonia.I64(seed), gorgonia.F32(learningRate)
	m.trained.batch.Upload(images)
	m.targets.Upload(targets)
	if err := cmp.Or(m.training.run(m.logits), m.device.Err()); err != nil {
		return 0, nil, fmt.Errorf("step %d: %w", step, err)
	}
	return float32(*m.loss), m.logits, nil
}

func (m *Machine) Predict(weights Weights, images []float32, logits []float32) error {
	each := m.predicted.size.Elements()
	count := len(images) / each
	if len(images) != count*each || len(logits) != count*m.classes {
		return fmt.Errorf("predict: %d image values and %d logits, want multiples of %d and %d for the same number of images",
			len(images), len(logits), each, m.classes)
	}
	if err := m.bind(weights); err != nil {
		return fmt.Errorf("predict: %w", err)
	}
	for len(images) > 0 {
		batch := images
		if len(images) < len(m.padded) {
			clear(m.padded[copy(m.padded, images):])
			batch = m.padded
		}
		m.predicted.batch.Upload(batch[:len(m.padded)])
		if err := cmp.Or(m.inference.run(m.logits), m.device.Err()); err != nil {
			return fmt.Errorf("predict: %w", err)
		}
		logits = logits[copy(logits, m.logits):]
		images = images[min(len(images), len(m.padded)):]
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
	m.inference.known, m.inference.graph.Changed = false, true
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
