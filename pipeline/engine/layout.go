package engine

import (
	"fmt"
	"slices"

	"catdog/pipeline/device"
)

// importer translates between a plain layout and a device's, as
// device.Convolution and device.Dense do for their weights.
type importer interface {
	Import(plain []float32, v device.Vector)
	Export(v device.Vector, plain []float32)
}

// plain is the importer of one-dimensional parameters: the elements in order,
// then zeros.
type plain struct{}

func (plain) Import(values []float32, v device.Vector) {
	padded := make([]float32, v.Len())
	copy(padded, values)
	v.Upload(padded)
}

func (plain) Export(v device.Vector, values []float32) {
	padded := make([]float32, v.Len())
	v.Download(padded)
	copy(values, padded)
}

// A slot is a named array's place in a vector that holds many.
type slot struct {
	name     string
	shape    []int
	from, to int // elements of the vector, a multiple of device.Alignment apart
	importer importer
	decayed  bool // weight decay applies
}

func (s slot) size() int {
	size := 1
	for _, side := range s.shape {
		size *= side
	}
	return size
}

func (s slot) in(v device.Vector) device.Vector { return v.Slice(s.from, s.to) }

// A layout is how arrays lie in one vector, one behind the other.
type layout struct {
	slots  []slot
	length int
}

// add gives an array a place of length elements.
func (l *layout) add(s slot, length int) {
	s.from, s.to = l.length, l.length+length
	l.length = s.to
	l.slots = append(l.slots, s)
}

// decayed is device.OptimizerSpec.Decayed.
func (l *layout) decayed() []bool {
	groups := make([]bool, l.length/device.Alignment)
	for _, s := range l.slots {
		for i := s.from; i < s.to; i += device.Alignment {
			groups[i/device.Alignment] = s.decayed
		}
	}
	return groups
}

// export copies the arrays out, their names behind a prefix.
func (l *layout) export(v device.Vector, prefix string) []Tensor {
	tensors := make([]Tensor, len(l.slots))
	for i, s := range l.slots {
		values := make([]float32, s.size())
		s.importer.Export(s.in(v), values)
		tensors[i] = Tensor{Name: prefix + s.name, Shape: slices.Clone(s.shape), Values: values}
	}
	return tensors
}

// named finds tensors by name.
type named map[string]Tensor

func byName(tensors []Tensor) (named, error) {
	found := named{}
	for _, t := range tensors {
		if _, twice := found[t.Name]; twice {
			return nil, fmt.Errorf("tensor %s is there twice", t.Name)
		}
		found[t.Name] = t
	}
	return found, nil
}

// check says what is missing of a layout or has another shape.
func (n named) check(l *layout, prefix string) error {
	for _, s := range l.slots {
		t, ok := n[prefix+s.name]
		switch {
		case !ok:
			return fmt.Errorf("tensor %s%s is missing", prefix, s.name)
		case !slices.Equal(t.Shape, s.shape) || len(t.Values) != s.size():
			return fmt.Errorf("tensor %s has shape %v with %d values, want %v", t.Name, t.Shape, len(t.Values), s.shape)
		}
	}
	return nil
}

// fill copies the arrays in.
func (n named) fill(l *layout, prefix string, v device.Vector) {
	for _, s := range l.slots {
		s.importer.Import(n[prefix+s.name].Values, s.in(v))
	}
}
