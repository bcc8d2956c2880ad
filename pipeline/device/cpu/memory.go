package cpu

/*
#include "executor.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"catdog/pipeline/device"
)

// An activation lies blocked. One with up to three channels, an image, can also
// lie plain (batch, height, width, channels): uploads go there, the first layer
// reads it there, and other operations get a blocked copy made on demand.
type activation struct {
	device       *Device
	n, h, w, c   int
	blocked      *C.float // nil until needed where plain is not
	plain        *C.float // nil with many channels
	blockedValid bool     // of the two, which hold the values
	plainValid   bool
	version      uint64 // counts the writes
	// sums are what normalisation wants of the values, by the operation that
	// wrote version sumsVersion.
	sums        *C.double
	sumsVersion uint64
}

// statistics are the current values' sums, nil where nobody has taken them.
func (a *activation) statistics() *C.double {
	if a.sumsVersion != a.version {
		return nil
	}
	return a.sums
}

// isPlain says whether activations and weights of so many channels lie plain.
func isPlain(channels int) bool { return channels <= 3 }

func (d *Device) NewActivation(n, h, w, c int) (device.Activation, error) {
	if n < 1 || h < 1 || w < 1 || c < 1 {
		return nil, fmt.Errorf("new activation of %d×%d×%d×%d: sides must be positive", n, h, w, c)
	}
	a := &activation{device: d, n: n, h: h, w: w, c: c, blockedValid: true, plainValid: true}
	var err error
	if isPlain(c) {
		a.plain, err = allocate[C.float](d, n*h*w*c)
	} else {
		a.blocked, err = allocate[C.float](d, a.blockedLen())
	}
	if err != nil {
		return nil, fmt.Errorf("new activation of %d×%d×%d×%d: %w", n, h, w, c, err)
	}
	return a, nil
}

func (a *activation) blockedLen() int { return a.n * a.h * a.w * roundUp(a.c, a.device.block) }

func (a *activation) Shape() (n, h, w, c int) { return a.n, a.h, a.w, a.c }

func (a *activation) Upload(nhwc []float32) {
	d := a.device
	if len(nhwc) != a.n*a.h*a.w*a.c {
		d.failure.Add(fmt.Errorf("upload %d values to an activation of %d×%d×%d×%d", len(nhwc), a.n, a.h, a.w, a.c))
		return
	}
	a.version++
	if a.plain != nil {
		if d.wait() == nil {
			copy(floats(a.plain, len(nhwc)), nhwc)
		}
		a.plainValid, a.blockedValid = true, false
		return
	}
	if d.wait() == nil {
		C.executor_convert(d.executor, d.kernels.to_blocked, (*C.float)(unsafe.SliceData(nhwc)), a.blocked,
			C.int(a.n), C.int(a.h), C.int(a.w), C.int(a.c), C.int(d.threads))
	}
}

func (a *activation) Download(nhwc []float32) {
	d := a.device
	if len(nhwc) != a.n*a.h*a.w*a.c {
		d.failure.Add(fmt.Errorf("download %d values from an activation of %d×%d×%d×%d", len(nhwc), a.n, a.h, a.w, a.c))
		return
	}
	if a.plain != nil && a.plainValid {
		if d.wait() == nil {
			copy(nhwc, floats(a.plain, len(nhwc)))
		}
		return
	}
	if d.wait() == nil {
		C.executor_convert(d.executor, d.kernels.from_blocked, a.blocked, (*C.float)(unsafe.SliceData(nhwc)),
			C.int(a.n), C.int(a.h), C.int(a.w), C.int(a.c), C.int(d.threads))
	}
}

// readBlocked is where an operation finds the values blocked.
func (a *activation) readBlocked() (*C.float, error) {
	if err := a.makeBlocked(); err != nil {
		return nil, err
	}
	if !a.blockedValid {
		a.convert(a.device.kernels.to_blocked, a.plain, a.blocked)
		a.blockedValid = true
	}
	return a.blocked, nil
}

// readPlain is where an operation finds the values plain.
func (a *activation) readPlain() *C.float {
	if !a.plainValid {
		a.convert(a.device.kernels.from_blocked, a.blocked, a.plain)
		a.plainValid = true
	}
	return a.plain
}

// write is where an operation that is about to be queued puts all values,
// blocked.
func (a *activation) write() (*C.float, error) {
	if err := a.makeBlocked(); err != nil {
		return nil, err
	}
	a.version++
	a.blockedValid, a.plainValid = true, false
	return a.blocked, nil
}

func (a *activation) makeBlocked() (err error) {
	if a.blocked == nil {
		a.blocked, err = allocate[C.float](a.device, a.blockedLen())
	}
	return err
}

func (a *activation) convert(run C.operation, from, to *C.float) {
	arguments := C.struct_layout_arguments{
		from: from, to: to,
		batch: C.int(a.n), height: C.int(a.h), width: C.int(a.w), channels: C.int(a.c),
		threads: C.int(a.device.threads),
	}
	a.device.submit(run, unsafe.Pointer(&arguments), unsafe.Sizeof(arguments))
}

// A vector is plain float32 numbers.
type vector struct {
	device *Device
	data   *C.float
	length int
}

func (d *Device) NewVector(length int) (device.Vector, error) {
	if length < 0 {
		return nil, fmt.Errorf("new vector of %d elements", length)
	}
	data, err := allocate[C.float](d, roundUp(length, device.Alignment))
	if err != nil {
		return nil, fmt.Errorf("new vector: %w", err)
	}
	return &vector{d, data, length}, nil
}

func (v *vector) Len() int { return v.length }

func (v *vector) Upload(values []float32) {
	if len(values) != v.length {
		v.device.failure.Add(fmt.Errorf("upload %d values to a vector of %d", len(values), v.length))
	} else if v.device.wait() == nil {
		copy(floats(v.data, v.length), values)
	}
}

func (v *vector) Download(values []float32) {
	if len(values) != v.length {
		v.device.failure.Add(fmt.Errorf("download %d values from a vector of %d", len(values), v.length))
	} else if v.device.wait() == nil {
		copy(values, floats(v.data, v.length))
	}
}

func (v *vector) Slice(from, to int) device.Vector {
	_ = floats(v.data, v.length)[from:to] // the same panic as a slice's
	return &vector{v.device, (*C.float)(unsafe.Add(unsafe.Pointer(v.data), 4*from)), to - from}
}

func floats(p *C.float, length int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(p)), length)
}

// take returns an activation of this device after checking its shape.
func (d *Device) take(name string, x device.Activation, n, h, w, c int) (*activation, error) {
	a, ok := x.(*activation)
	if !ok || a == nil || a.device != d {
		return nil, fmt.Errorf("%s is not an activation of this cpu device", name)
	}
	if a.n != n || a.h != h || a.w != w || a.c != c {
		return nil, fmt.Errorf("%s has shape %d×%d×%d×%d, expected %d×%d×%d×%d", name, a.n, a.h, a.w, a.c, n, h, w, c)
	}
	return a, nil
}

// elements returns a vector's memory after checking that it has at least
// length elements and is aligned.
func (d *Device) elements(name string, x device.Vector, length int) (*C.float, error) {
	v, ok := x.(*vector)
	if !ok || v == nil || v.device != d {
		return nil, fmt.Errorf("%s is not a vector of this cpu device", name)
	}
	if v.length < length {
		return nil, fmt.Errorf("%s has %d elements, expected %d", name, v.length, length)
	}
	if uintptr(unsafe.Pointer(v.data))%(4*device.Alignment) != 0 {
		return nil, fmt.Errorf("%s starts between multiples of %d elements", name, device.Alignment)
	}
	return v.data, nil
}

// An operands collects what an operation reads and writes; the first error
// stays.
type operands struct {
	device *Device
	err    error
}

func (d *Device) operands() operands { return operands{d, d.Err()} }

func (o *operands) read(name string, x device.Activation, n, h, w, c int) *C.float {
	return o.activation(name, x, n, h, w, c, (*activation).readBlocked)
}

// write must come after all reads.
func (o *operands) write(name string, x device.Activation, n, h, w, c int) *C.float {
	return o.activation(name, x, n, h, w, c, (*activation).write)
}

func (o *operands) activation(name string, x device.Activation, n, h, w, c int, use func(*activation) (*C.float, error)) (p *C.float) {
	if o.err != nil {
		return nil
	}
	a, err := o.device.take(name, x, n, h, w, c)
	if err == nil {
		p, err = use(a)
	}
	o.err = err
	return p
}

func (o *operands) vector(name string, x device.Vector, length int) (p *C.float) {
	if o.err != nil {
		return nil
	}
	p, o.err = o.device.elements(name, x, length)
	return p
}
