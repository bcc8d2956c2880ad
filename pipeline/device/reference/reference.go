// Package reference is a device in plain loops: float32 storage in NHWC order,
// float64 sums, one thread, no tricks. It is what other devices are compared
// with, and what tests of packages above it run on.
package reference

import (
	"fmt"

	"catdog/pipeline/device"
)

type reference struct{}

// New makes the reference device.
func New() device.Device { return reference{} }

func (reference) Describe() string { return "reference float32, plain Go loops" }

// Err is nil: memory is always there.
func (reference) Err() error { return nil }

func (reference) NewActivation(n, h, w, c int) (device.Activation, error) {
	if n < 1 || h < 1 || w < 1 || c < 1 {
		return nil, fmt.Errorf("activation %d×%d×%d×%d: every side must be at least 1", n, h, w, c)
	}
	return &activation{n: n, h: h, w: w, c: c, values: make([]float32, n*h*w*c)}, nil
}

func (reference) NewVector(length int) (device.Vector, error) {
	if length < 0 {
		return nil, fmt.Errorf("vector of negative length %d", length)
	}
	return vector(make([]float32, length)), nil
}

func (reference) Close() error { return nil }

type activation struct {
	n, h, w, c int
	values     []float32 // NHWC
}

func (a *activation) Shape() (n, h, w, c int) { return a.n, a.h, a.w, a.c }
func (a *activation) Upload(nhwc []float32)   { copy(a.values, nhwc) }
func (a *activation) Download(nhwc []float32) { copy(nhwc, a.values) }

type vector []float32

func (v vector) Len() int                         { return len(v) }
func (v vector) Upload(values []float32)          { copy(v, values) }
func (v vector) Download(values []float32)        { copy(values, v) }
func (v vector) Slice(from, to int) device.Vector { return v[from:to:to] }

// data is the memory behind an activation of this device.
func data(a device.Activation) []float32 { return a.(*activation).values }

// aligned rounds a length up to a multiple of device.Alignment.
func aligned(length int) int {
	return (length + device.Alignment - 1) / device.Alignment * device.Alignment
}

// checkShape says whether an activation has the shape that a spec asks for.
func checkShape(what string, a device.Activation, n, h, w, c int) error {
	an, ah, aw, ac := a.Shape()
	if an != n || ah != h || aw != w || ac != c {
		return fmt.Errorf("%s is %d×%d×%d×%d, want %d×%d×%d×%d", what, an, ah, aw, ac, n, h, w, c)
	}
	return nil
}
