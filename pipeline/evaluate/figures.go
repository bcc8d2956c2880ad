package evaluate

import (
	"fmt"
	"os"
	"path/filepath"

	"catdog/pipeline/plot"
)

// drawFigures draws the test split's confusion matrix, ROC and reliability
// diagram into folder.
func drawFigures(folder string, metrics *Metrics, test []Prediction, bins int) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("draw figures: %w", err)
	}
	measures := metrics.Splits.Test
	err := plot.Matrix(filepath.Join(folder, "confusion.svg"), plot.Axes{
		Title: "Test images by class", X: "predicted", Y: "true",
		Note: fmt.Sprintf("accuracy %.2f %%", 100*measures.Accuracy),
	}, metrics.Classes, measures.Confusion)
	if err != nil {
		return err
	}
	err = plot.Lines(filepath.Join(folder, "roc.svg"), plot.Axes{
		Title: "ROC", X: "share of other classes' images taken for it", Y: "share of its images found",
		XLimits: &[2]float64{0, 1}, YLimits: &[2]float64{0, 1}, XPercent: true, YPercent: true, Square: true,
		Note: fmt.Sprintf("AUC %.4f", measures.AUC),
	}, rocSeries(test, metrics.Classes)...)
	if err != nil {
		return err
	}
	calibration, _ := Calibration(test, bins)
	lowest := 1 / float64(len(metrics.Classes)) // of a prediction's confidence
	return plot.Lines(filepath.Join(folder, "reliability.svg"), plot.Axes{
		Title: "Reliability", X: "confidence", Y: "right predictions",
		XLimits: &[2]float64{lowest, 1}, YLimits: &[2]float64{0, 1}, XPercent: true, YPercent: true, Square: true,
		Note: fmt.Sprintf("ECE %.3f", measures.ECE),
	}, reliabilitySeries(calibration, lowest)...)
}

// rocSeries are the classes' curves, each against the rest, with their names
// where each has a colour of its own. Of two classes one is enough: the other's
// is its reflection.
func rocSeries(test []Prediction, classes []string) []plot.Series {
	series := []plot.Series{{Name: "chance", X: []float64{0, 1}, Y: []float64{0, 1}, Reference: true}}
	first := 0
	if len(classes) == 2 {
		first = 1
	}
	for class := first; class < len(classes); class++ {
		curve, _ := ROC(test, class)
		var s plot.Series
		if len(classes) <= plot.Colors {
			s.Name = classes[class]
		}
		for i, rate := range curve {
			// Points within a straight stretch draw nothing.
			if i > 0 && i+1 < len(curve) {
				before, after := curve[i-1], curve[i+1]
				if before.FalsePositive == after.FalsePositive || before.TruePositive == after.TruePositive {
					continue
				}
			}
			s.X, s.Y = append(s.X, rate.FalsePositive), append(s.Y, rate.TruePositive)
		}
		series = append(series, s)
	}
	return series
}

// reliabilitySeries are the bins that hold predictions, and where a network
// lies that is as sure as it is right.
func reliabilitySeries(bins []Bin, lowest float64) []plot.Series {
	network := plot.Series{Name: "network", Points: true}
	for _, bin := range bins {
		if bin.Count > 0 {
			network.X, network.Y = append(network.X, bin.Confidence), append(network.Y, bin.Accuracy)
		}
	}
	return []plot.Series{{Name: "calibrated", X: []float64{lowest, 1}, Y: []float64{lowest, 1}, Reference: true}, network}
}
