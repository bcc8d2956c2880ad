package augment

import (
	"math"
	"testing"

	"pgregory.net/rapid"

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

func TestErasedRectangles(t *testing.T) {
	for i := range 2000 {
		r := erase(newStream(0, 0, forView, i), 64, 64)
		share := float64(r.area()) / (64 * 64)
		if r.left < 0 || r.top < 0 || r.right > 64 || r.bottom > 64 || share < 0.015 || share > 0.21 {
			t.Fatalf("%+v, %g of the area", r, share)
		}
	}
	s := newSource(t, noise(400, 8, 8, 2), func() Options {
		o := options(400, params.Augment{Scale: 1, Aspect: 1, Erase: 0.3})
		o.Height, o.Width, o.InputHeight, o.InputWidth = 8, 8, 8, 8
		return o
	}())
	images, targets := s.buffers()
	s.Batch(0, 0, images, targets)
	erased := 0
	for i := range 400 {
		for j := i * 8 * 8 * 3; j < (i+1)*8*8*3; j += 3 {
			if images[j] == 0 && images[j+1] == 0 && images[j+2] == 0 {
				erased++
				break
			}
		}
	}
	if erased < 75 || erased > 165 {
		t.Errorf("%d of 400 have an erased rectangle, must be about 120", erased)
	}
}

// applied is what a colour makes of a pixel.
func (c *colour) applied(pixel [3]float64) (out [3]float64) {
	for i := range 3 {
		out[i] = c.constant[i]
		for j := range 3 {
			out[i] += c.linear[i][j] * pixel[j]
		}
	}
	return out
}

func TestColoursAreTheirStepsInTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Float64Range(0, 1)
		a := &params.Augment{Brightness: amount.Draw(t, "brightness"), Contrast: amount.Draw(t, "contrast"), Saturation: amount.Draw(t, "saturation")}
		random := newStream(rapid.IntRange(0, 1000).Draw(t, "seed"), 0, forView, 0)
		mean := [3]float32{0.5, 0.4, 0.3}
		pixel := [3]float64{amount.Draw(t, "red"), amount.Draw(t, "green"), amount.Draw(t, "blue")}
		want := pixel
		brightness := random.between(drawBrightness, 1-a.Brightness, 1+a.Brightness)
		contrast := random.between(drawContrast, 1-a.Contrast, 1+a.Contrast)
		saturation := random.between(drawSaturation, 1-a.Saturation, 1+a.Saturation)
		for i := range want {
			want[i] = (want[i]*brightness-float64(mean[i]))*contrast + float64(mean[i])
		}
		grey := 0.299*want[0] + 0.587*want[1] + 0.114*want[2]
		c := vary(random, a, mean)
		for i, got := range c.applied(pixel) {
			if w := grey + (want[i]-grey)*saturation; math.Abs(got-w) > 1e-12 {
				t.Fatalf("channel %d: %g, must be %g", i, got, w)
			}
		}
	})
}

func TestNoVariationIsNone(t *testing.T) {
	o := options(1, nothing)
	for i := range 10 {
		v := draw(newStream(1, 2, forView, i), &o)
		if want := (placement{xx: 1, yy: 1, x0: 4, y0: 4}); v.place != want || v.colour != unchanged || v.erased.area() != 0 {
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
