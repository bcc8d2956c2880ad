package reference

import (
	"math"

	"catdog/pipeline/device"
)

type crossEntropy struct{ device.CrossEntropySpec }

func (reference) NewCrossEntropy(spec device.CrossEntropySpec) (device.CrossEntropy, error) {
	return crossEntropy{spec}, nil
}

// logNormaliser is log Σ exp(logits), without overflow.
func logNormaliser(logits []float32) float64 {
	largest := math.Inf(-1)
	for _, v := range logits {
		largest = math.Max(largest, float64(v))
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - largest)
	}
	return largest + math.Log(sum)
}

func (c crossEntropy) Loss(logits, targets device.Vector) (float32, error) {
	total := 0.0
	for n := range c.Batch {
		row := logits.(vector)[n*c.Classes:][:c.Classes]
		normaliser := logNormaliser(row)
		for class, logit := range row {
			if target := targets.(vector)[n*c.Classes+class]; target != 0 {
				total -= float64(target) * (float64(logit) - normaliser)
			}
		}
	}
	return float32(total / float64(c.Batch)), nil
}

func (c crossEntropy) Backward(logits, targets, dlogits device.Vector) error {
	for n := range c.Batch {
		row := logits.(vector)[n*c.Classes:][:c.Classes]
		normaliser := logNormaliser(row)
		for class, logit := range row {
			i := n*c.Classes + class
			probability := math.Exp(float64(logit) - normaliser)
			dlogits.(vector)[i] = float32((probability - float64(targets.(vector)[i])) / float64(c.Batch))
		}
	}
	return nil
}
