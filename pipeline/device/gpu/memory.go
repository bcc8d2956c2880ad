//go:build gpu

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
)

type activation struct {
	device     *Device
	n, h, w, c int
	data       cu.DevicePtr
}

func (d *Device) NewActivation(n, h, w, c int) (device.Activation, error) {
	if n < 1 || h < 1 || w < 1 || c < 1 {
		return nil, fmt.Errorf("new activation of %d×%d×%d×%d: sides must be positive", n, h, w, c)
	}
	data, err := d.allocate(4 * n * h * w * c)
	if err != nil {
		return nil, fmt.Errorf("new activation of %d×%d×%d×%d: %w", n, h, w, c, err)
	}
	return &activation{d, n, h, w, c, data}, nil
}

func (a *activation) Shape() (n, h, w, c int) { return a.n, a.h, a.w, a.c }

func (a *activation) Upload(nhwc []float32) {
	if a.fits("upload", nhwc) {
		a.device.upload(nhwc, a.data)
	}
}

func (a *activation) Download(nhwc []float32) {
	if a.fits("download", nhwc) {
		a.device.download(a.data, nhwc)
	}
}

func (a *activation) fits(what string, values []float32) bool {
	if len(values) == a.n*a.h*a.w*a.c {
		return true
	}
	a.device.fail(fmt.Errorf("%s %d values of an activation of %d×%d×%d×%d", what, len(values), a.n, a.h, a.w, a.c))
	return false
}

type vector struct {
	device *Device
	data   cu.DevicePtr
	length int
}

func (d *Device) NewVector(length int) (device.Vector, error) {
	if length < 0 {
		return nil, fmt.Errorf("new vector of %d elements", length)
	}
	data, err := d.allocate(4 * roundUp(length, device.Alignment))
	if err != nil {
		return nil, fmt.Errorf("new vector of %d elements: %w", length, err)
	}
	return &vector{d, data, length}, nil
}

func (v *vector) Len() int { return v.length }

func (v *vector) Upload(values []float32) {
	if v.fits("upload", values) {
		v.device.upload(values, v.data)
	}
}

func (v *vector) Download(values []float32) {
	if v.fits("download", values) {
		v.device.download(v.data, values)
	}
}

func (v *vector) fits(what string, values []float32) bool {
	if len(values) == v.length {
		return true
	}
	v.device.fail(fmt.Errorf("%s %d values of a vector of %d", what, len(values), v.length))
	return false
}

func (v *vector) Slice(from, to int) device.Vector {
	_ = make([]struct{}, v.length)[from:to] // the same panic as a slice's
	return &vector{v.device, v.data + cu.DevicePtr(4*from), to - from}
}

// operands collects the addresses of what an operation reads and writes; the
// first error stays.
type operands struct {
	device    *Device
	operation string
	err       error
}

func (d *Device) operands(operation string) *operands { return &operands{d, operation, d.failure} }

func (o *operands) activation(name string, x device.Activation, n, h, w, c int) cu.DevicePtr {
	a, ok := x.(*activation)
	switch {
	case o.err != nil:
	case !ok || a == nil || a.device != o.device:
		o.err = fmt.Errorf("%s: %s is not an activation of this gpu", o.operation, name)
	case a.n != n || a.h != h || a.w != w || a.c != c:
		o.err = fmt.Errorf("%s: %s has shape %d×%d×%d×%d, expected %d×%d×%d×%d", o.operation, name, a.n, a.h, a.w, a.c, n, h, w, c)
	default:
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
