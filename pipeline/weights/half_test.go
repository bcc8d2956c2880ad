package weights

import (
	"math"
	"strings"
	"testing"
)

// Every half comes back from its float32, and halfway between two neighbours
// the even one is taken.
func TestHalf(t *testing.T) {
	for bits := range 1 << 16 {
		h := half(bits)
		v := h.float32()
		if v != v {
			if back := toHalf(v).float32(); back == back {
				t.Errorf("%#04x is not a number, but comes back as %g", bits, back)
			}
			continue
		}
		if back := toHalf(v); back != h {
			t.Fatalf("%#04x is %g, which comes back as %#04x", bits, v, back)
		}
		if h&0x7fff >= 0x7bff {
			continue // infinite, or its neighbour is
		}
		middle := (v + (h + 1).float32()) / 2
		for _, c := range []struct {
			v    float32
			want half
		}{{middle, h + h&1}, {math.Nextafter32(middle, v), h}, {math.Nextafter32(middle, 2*middle-v), h + 1}} {
			if got := toHalf(c.v); got != c.want {
				t.Fatalf("%g, next to %#04x: rounded to %#04x, want %#04x", c.v, bits, got, c.want)
			}
		}
	}
	for v, want := range map[float32]half{1: 0x3c00, -2: 0xc000, 65504: 0x7bff, 65520: 0x7c00, 6.1035156e-5: 0x0400, 5.9604645e-8: 1, 1e-9: 0} {
		if got := toHalf(v); got != want {
			t.Errorf("%g is %#04x, want %#04x", v, got, want)
		}
	}
}

func TestEncodeHalf(t *testing.T) {
	tensors := []Tensor{
		{"weight", []int{2, 2}, []float32{1, -0.1, 1e-6, 3}},
		{"variance", []int{2}, []float32{1e-12, 1e9}},
	}
	content, err := EncodeHalf(tensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	read, _, err := Decode(content)
	if err != nil {
		t.Fatal(err)
	}
	same(t, []Tensor{{"weight", []int{2, 2}, []float32{1, toHalf(-0.1).float32(), toHalf(1e-6).float32(), 3}}, tensors[1]}, read)

	for _, v := range []float32{7e4, float32(math.Inf(-1)), float32(math.NaN())} {
		if _, err := EncodeHalf([]Tensor{{"weight", []int{1, 1}, []float32{v}}}, nil); err == nil || !strings.Contains(err.Error(), "does not fit into float16") {
			t.Errorf("%g: error %v", v, err)
		}
	}
}
