package engine

import (
	"errors"
	"fmt"

	"catdog/pipeline/device"
)

// Data is the shape of a data set that a device may hold, see device.LoopSpec.
type Data struct {
	Height, Width int
	Batches       int // of an epoch
}

// A Holder is a Trainer that can keep a data set where it computes. Its loops
// change and use the same weights as Step and Predict; they end with it.
type Holder interface {
	Trainer
	// Holds says whether the device can.
	Holds() bool
	// TrainingLoop makes a loop of training steps, which holds no images yet.
	TrainingLoop(Data) (device.Loop, error)
	// PredictionLoop makes a loop of predictions with a set of weights, which
	// does nothing but keep the score.
	PredictionLoop(Weights, Data) (device.Loop, error)
	// Snapshot is the trainer's state as it is now. It may be read in another
	// goroutine while the trainer goes on.
	Snapshot() (Snapshot, error)
}

// A Snapshot is a State that stays as it was.
type Snapshot interface {
	State
	// Release gives its memory back for another snapshot. It is called from
	// the goroutine that calls the Trainer.
	Release()
}

// A State is what can be kept of a Trainer, which is one, see there.
type State interface {
	Weights(Weights) ([]Tensor, error)
	State() ([]Tensor, error)
}

var _ Holder = (*Machine)(nil)

// Holds says whether the machine's device is a device.Holder.
func (m *Machine) Holds() bool {
	_, can := m.device.(device.Holder)
	return can
}

// TrainingLoop repeats what Step does, with the schedule of each pass.
func (m *Machine) TrainingLoop(data Data) (device.Loop, error) {
	if m.training == nil {
		return nil, errors.New("loop: the network was built for inference only")
	}
	return m.hold(data, m.trained, m.training, func() error {
		m.inference.graph.Changed = true
		m.seed = 0 // each dropout's own seed is then what it combines the step's with
		return m.training.execute()
	})
}

// PredictionLoop repeats what Predict does.
func (m *Machine) PredictionLoop(weights Weights, data Data) (device.Loop, error) {
	return m.hold(data, m.predicted, m.inference, func() error {
		if err := m.bind(weights); err != nil {
			return err
		}
		return m.inference.execute()
	})
}

func (m *Machine) hold(data Data, in input, p *program, work func() error) (device.Loop, error) {
	holder, can := m.device.(device.Holder)
	if !can || m.targets == nil {
		return nil, fmt.Errorf("loop: %s holds no data for this network", m.device.Describe())
	}
	l, err := holder.NewLoop(device.LoopSpec{
		Height: data.Height, Width: data.Width, Batches: data.Batches,
		Input: in.batch, Targets: m.targets, Logits: p.logits, Classes: m.classes,
	}, work)
	if err != nil {
		return nil, err
	}
	m.loops = append(m.loops, l)
	return l, nil
}

// A snapshot is a Machine whose vectors are copies.
type snapshot struct {
	*Machine
	holder device.Holder
	copies map[device.Vector]device.Vector
}

// Snapshot copies all that a checkpoint holds.
func (m *Machine) Snapshot() (Snapshot, error) {
	holder, can := m.device.(device.Holder)
	if !can {
		return nil, fmt.Errorf("snapshot: %s makes none", m.device.Describe())
	}
	var vectors []device.Vector
	for _, k := range m.kept() {
		vectors = append(vectors, k.vector)
	}
	made, err := holder.Snapshot(vectors)
	if err != nil {
		return nil, err
	}
	s := snapshot{m, holder, map[device.Vector]device.Vector{}}
	for i, v := range vectors {
		s.copies[v] = made[i]
	}
	return s, nil
}

// copied are the copies of what is kept.
func (s snapshot) copied(all []kept) []kept {
	for i := range all {
		all[i].vector = s.copies[all[i].vector]
	}
	return all
}

func (s snapshot) Weights(weights Weights) ([]Tensor, error) {
	return s.ordered(s.export(s.copied(s.weightsOf(weights, ""))))
}

func (s snapshot) Release() {
	for original, made := range s.copies {
		s.holder.Release(original, made)
	}
}

func (s snapshot) State() ([]Tensor, error) { return s.export(s.copied(s.kept())) }
