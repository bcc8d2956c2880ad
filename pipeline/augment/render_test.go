package augment

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// plain makes values stay what they are, in 0…1.
var plain = struct{ mean, std [3]float32 }{std: [3]float32{1, 1, 1}}

// rendered is a view of a stored image, with plain values.
func rendered(pixels []byte, height, width int, v view, inputHeight, inputWidth int) []float32 {
	out := make([]float32, inputHeight*inputWidth*3)
	s := v.sample(height, width, plain.mean, plain.std)
	new(renderer).render(pixels, height, width, &s, inputHeight, inputWidth, out)
	return out
}

// slowly is rendered without shortcuts: bilinear in float64 with the edges
// going on.
func slowly(pixels []byte, height, width int, v view, inputHeight, inputWidth int) []float64 {
	at := func(x, y, c int) float64 {
		x, y = min(max(x, 0), width-1), min(max(y, 0), height-1)
		return float64(pixels[(y*width+x)*3+c]) / 255
	}
	var out []float64
	for row := range inputHeight {
		for column := range inputWidth {
			x := v.across.start + v.across.step*float64(column)
			y := v.down.start + v.down.step*float64(row)
			left, top := math.Floor(x), math.Floor(y)
			fx, fy := x-left, y-top
			i, j := int(left), int(top)
			for c := range 3 {
				out = append(out, (1-fy)*((1-fx)*at(i, j, c)+fx*at(i+1, j, c))+fy*((1-fx)*at(i, j+1, c)+fx*at(i+1, j+1, c)))
			}
		}
	}
	return out
}

func TestRenderIsBilinearSampling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		height, width := rapid.IntRange(1, 40).Draw(t, "height"), rapid.IntRange(1, 40).Draw(t, "width")
		inputHeight, inputWidth := rapid.IntRange(1, 30).Draw(t, "input's height"), rapid.IntRange(1, 30).Draw(t, "input's width")
		w := window{
			rapid.Float64Range(-5, 45).Draw(t, "x"), rapid.Float64Range(-5, 45).Draw(t, "y"),
			// Shrinking to less than half is not bilinear.
			rapid.Float64Range(0.1, 1.4*float64(inputWidth)).Draw(t, "window's width"),
			rapid.Float64Range(0.1, 1.4*float64(inputHeight)).Draw(t, "window's height"),
		}
		v := w.view(inputHeight, inputWidth)
		if rapid.Bool().Draw(t, "mirror") {
			v.across.mirror(inputWidth)
		}
		pixels := noise(1, height, width, 1)[0].Pixels
		out := rendered(pixels, height, width, v, inputHeight, inputWidth)
		for i, want := range slowly(pixels, height, width, v, inputHeight, inputWidth) {
			// Positions are rounded to 1/64 pixel in both directions.
			if math.Abs(float64(out[i])-want) > 2.0/128+0.002 {
				t.Fatalf("value %d: %g, must be %g", i, out[i], want)
			}
		}
	})
}

// Stripes of single pixels must become grey, not thicker stripes.
func TestShrinkingAverages(t *testing.T) {
	const side, input = 200, 64
	pixels := make([]byte, side*side*3)
	for i := range pixels {
		if i/3%2 == 0 {
			pixels[i] = 255
		}
	}
	out := make([]float32, input*input*3)
	Centre(pixels, side, side, input, input, plain.mean, plain.std, false, out)
	for i, v := range out {
		if math.Abs(float64(v)-0.5) > 0.01 {
			t.Fatalf("value %d is %g", i, v)
		}
	}
}

// A smooth image keeps its place when it is shrunk and enlarged.
func TestSlopesStayWhereTheyAre(t *testing.T) {
	for _, side := range []int{30, 64, 77, 90, 150, 200, 300, 513} {
		pixels := make([]byte, side*side*3)
		for y := range side {
			for x := range side {
				pixels[(y*side+x)*3] = byte(math.Round(250 * (float64(x) + 0.5) / float64(side)))
				pixels[(y*side+x)*3+1] = byte(math.Round(250 * (float64(y) + 0.5) / float64(side)))
			}
		}
		w := window{float64(side) / 2, float64(side) / 2, float64(side), float64(side)}
		out := rendered(pixels, side, side, w.view(64, 64), 64, 64)
		for y := 4; y < 60; y++ {
			for x := 4; x < 60; x++ {
				for c, at := range []int{x, y} {
					want := 250.0 / 255 * (float64(at) + 0.5) / 64
					if got := float64(out[(y*64+x)*3+c]); math.Abs(got-want) > 0.006 {
						t.Fatalf("side %d, pixel %d,%d: %g, must be %g", side, x, y, got, want)
					}
				}
			}
		}
	}
}

func TestCentreSide(t *testing.T) {
	for _, c := range []struct {
		stored, input int
		middle, side  float64
	}{
		{72, 64, 36, 64}, {48, 40, 24, 40}, {73, 64, 36, 64}, {64, 64, 32, 64},
		{200, 64, 100, 200.0 * 5 / 6}, {50, 64, 25, 50},
	} {
		if middle, side := centreSide(c.stored, c.input); middle != c.middle || side != c.side {
			t.Errorf("%d in %d: %g about %g, must be %g about %g", c.input, c.stored, side, middle, c.side, c.middle)
		}
	}
}

func TestCentreOfOtherSizes(t *testing.T) {
	for _, size := range [][4]int{{1, 1, 1, 1}, {9, 5, 8, 8}, {8, 200, 64, 64}, {1000, 10, 64, 32}} {
		pixels := bytes.Repeat([]byte{51}, size[0]*size[1]*3)
		out := make([]float32, size[2]*size[3]*3)
		Centre(pixels, size[0], size[1], size[2], size[3], plain.mean, plain.std, true, out)
		if least, most := slices.Min(out), slices.Max(out); math.Abs(float64(least)-0.2) > 1e-6 || math.Abs(float64(most)-0.2) > 1e-6 {
			t.Errorf("%v: values from %g to %g", size, least, most)
		}
	}
}

func BenchmarkCentre(b *testing.B) {
	pixels, out := noise(1, 72, 72, 1)[0].Pixels, make([]float32, 64*64*3)
	for b.Loop() {
		Centre(pixels, 72, 72, 64, 64, plain.mean, plain.std, false, out)
	}
}
