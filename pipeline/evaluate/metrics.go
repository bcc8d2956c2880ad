package evaluate

import (
	"encoding/json"
	"math"
	"strconv"

	"catdog/pipeline/pack"
)

// Metrics is what metrics.json holds.
type Metrics struct {
	Dataset    string   `json:"dataset"`
	Experiment string   `json:"experiment"`
	Classes    []string `json:"classes"`
	Splits     Splits   `json:"splits"`
	Model      Model    `json:"model"`
}

// Splits are the measures of the parts of the data set.
type Splits struct {
	Train      Measures     `json:"train"`
	Validation Measures     `json:"validation"`
	Test       TestMeasures `json:"test"`
}

// Measures say how good predictions are.
type Measures struct {
	N        int    `json:"n"`
	Accuracy Number `json:"accuracy"`
	// AccuracyLow and AccuracyHigh are Wilson's 95 % interval.
	AccuracyLow  Number `json:"accuracy_low"`
	AccuracyHigh Number `json:"accuracy_high"`
	Loss         Number `json:"loss"`
}

// TestMeasures are more of them, for the split that nothing was chosen on.
type TestMeasures struct {
	Measures
	AUC       Number  `json:"auc"` // macro: mean of each class against the rest
	Brier     Number  `json:"brier"`
	ECE       Number  `json:"ece"`
	Confusion [][]int `json:"confusion"` // by true class, then predicted
}

// Model says what was measured.
type Model struct {
	Digest     string `json:"digest"`     // SHA-256 of the weights' file
	BestEpoch  int    `json:"best_epoch"` // the weights are those after this epoch, from 1
	Parameters int    `json:"parameters"` // learnt ones
}

// Number is written with six decimals at most, and as null where it is not
// finite.
type Number float64

// MarshalJSON writes the number.
func (n Number) MarshalJSON() ([]byte, error) {
	value := float64(n)
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, math.Round(value*1e6)/1e6, 'f', -1, 64), nil
}

// Encode is the content of metrics.json.
func (m *Metrics) Encode() ([]byte, error) {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

// Measure measures a split's predictions.
func Measure(predictions []Prediction) Measures {
	n, count := len(predictions), right(predictions)
	low, high := Wilson(count, n)
	return Measures{n, Number(float64(count) / float64(n)), Number(low), Number(high), Number(Loss(predictions))}
}

// MeasureAll measures the predictions of all splits; bins is for calibration.
func MeasureAll(predictions map[pack.Split][]Prediction, classes, bins int) Splits {
	test := predictions[pack.Test]
	_, ece := Calibration(test, bins)
	return Splits{
		Train:      Measure(predictions[pack.Train]),
		Validation: Measure(predictions[pack.Validation]),
		Test: TestMeasures{
			Measures:  Measure(test),
			AUC:       Number(MacroAUC(test, classes)),
			Brier:     Number(Brier(test)),
			ECE:       Number(ece),
			Confusion: Confusion(test, classes),
		},
	}
}
