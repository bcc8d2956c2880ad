package drawn

import (
	"math"
	"testing"
)

// area is the sum of a shape's coverage of the canvas's pixels.
func area(c *canvas, s shape) float64 {
	total := 0.0
	c.rasterise(s, func(_, _, width int, coverage []float64) {
		sum := 0.0
		for _, v := range coverage[:width] {
			sum += v
			total += math.Min(math.Abs(sum), 1)
		}
	})
	return total
}

// TestAreas holds that the rasteriser covers exactly as much as a shape has.
func TestAreas(t *testing.T) {
	c := newCanvas(40, 30)
	for name, test := range map[string]struct {
		shape shape
		want  float64
	}{
		"pixels":             {box(3, 4, 8, 6), 10},
		"parts of pixels":    {box(3.25, 4.5, 8.5, 6.25), 5.25 * 1.75},
		"triangle":           {polygon(2, 2, 30, 5, 11, 27), 0.5 * (28*25 - 9*3)},
		"other way round":    {polygon(2, 2, 11, 27, 30, 5), 0.5 * (28*25 - 9*3)},
		"beyond the canvas":  {box(-10, -10, 100, 100), 40 * 30},
		"partly beyond":      {box(-10, 20, 10, 100), 10 * 10},
		"beside the canvas":  {box(50, 0, 60, 10), 0},
		"a polygon of 32":    {ellipse(20, 15, 10, 8, 0.3), 16 * math.Sin(2*math.Pi/32) * 80},
		"clipped to a strip": {polygon(-20, 0, 60, 0, 60, 30, -20, 30), 40 * 30},
	} {
		if got := area(c, test.shape); math.Abs(got-test.want) > 1e-6 {
			t.Errorf("%s: %.6f, not %.6f", name, got, test.want)
		}
	}
}

func TestInverse(t *testing.T) {
	m := place(3, -2, 2, -0.5, 0.7).then(place(1, 1, 3, 3, -0.2))
	p := m.then(m.inverse()).apply(point{5, 7})
	if math.Abs(p.x-5) > 1e-9 || math.Abs(p.y-7) > 1e-9 {
		t.Error(p)
	}
}
