package record

import (
	"fmt"

	"catdog/pipeline/plot"
)

// DrawLoss draws training and validation loss by epoch into path, an .svg or
// .png file.
func DrawLoss(path string, rows []Row) error {
	return draw(path, rows, plot.Axes{Title: "Loss", Y: "cross-entropy (nats)"},
		func(r Row) (train, validation float64) { return r.TrainLoss, r.ValidationLoss })
}

// DrawAccuracy draws training and validation accuracy by epoch into path, an
// .svg or .png file.
func DrawAccuracy(path string, rows []Row) error {
	return draw(path, rows, plot.Axes{Title: "Accuracy", Y: "accuracy", YPercent: true},
		func(r Row) (train, validation float64) { return r.TrainAccuracy, r.ValidationAccuracy })
}

func draw(path string, rows []Row, axes plot.Axes, values func(Row) (train, validation float64)) error {
	train, validation := plot.Series{Name: "training"}, plot.Series{Name: "validation"}
	var best Row
	for i, row := range rows {
		t, v := values(row)
		train.X, train.Y = append(train.X, float64(row.Epoch)), append(train.Y, t)
		validation.X, validation.Y = append(validation.X, float64(row.Epoch)), append(validation.Y, v)
		if i == 0 || row.Better(best) {
			best = row
		}
	}
	axes.X = "epoch"
	// A single epoch is a point, not a curve.
	train.Points, validation.Points = len(rows) == 1, len(rows) == 1
	if len(rows) > 0 {
		_, v := values(best)
		if axes.YPercent {
			axes.Note = fmt.Sprintf("best model: epoch %d, %.2f %%", best.Epoch, 100*v)
		} else {
			axes.Note = fmt.Sprintf("best model: epoch %d, %.3f", best.Epoch, v)
		}
	}
	return plot.Lines(path, axes, train, validation)
}
