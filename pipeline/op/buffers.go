package op

import (
	"cmp"

	"catdog/pipeline/device"
)

// Buffers lends activations by shape, so that values that are never needed at
// the same time share memory. What is lent when is decided while a graph is
// built: its operations run in one order, see the package's comment.
type Buffers struct {
	device device.Device
	all    []device.Activation
	free   map[shape][]device.Activation
	isFree map[device.Activation]bool
	err    error // the first of the device
}

type shape struct{ n, h, w, c int }

// NewBuffers makes an empty pool.
func NewBuffers(d device.Device) *Buffers {
	return &Buffers{device: d, free: map[shape][]device.Activation{}, isFree: map[device.Activation]bool{}}
}

// Get lends an activation; its content is undefined.
func (b *Buffers) Get(n, h, w, c int) (device.Activation, error) {
	s := shape{n, h, w, c}
	if last := len(b.free[s]) - 1; last >= 0 {
		a := b.free[s][last]
		b.free[s] = b.free[s][:last]
		b.isFree[a] = false
		return a, nil
	}
	a, err := b.device.NewActivation(n, h, w, c)
	if err != nil {
		b.err = cmp.Or(b.err, err)
		return nil, err
	}
	b.all = append(b.all, a)
	b.isFree[a] = false
	return a, nil
}

// NewVector makes a vector that stays lent.
func (b *Buffers) NewVector(length int) (device.Vector, error) {
	v, err := b.device.NewVector(length)
	b.err = cmp.Or(b.err, err)
	return v, err
}

// Err is the first error of Get or NewVector: gorgonia's errors hide what they
// wrap.
func (b *Buffers) Err() error { return b.err }

// Put takes an activation back. One that is free already or was not lent by
// this pool is left alone.
func (b *Buffers) Put(a device.Activation) {
	if free, mine := b.isFree[a]; free || !mine {
		return
	}
	n, h, w, c := a.Shape()
	b.free[shape{n, h, w, c}] = append(b.free[shape{n, h, w, c}], a)
	b.isFree[a] = true
}

// PutAll takes everything back: the next graph runs when this one does not.
func (b *Buffers) PutAll() {
	for _, a := range b.all {
		b.Put(a)
	}
}
