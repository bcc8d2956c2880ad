package devicetest

import (
	"testing"

	"catdog/pipeline/device"
)

func (c conformance) memory(t *testing.T) {
	l := newLab(t, c.device, c.round)
	for _, shape := range [][4]int{{1, 1, 1, 1}, {3, 5, 7, 3}, {2, 4, 3, 17}, {1, 2, 2, 32}} {
		a := l.activation(shape[0], shape[1], shape[2], shape[3])
		want := l.numbers(shape[0] * shape[1] * shape[2] * shape[3])
		a.Upload(want)
		if d := distance(contents(a), want); !(d <= c.tolerance) {
			t.Errorf("activation %v: upload and download differ by %.2g", shape, d)
		}
	}
	v, err := c.device.NewVector(3 * device.Alignment)
	l.check(err)
	if d := distance(elements(v), make([]float32, v.Len())); d != 0 {
		t.Error("a new vector is not zero")
	}
	v.Slice(device.Alignment, 2*device.Alignment).Upload(l.numbers(device.Alignment))
	values := elements(v)
	for i, value := range values {
		if (value != 0) != (i/device.Alignment == 1) {
			t.Errorf("element %d is %g after elements %d to %d were set", i, value, device.Alignment, 2*device.Alignment)
		}
	}
}
