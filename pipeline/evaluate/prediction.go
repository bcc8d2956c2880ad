// Package evaluate measures a trained network: accuracy with its interval,
// loss, confusion, ROC, calibration, and which photos it gets wrong.
package evaluate

import (
	"cmp"
	"slices"
	"strings"
)

// A Prediction is what the network says of one image.
type Prediction struct {
	Path          string
	Class         int       // the true one
	Probabilities []float64 // one a class; their sum is 1
}

// Predicted is the most probable class, the first of equals.
func (p Prediction) Predicted() int {
	best := 0
	for class, probability := range p.Probabilities {
		if probability > p.Probabilities[best] {
			best = class
		}
	}
	return best
}

// Confidence is the probability of the predicted class.
func (p Prediction) Confidence() float64 { return p.Probabilities[p.Predicted()] }

// Right says that the predicted class is the true one.
func (p Prediction) Right() bool { return p.Predicted() == p.Class }

// Mistakes are the wrong predictions, most confident first, equals by path; at
// most limit of them.
func Mistakes(predictions []Prediction, limit int) []Prediction {
	var wrong []Prediction
	for _, p := range predictions {
		if !p.Right() {
			wrong = append(wrong, p)
		}
	}
	slices.SortFunc(wrong, func(a, b Prediction) int {
		return cmp.Or(cmp.Compare(b.Confidence(), a.Confidence()), strings.Compare(a.Path, b.Path))
	})
	return wrong[:min(limit, len(wrong))]
}
