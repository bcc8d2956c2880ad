package engine

import (
	"errors"
	"fmt"

	"catdog/pipeline/device"
)

// Data is a data set that a device may hold, see device.LoopSpec.
type Data struct {
	Images        [][]byte // Height·Width·3 each
	Height, Width int
	Own, Other    float32 // target probabilities
}

// A Holder is a Trainer that can keep a data set where it computes. Its loops
// change and use the same weights as Step and Predict; they end with it.
type Holder interface {
	Trainer
	// Holds says whether the device can.
	Holds() bool
	// TrainingLoop makes a loop of training steps.
	TrainingLoop(Data) (device.Loop, error)
	// PredictionLoop makes a loop of predictions with a set of weights, which
	// does nothing but keep the score.
	PredictionLoop(Weights, Data) (device.Loop, error)
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
	return m.hold(data, m.training, func() error {
		m.seed = 0 // each dropout's own seed is then what it combines the step's with
		return m.training.execute()
	})
}

// PredictionLoop repeats what Predict does.
func (m *Machine) PredictionLoop(weights Weights, data Data) (device.Loop, error) {
	return m.hold(data, m.inference, func() error {
		if err := m.bind(weights); err != nil {
			return err
		}
		return m.inference.execute()
	})
}

func (m *Machine) hold(data Data, p *program, work func() error) (device.Loop, error) {
	holder, can := m.device.(device.Holder)
	if !can || m.targets == nil {
		return nil, fmt.Errorf("loop: %s holds no data for this network", m.device.Describe())
	}
	l, err := holder.NewLoop(device.LoopSpec{
		Images: data.Images, Height: data.Height, Width: data.Width, Own: data.Own, Other: data.Other,
		Input: m.images, Targets: m.targets, Logits: p.logits, Classes: m.classes,
	}, work)
	if err != nil {
		return nil, err
	}
	m.loops = append(m.loops, l)
	return l, nil
}
