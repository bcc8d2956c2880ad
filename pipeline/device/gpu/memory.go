//go:build gpu

package gpu

import (
	"fmt"
	"math"
	"sync"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
)

// An activation is n·h·w rows of pitch elements, of which c are the channels
// and the rest zeros.
type activation struct {
	device     *Device
	n, h, w, c int
	data       cu.DevicePtr
}

// most is how many octets an activation may have, so that a thread's index
// does not overflow.
const most = 1 << 31

func (d *Device) NewActivation(n, h, w, c int) (device.Activation, error) {
	if n < 1 || h < 1 || w < 1 || c < 1 {
		return nil, fmt.Errorf("new activation of %d×%d×%d×%d: sides must be positive", n, h, w, c)
	}
	if float64(n)*float64(h)*float64(w)*float64(pitch(c)/octet) >= most {
		return nil, fmt.Errorf("new activation of %d×%d×%d×%d: too large (a smaller train.batch needs less)", n, h, w, c)
	}
	data, err := d.allocate(d.element() * n * h * w * pitch(c))
	if err != nil {
		return nil, fmt.Errorf("new activation of %d×%d×%d×%d: %w", n, h, w, c, err)
	}
	return &activation{d, n, h, w, c, data}, nil
}

// pitch is how many elements so many channels take up.
func pitch(channels int) int { return roundUp(channels, octet) }

func roundUp(n, to int) int { return (n + to - 1) / to * to }

func (a *activation) Shape() (n, h, w, c int) { return a.n, a.h, a.w, a.c }

func (a *activation) Upload(nhwc []float32) {
	if !a.fits("upload", nhwc) {
		return
	}
	if a.device.element() == 2 {
		a.device.upload(raw(pad(a, nhwc, half)), a.data)
	} else {
		a.device.upload(raw(pad(a, nhwc, func(v float32) float32 { return v })), a.data)
	}
}

// pad makes elements of an activation's values, with its padding.
func pad[T any](a *activation, nhwc []float32, element func(float32) T) []T {
	padded := make([]T, a.n*a.h*a.w*pitch(a.c))
	var shared sync.WaitGroup
	for n := range a.n {
		shared.Go(func() {
			for i := n * a.h * a.w; i < (n+1)*a.h*a.w; i++ {
				for j, v := range nhwc[i*a.c : (i+1)*a.c] {
					padded[i*pitch(a.c)+j] = element(v)
				}
			}
		})
	}
	shared.Wait()
	return padded
}

func (a *activation) Download(nhwc []float32) {
	if !a.fits("download", nhwc) {
		return
	}
	padded := make([]float32, a.n*a.h*a.w*pitch(a.c))
	if a.device.element() == 2 {
		halves := make([]uint16, len(padded))
		a.device.download(a.data, raw(halves))
		for i, half := range halves {
			padded[i] = math.Float32frombits(uint32(half) << 16)
		}
	} else {
		a.device.download(a.data, raw(padded))
	}
	for i := range a.n * a.h * a.w {
		copy(nhwc[i*a.c:(i+1)*a.c], padded[i*pitch(a.c):])
	}
}

// half rounds to bfloat16, to nearest, ties to even: the upper half of a
// float32's bits. A NaN stays one.
func half(v float32) uint16 {
	if v != v {
		return 0x7fff
	}
	bits := math.Float32bits(v)
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

func (a *activation) fits(what string, values []float32) bool {
	if len(values) == a.n*a.h*a.w*a.c {
		return true
	}
	a.device.failure.Add(fmt.Errorf("%s %d values of an activation of %d×%d×%d×%d", what, len(values), a.n, a.h, a.w, a.c))
	return false
}

type vector struct {
	device *Device
	data   cu.DevicePtr
	length int
	copier *copier // of a snapshot: what downloads it
}

func (d *Device) NewVector(length int) (device.Vector, error) {
	if length < 0 {
		return nil, fmt.Errorf("new vector of %d elements", length)
	}
	data, err := d.allocate(4 * roundUp(length, device.Alignment))
	if err != nil {
		return nil, fmt.Errorf("new vector of %d elements: %w", length, err)
	}
	return &vector{device: d, data: data, length: length}, nil
}

func (v *vector) Len() int { return v.length }

func (v *vector) Upload(values []float32) {
	if v.fits("upload", values) {
		v.device.upload(raw(values), v.data)
	}
}

func (v *vector) Download(values []float32) {
	if v.copier != nil && len(values) == v.length {
		v.copier.download(v.data, raw(values))
	} else if v.fits("download", values) {
		v.device.download(v.data, raw(values))
	}
}

func (v *vector) fits(what string, values []float32) bool {
	if len(values) == v.length {
		return true
	}
	v.device.failure.Add(fmt.Errorf("%s %d values of a vector of %d", what, len(values), v.length))
	return false
}

func (v *vector) Slice(from, to int) device.Vector {
	_ = make([]struct{}, v.length)[from:to] // the same panic as a slice's
	return &vector{v.device, v.data + cu.DevicePtr(4*from), to - from, v.copier}
}

// operands collects the addresses of what an operation reads and writes; the
// first error stays.
type operands struct {
	device    *Device
	operation string
	err       error
}

func (d *Device) operands(operation string) *operands { return &operands{d, operation, d.Err()} }

func (o *operands) activation(name string, x device.Activation, n, h, w, c int) cu.DevicePtr {
	a, ok := x.(*activation)
	switch {
	case o.err != nil:
	case !ok || a == nil || a.device != o.device:
		o.err = fmt.Errorf("%s: %s is not an activation of this gpu", o.operation, name)
	case a.n != n || a.h != h || a.w != w || a.c != c:
		o.err = fmt.Errorf("%s: %s has shape %d×%d×%d×%d, expected %d×%d×%d×%d", o.operation, name, a.n, a.h, a.w, a.c, n, h, w, c)
	default:
		o.device.timed.moves(o.device.element() * n * h * w * pitch(c))
		return a.data
	}
	return 0
}

func (o *operands) vector(name string, x device.Vector, length int) cu.DevicePtr {
	v, ok := x.(*vector)
	switch {
	case o.err != nil:
	case !ok || v == nil || v.device != o.device:
		o.err = fmt.Errorf("%s: %s is not a vector of this gpu", o.operation, name)
	case v.length < length:
		o.err = fmt.Errorf("%s: %s has %d elements, expected %d", o.operation, name, v.length, length)
	default:
		o.device.timed.moves(4 * length)
		return v.data
	}
	return 0
}

// submit queues launches, unless an operand was wrong.
func (o *operands) submit(launches ...launch) error {
	if o.err != nil {
		return o.err
	}
	if err := o.device.submit(launches...); err != nil {
		return fmt.Errorf("%s: %w", o.operation, err)
	}
	return nil
}
