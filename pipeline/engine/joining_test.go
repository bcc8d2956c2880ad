package engine

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/devicetest"
	"catdog/pipeline/device/reference"
)

// Training with the first two layers as one operation is training with them one
// after the other, to the bit.
func TestJoinedTraining(t *testing.T) {
	eachDevice(t, func(t *testing.T, d device.Device) {
		for name, n := range networks() {
			joined, apart := build(t, n, devicetest.Joining(d), options(3)), build(t, n, unfolding{d}, options(3))
			set(t, joined, initial(n))
			set(t, apart, initial(n))
			for i := 1; i <= 5; i++ {
				a, logitsA := step(t, joined, n, i)
				b, logitsB := step(t, apart, n, i)
				if a != b || !bytes.Equal(bits(logitsA), bits(logitsB)) {
					t.Errorf("%s, step %d: losses %g and %g", name, i, a, b)
				}
			}
			equal(t, name+": state", stateOf(t, joined), stateOf(t, apart))
			if !strings.Contains(joined.Dot(), "joined convolution layer0") {
				t.Errorf("%s: the first two layers are not joined", name)
			}
		}
	})
}

// unjoining is a device.Joiner that joins nothing, or fails to.
type unjoining struct {
	device.Device
	err error
}

func (u unjoining) Join(device.Convolution, device.Normalization) (device.Joined, error) {
	return nil, u.err
}

// Layers stay apart where the device wants it so, or where there is no
// normalisation behind the first convolution.
func TestNotJoined(t *testing.T) {
	b := newBoard(6, 5, 2)
	b.convolution(4, 3, 1, 1)
	b.block(4, 1)
	b.dense()
	for name, m := range map[string]*Machine{
		"nothing to gain": build(t, maximal(), unjoining{Device: reference.New()}, options(2)),
		"no neighbours":   build(t, &b.Description, devicetest.Joining(reference.New()), options(2)),
		"inference only":  build(t, maximal(), devicetest.Joining(reference.New()), Options{Batch: 2, Inference: true}),
	} {
		if strings.Contains(m.Dot(), "joined") {
			t.Errorf("%s: joined", name)
		}
	}
	_, err := New(maximal(), unjoining{reference.New(), errors.New("out of order")}, options(2))
	if want := "layers layer0 and layer1: out of order"; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}
