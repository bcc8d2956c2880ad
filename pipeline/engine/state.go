package engine

import (
	"fmt"
	"slices"

	"catdog/pipeline/device"
)

// kept is a vector that a checkpoint holds, with its layout and what its
// arrays' names begin with.
type kept struct {
	layout *layout
	prefix string
	vector device.Vector
}

// weightsOf is a set of weights as two vectors.
func (m *Machine) weightsOf(weights Weights, prefix string) []kept {
	parameters, statistics, err := m.vectors(weights)
	if err != nil {
		return nil
	}
	return []kept{{m.parameters, prefix, parameters}, {m.statistics, prefix, statistics}}
}

// kept is all that a checkpoint holds. Names of the optimiser's arrays begin
// with what they are and a colon.
func (m *Machine) kept() []kept {
	all := m.weightsOf(Raw, "")
	if m.optimizer == nil {
		return all
	}
	state := m.optimizer.State()
	for _, name := range []string{"momentum", "moment1", "moment2"} {
		if v := state[name]; v != nil {
			all = append(all, kept{m.parameters, name + ":", v})
		}
	}
	return append(all, m.weightsOf(Average, "average:")...)
}

// Weights returns nil for a moving average that is not kept.
func (m *Machine) Weights(weights Weights) ([]Tensor, error) {
	return m.ordered(m.export(m.weightsOf(weights, "")))
}

func (m *Machine) State() ([]Tensor, error) { return m.export(m.kept()) }

func (m *Machine) export(all []kept) ([]Tensor, error) {
	var tensors []Tensor
	for _, k := range all {
		tensors = append(tensors, k.layout.export(k.vector, k.prefix)...)
	}
	if err := m.device.Err(); err != nil {
		return nil, fmt.Errorf("read weights from the device: %w", err)
	}
	return tensors, nil
}

// ordered puts weights into the layers' order: parameters and statistics are
// exported one after the other.
func (m *Machine) ordered(tensors []Tensor, err error) ([]Tensor, error) {
	slices.SortStableFunc(tensors, func(a, b Tensor) int { return m.order[a.Name] - m.order[b.Name] })
	return tensors, err
}

func (m *Machine) SetWeights(tensors []Tensor) error {
	raw := m.weightsOf(Raw, "")
	if err := m.load(tensors, raw); err != nil {
		return fmt.Errorf("set weights: %w", err)
	}
	found, _ := byName(tensors)
	for _, k := range m.kept()[len(raw):] {
		k.vector.Upload(make([]float32, k.vector.Len()))
	}
	for _, k := range m.weightsOf(Average, "") {
		found.fill(k.layout, "", k.vector)
	}
	return nil
}

func (m *Machine) SetState(tensors []Tensor) error {
	if err := m.load(tensors, m.kept()); err != nil {
		return fmt.Errorf("set state: %w", err)
	}
	return nil
}

// load fills vectors from exactly the tensors that they need; if any does not
// fit, nothing changes.
func (m *Machine) load(tensors []Tensor, all []kept) error {
	found, err := byName(tensors)
	if err != nil {
		return err
	}
	expected := 0
	for _, k := range all {
		expected += len(k.layout.slots)
		if err := found.check(k.layout, k.prefix); err != nil {
			return err
		}
	}
	if len(tensors) != expected {
		return fmt.Errorf("%d tensors, want %d", len(tensors), expected)
	}
	for _, k := range all {
		found.fill(k.layout, k.prefix, k.vector)
	}
	m.inference.graph.Changed = true
	return nil
}
