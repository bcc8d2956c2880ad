package augment

import (
	"bytes"
	"math"
	"testing"

	"catdog/pipeline/params"
)

// checkUniform checks that values in 0…1 are uniform there, by Kolmogorov and
// Smirnov's distance at a level that one in 10,000 right samples fails.
func checkUniform(t *testing.T, what string, values []float64) {
	t.Helper()
	const bins = 50
	var counts [bins]int
	for _, v := range values {
		if v < -1e-9 || v > 1+1e-9 {
			t.Fatalf("%s: %g", what, v)
		}
		counts[min(max(int(v*bins), 0), bins-1)]++
	}
	sum := 0
	for i, count := range counts {
		sum += count
		distance := math.Abs(float64(sum)/float64(len(values)) - float64(i+1)/bins)
		if distance > 2.23/math.Sqrt(float64(len(values))) {
			t.Errorf("%s: %g of the values are below %g", what, float64(sum)/float64(len(values)), float64(i+1)/bins)
		}
	}
}

func TestCropsAreUniform(t *testing.T) {
	const height, width = 72, 96
	a := &params.Augment{Scale: 0.3, Aspect: 2}
	var changes, places, areas []float64
	for i := range 4000 {
		w := crop(newStream(0, 0, forView, i), a, height, width)
		if w.x-w.width/2 < -1e-9 || w.y-w.height/2 < -1e-9 || w.x+w.width/2 > width+1e-9 || w.y+w.height/2 > height+1e-9 {
			t.Fatalf("%+v lies outside", w)
		}
		change := math.Log(w.width / width / (w.height / height))
		changes = append(changes, change/math.Log(2)/2+0.5)
		if free := width - w.width; free > 1e-6 {
			places = append(places, (w.x-w.width/2)/free)
		}
		area := w.width * w.height / (width * height)
		if area < 0.3-1e-9 {
			t.Fatalf("area %g", area)
		}
		areas = append(areas, (area-0.3)/0.7)
	}
	checkUniform(t, "aspect", changes)
	checkUniform(t, "place", places)
	// Where the aspect ratio stays, all areas fit.
	areas = areas[:0]
	for i := range 4000 {
		w := crop(newStream(0, 0, forView, i), &params.Augment{Scale: 0.3, Aspect: 1}, height, width)
		areas = append(areas, (w.width*w.height/(width*height)-0.3)/0.7)
	}
	checkUniform(t, "area", areas)
}

// Of a grey that the mean makes 0, an input shows how much brighter it became.
func TestBrightnessIsUniform(t *testing.T) {
	images := noise(400, 8, 8, 2)
	for i := range images {
		images[i].Pixels = bytes.Repeat([]byte{51}, 8*8*3)
	}
	o := options(400, params.Augment{Scale: 1, Aspect: 1, Brightness: 0.25})
	o.Height, o.Width, o.InputHeight, o.InputWidth = 8, 8, 8, 8
	o.Mean, o.Std = [3]float32{0.2, 0.2, 0.2}, [3]float32{0.1, 0.1, 0.1}
	s := newSource(t, images, o)
	inputs, targets := s.buffers()
	s.Batch(0, 0, inputs, targets)
	var changes []float64
	for i := range images {
		input := inputs[i*8*8*3 : (i+1)*8*8*3]
		for _, v := range input {
			if v != input[0] {
				t.Fatalf("image %d is not one grey: %g and %g", i, input[0], v)
			}
		}
		changes = append(changes, float64(input[0])+0.5)
	}
	checkUniform(t, "brightness", changes)
}

func TestNoVariationIsNone(t *testing.T) {
	o := options(1, nothing)
	for i := range 10 {
		v := draw(newStream(1, 2, forView, i), &o)
		if want := (axis{start: 4, step: 1}); v.across != want || v.down != want || v.brightness != 1 {
			t.Fatalf("%+v", v)
		}
	}
}

// Numbers of a stream decide trainings; they must never change.
func TestStreamsStayTheSame(t *testing.T) {
	s := newStream(1, 2, forView, 3)
	if got := [...]int{s.below(0, 1e9), s.below(1, 1e9), newStream(1, 2, forView, 4).below(0, 1e9)}; got != [...]int{198822644, 455578155, 266699365} {
		t.Errorf("%d", got)
	}
	var values []float64
	for i := range 4000 {
		values = append(values, newStream(i, 0, forView, 0).uniform(i%7))
	}
	checkUniform(t, "stream", values)
}
