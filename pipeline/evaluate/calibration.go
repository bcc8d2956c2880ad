package evaluate

import "math"

// Brier is the mean squared distance between probabilities and truth, halved
// so that it lies within 0…1 for any number of classes and is, for two, the
// usual (p − y)² (Brier, "Verification of Forecasts Expressed in Terms of
// Probability", 1950).
func Brier(predictions []Prediction) float64 {
	sum := 0.0
	for _, p := range predictions {
		for class, probability := range p.Probabilities {
			if class == p.Class {
				probability--
			}
			sum += probability * probability
		}
	}
	return sum / 2 / float64(len(predictions))
}

// A Bin is the predictions whose confidence lies in one of equal parts of 0…1.
type Bin struct {
	Low, High  float64 // confidence: above Low, at most High
	Count      int
	Confidence float64 // mean; 0 in an empty bin
	Accuracy   float64 // share of right predictions; 0 in an empty bin
}

// Calibration sorts predictions into bins by confidence and returns the
// expected calibration error: the mean distance between a bin's accuracy and
// its confidence, weighted by its count (Guo et al., "On Calibration of Modern
// Neural Networks", 2017).
func Calibration(predictions []Prediction, count int) (bins []Bin, ece float64) {
	bins = make([]Bin, count)
	for i := range bins {
		bins[i].Low, bins[i].High = float64(i)/float64(count), float64(i+1)/float64(count)
	}
	for _, p := range predictions {
		confidence := p.Confidence()
		i := int(math.Ceil(confidence*float64(count))) - 1
		bin := &bins[min(max(i, 0), count-1)]
		bin.Count++
		bin.Confidence += confidence
		if p.Right() {
			bin.Accuracy++
		}
	}
	for i := range bins {
		bin := &bins[i]
		if bin.Count == 0 {
			continue
		}
		ece += math.Abs(bin.Accuracy-bin.Confidence) / float64(len(predictions))
		bin.Accuracy /= float64(bin.Count)
		bin.Confidence /= float64(bin.Count)
	}
	return bins, ece
}
