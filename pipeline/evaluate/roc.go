package evaluate

import (
	"cmp"
	"math"
	"slices"
)

// A Rate is a point of a receiver operating characteristic: the shares of the
// negatives and of the positives that score at least some threshold.
type Rate struct{ FalsePositive, TruePositive float64 }

// ROC is the receiver operating characteristic of one class against the rest,
// from (0, 0) to (1, 1), and the area under it: the probability that a random
// image of the class gets a higher probability for it than a random one of the
// others, ties counting half (Hanley and McNeil, "The Meaning and Use of the
// Area under a ROC Curve", 1982). The area is NaN and there is no curve where
// either kind of image is missing.
func ROC(predictions []Prediction, class int) (curve []Rate, area float64) {
	sorted := slices.Clone(predictions)
	slices.SortStableFunc(sorted, func(a, b Prediction) int {
		return cmp.Compare(b.Probabilities[class], a.Probabilities[class])
	})
	positives := 0
	for _, p := range sorted {
		if p.Class == class {
			positives++
		}
	}
	negatives := len(sorted) - positives
	if positives == 0 || negatives == 0 {
		return nil, math.NaN()
	}
	curve = []Rate{{0, 0}}
	// twice counts, in halves of a pair of a positive and a negative, the pairs
	// that are in the right order. Integers keep it exact.
	var truePositives, falsePositives, twice int
	for first := 0; first < len(sorted); {
		score := sorted[first].Probabilities[class]
		before, falseBefore := truePositives, falsePositives
		for first < len(sorted) && sorted[first].Probabilities[class] == score {
			if sorted[first].Class == class {
				truePositives++
			} else {
				falsePositives++
			}
			first++
		}
		twice += (falsePositives - falseBefore) * (before + truePositives)
		curve = append(curve, Rate{float64(falsePositives) / float64(negatives), float64(truePositives) / float64(positives)})
	}
	return curve, float64(twice) / 2 / float64(positives) / float64(negatives)
}

// MacroAUC is the mean of all classes' areas under the ROC, one against the
// rest; classes without an area are left out.
func MacroAUC(predictions []Prediction, classes int) float64 {
	sum, count := 0.0, 0
	for class := range classes {
		if _, area := ROC(predictions, class); !math.IsNaN(area) {
			sum += area
			count++
		}
	}
	return sum / float64(count)
}
