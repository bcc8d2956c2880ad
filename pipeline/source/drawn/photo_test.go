package drawn

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// modifiedZScores are how far values are from their median, in units of their
// median deviation from it that make 1 a standard deviation of normal values.
func modifiedZScores(values []float64) []float64 {
	median := func(values []float64) float64 {
		values = slices.Sorted(slices.Values(values))
		return values[len(values)/2]
	}
	middle := median(values)
	deviations := make([]float64, len(values))
	for i, v := range values {
		deviations[i] = math.Abs(v - middle)
	}
	scale := 0.6745 / median(deviations)
	for i := range deviations {
		deviations[i] *= scale
	}
	return deviations
}

// TestSizes holds that the sizes are spread like those of real photos, and that
// none but the planted ones is an outlier, for several seeds and numbers of
// images.
func TestSizes(t *testing.T) {
	for seed := range 10 {
		for _, images := range []int{120, 500, 2000} {
			t.Run(fmt.Sprint(seed, " ", images), func(t *testing.T) {
				var widths, heights, areas, aspects []float64
				var kinds []string
				for _, f := range plan(seed, images) {
					if f.planted.Problem != "" {
						continue
					}
					width, height := f.size(newRandom(seed, f.name))
					w, h := float64(width), float64(height)
					widths, heights = append(widths, w), append(heights, h)
					areas, aspects = append(areas, math.Log(w*h)), append(aspects, math.Log(w/h))
					kinds = append(kinds, f.planted.Kind)
				}
				areas, aspects = modifiedZScores(areas), modifiedZScores(aspects)
				for i, kind := range kinds {
					if want := kind == SizeOutlier; (areas[i] > 3.5) != want || want && areas[i] < 4.5 {
						t.Errorf("%s photo of %g×%g: its area scores %.2f", kind, heights[i], widths[i], areas[i])
					}
					if want := kind == AspectOutlier; (aspects[i] > 3.5) != want || want && aspects[i] < 4 {
						t.Errorf("%s photo of %g×%g: its aspect scores %.2f", kind, heights[i], widths[i], aspects[i])
					}
				}
				if images < 2000 {
					return
				}
				slices.Sort(widths)
				slices.Sort(heights)
				if w, h := widths[len(widths)/2], heights[len(heights)/2]; math.Abs(w-500) > 40 || math.Abs(h-375) > 25 {
					t.Errorf("the median photo is %g×%g, not about 375×500", h, w)
				}
				if low, high := widths[len(widths)/100], widths[len(widths)*99/100]; low > 300 || high < 700 {
					t.Errorf("99 of 100 photos are %g to %g px wide: no tail", low, high)
				}
			})
		}
	}
}
