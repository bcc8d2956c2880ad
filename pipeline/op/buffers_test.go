package op

import (
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/reference"
)

func TestBuffers(t *testing.T) {
	b := NewBuffers(reference.New())
	get := func(c int) device.Activation { return must[device.Activation](t)(b.Get(1, 2, 3, c)) }
	first, second := get(4), get(4)
	if first == second {
		t.Fatal("one buffer was lent twice")
	}
	b.Put(first)
	b.Put(first)
	if get(5) == first {
		t.Error("a buffer was lent for another shape")
	}
	if get(4) != first {
		t.Error("a free buffer was not used again")
	}
	if a := get(4); a == first || a == second {
		t.Error("putting a buffer back twice lent it twice")
	}
	b.PutAll()
	seen := map[device.Activation]bool{}
	for range 3 {
		seen[get(4)] = true
	}
	if len(seen) != 3 || !seen[first] || !seen[second] {
		t.Error("after PutAll the buffers are not all free, once each")
	}
}
