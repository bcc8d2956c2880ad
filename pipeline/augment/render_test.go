package augment

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// plain makes values stay what they are, in 0…1.
var (
	noMean   = [3]float32{}
	unitStd  = [3]float32{1, 1, 1}
	asStored = normalise(1, noMean, unitStd)
)

// slowly is render without its shortcuts: bilinear in float64 with the edges
// going on.
func slowly(pixels []byte, height, width int, p placement, inputHeight, inputWidth int) []float64 {
	at := func(x, y, c int) float64 {
		x, y = min(max(x, 0), width-1), min(max(y, 0), height-1)
		return float64(pixels[(y*width+x)*3+c]) / 255
	}
	var out []float64
	for row := range inputHeight {
		for column := range inputWidth {
			x := p.xx*float64(column) + p.xy*float64(row) + p.x0
			y := p.yx*float64(column) + p.yy*float64(row) + p.y0
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
		p := place(w, rapid.Float64Range(-4, 4).Draw(t, "angle"), rapid.Bool().Draw(t, "mirror"), inputHeight, inputWidth)
		pixels := noise(1, height, width, 1)[0].Pixels
		out := make([]float32, inputHeight*inputWidth*3)
		new(canvas).render(pixels, height, width, p, &asStored, inputHeight, inputWidth, out)
		for i, want := range slowly(pixels, height, width, p, inputHeight, inputWidth) {
			// Positions are rounded to 1/64 pixel in both directions.
			if math.Abs(float64(out[i])-want) > 2.0/128+0.002 {
				t.Fatalf("value %d: %g, must be %g", i, out[i], want)
			}
		}
	})
}

func TestQuarterTurns(t *testing.T) {
	const side = 17
	pixels := noise(1, side, side, 1)[0].Pixels
	out := make([]float32, side*side*3)
	for turns, from := range []func(x, y int) (int, int){
		func(x, y int) (int, int) { return x, y },
		func(x, y int) (int, int) { return side - 1 - y, x },
		func(x, y int) (int, int) { return side - 1 - x, side - 1 - y },
		func(x, y int) (int, int) { return y, side - 1 - x },
	} {
		p := place(centre(side, side, side, side), float64(turns)*math.Pi/2, false, side, side)
		new(canvas).render(pixels, side, side, p, &asStored, side, side, out)
		for y := range side {
			for x := range side {
				i, j := from(x, y)
				for c := range 3 {
					if got, want := out[(y*side+x)*3+c]*255, pixels[(j*side+i)*3+c]; math.Abs(float64(got)-float64(want)) > 1e-3 {
						t.Fatalf("%d turns, pixel %d,%d: %g, must be %d", turns, x, y, got, want)
					}
				}
			}
		}
	}
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
	Centre(pixels, side, side, input, input, noMean, unitStd, false, out)
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
		out := make([]float32, 64*64*3)
		w := window{float64(side) / 2, float64(side) / 2, float64(side), float64(side)}
		new(canvas).render(pixels, side, side, place(w, 0, false, 64, 64), &asStored, 64, 64, out)
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
		Centre(pixels, size[0], size[1], size[2], size[3], noMean, unitStd, true, out)
		if least, most := slices.Min(out), slices.Max(out); math.Abs(float64(least)-0.2) > 1e-6 || math.Abs(float64(most)-0.2) > 1e-6 {
			t.Errorf("%v: values from %g to %g", size, least, most)
		}
	}
}

func BenchmarkCentre(b *testing.B) {
	pixels, out := noise(1, 72, 72, 1)[0].Pixels, make([]float32, 64*64*3)
	for b.Loop() {
		Centre(pixels, 72, 72, 64, 64, noMean, unitStd, false, out)
	}
}
