package devicetest

import (
	"math/rand/v2"
	"testing"

	"catdog/pipeline/device"
)

// A lab is a device with a source of random inputs and a record of outputs.
type lab struct {
	device.Device
	t       *testing.T
	random  *rand.Rand
	round   func(float32) float32
	outputs []output
}

type output struct {
	name   string
	values []float32
}

func newLab(t *testing.T, d device.Device, round func(float32) float32) *lab {
	return &lab{Device: d, t: t, random: rand.New(rand.NewPCG(1, 2)), round: round}
}

func (l *lab) check(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) numbers(length int) []float32 {
	values := make([]float32, length)
	for i := range values {
		values[i] = l.round(float32(l.random.NormFloat64()))
	}
	return values
}

func (l *lab) activation(n, h, w, ch int) device.Activation {
	l.t.Helper()
	a, err := l.NewActivation(n, h, w, ch)
	l.check(err)
	a.Upload(l.numbers(n * h * w * ch))
	return a
}

// vector makes a vector that is a slice of a longer one, as parameters are.
func (l *lab) vector(values []float32, length int) device.Vector {
	l.t.Helper()
	whole, err := l.NewVector(length + 2*device.Alignment)
	l.check(err)
	v := whole.Slice(device.Alignment, device.Alignment+length)
	padded := make([]float32, length)
	copy(padded, values)
	v.Upload(padded)
	return v
}

func contents(a device.Activation) []float32 {
	n, h, w, c := a.Shape()
	values := make([]float32, n*h*w*c)
	a.Download(values)
	return values
}

func elements(v device.Vector) []float32 {
	values := make([]float32, v.Len())
	v.Download(values)
	return values
}

func (l *lab) record(name string, values []float32) {
	l.outputs = append(l.outputs, output{name, values})
}

// leftovers are values that must be overwritten. They are not random, since
// how many there are differs between devices.
func leftovers(length int) []float32 {
	values := make([]float32, length)
	for i := range values {
		values[i] = float32(i%7) + 1
	}
	return values
}

// importer is what convolutions and dense layers have in common.
type importer interface {
	WeightsLen() int
	Import([]float32, device.Vector)
	Export(device.Vector, []float32)
}

// weights imports random numbers and checks that they come back.
func (l *lab) weights(op importer, count int) device.Vector {
	l.t.Helper()
	if op.WeightsLen()%device.Alignment != 0 || op.WeightsLen() < count {
		l.t.Errorf("WeightsLen is %d for %d weights, want a multiple of %d", op.WeightsLen(), count, device.Alignment)
	}
	plain := l.numbers(count)
	w := l.vector(nil, op.WeightsLen())
	op.Import(plain, w)
	back := l.plain(op, w, count)
	for i := range plain {
		if plain[i] != back[i] {
			l.t.Fatalf("weight %d of %d: imported %g, exported %g", i, count, plain[i], back[i])
		}
	}
	return w
}

// plain exports weights or their gradients and checks that nothing but them
// and zero padding is in the vector.
func (l *lab) plain(op importer, w device.Vector, count int) []float32 {
	l.t.Helper()
	values := make([]float32, count)
	op.Export(w, values)
	again := l.vector(nil, op.WeightsLen())
	op.Import(values, again)
	for i, v := range elements(again) {
		if was := elements(w)[i]; was != v {
			l.t.Fatalf("element %d of %d is %g, after export and import %g: padding must be zero", i, w.Len(), was, v)
		}
	}
	return values
}
