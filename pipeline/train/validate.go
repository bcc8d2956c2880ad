package train

import (
	"context"
	"fmt"

	"catdog/pipeline/model"
	"catdog/pipeline/pack"
)

// validation measures a predictor on the validation split: the mean
// cross-entropy in nats and the accuracy.
func validation(predictor *model.Predictor, images []pack.Image) func(context.Context) (loss, accuracy float64, err error) {
	pixels := make([][]byte, len(images))
	for i, image := range images {
		pixels[i] = image.Pixels
	}
	return func(ctx context.Context) (loss, accuracy float64, err error) {
		logits, err := predictor.Logits(ctx, pixels, false)
		if err != nil {
			return 0, 0, fmt.Errorf("validate: %w", err)
		}
		correct := 0
		for i, row := range logits {
			loss += model.CrossEntropy(row, images[i].Class)
			if highest(row) == images[i].Class {
				correct++
			}
		}
		count := float64(len(images))
		return loss / count, float64(correct) / count, nil
	}
}
