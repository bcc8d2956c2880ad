package evaluate

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// binary makes predictions of two classes from the second one's probability.
func binary(classes []int, scores []float64) []Prediction {
	var predictions []Prediction
	for i, class := range classes {
		predictions = append(predictions, Prediction{fmt.Sprint(i), class, []float64{1 - scores[i], scores[i]}})
	}
	return predictions
}

// drawn are predictions of three classes, with many ties.
func drawn(t *rapid.T, classes int) []Prediction {
	var predictions []Prediction
	for i := range rapid.IntRange(1, 40).Draw(t, "n") {
		p := Prediction{Path: fmt.Sprint(i), Class: rapid.IntRange(0, classes-1).Draw(t, "class")}
		sum := 0.0
		for range classes {
			part := float64(rapid.IntRange(1, 5).Draw(t, "part"))
			p.Probabilities, sum = append(p.Probabilities, part), sum+part
		}
		for j := range p.Probabilities {
			p.Probabilities[j] /= sum
		}
		predictions = append(predictions, p)
	}
	return predictions
}

// TestWilson compares with Newcombe, "Two-sided confidence intervals for the
// single proportion", 1998, table I, method 3.
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		right, n  int
		low, high float64
	}{
		{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718},
		{20, 20, 1 - 0.1611, 1}, {0, 0, 0, 1},
	} {
		low, high := Wilson(c.right, c.n)
		if !near(low, c.low, 5e-5) || !near(high, c.high, 5e-5) {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", c.right, c.n, low, high, c.low, c.high)
		}
	}
}

func TestWilsonProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 100000).Draw(t, "n")
		k := rapid.IntRange(0, n).Draw(t, "right")
		low, high := Wilson(k, n)
		if p := float64(k) / float64(n); !(0 <= low && low <= p && p <= high && high <= 1) {
			t.Fatalf("%g is not within %g to %g", p, low, high)
		}
		if otherLow, otherHigh := Wilson(n-k, n); !near(low, 1-otherHigh, 1e-12) || !near(high, 1-otherLow, 1e-12) {
			t.Fatalf("%d of %d is not the mirror image of %d", k, n, n-k)
		}
		if tighterLow, tighterHigh := Wilson(4*k, 4*n); tighterHigh-tighterLow >= high-low {
			t.Fatalf("four times the images do not narrow %g to %g", low, high)
		}
	})
}

// TestROC is scikit-learn's example of roc_auc_score and roc_curve.
func TestROC(t *testing.T) {
	curve, area := ROC(binary([]int{0, 0, 1, 1}, []float64{0.1, 0.4, 0.35, 0.8}), 1)
	if area != 0.75 {
		t.Errorf("area %g, want 0.75", area)
	}
	if want := []Rate{{0, 0}, {0, 0.5}, {0.5, 0.5}, {0.5, 1}, {1, 1}}; !slices.Equal(curve, want) {
		t.Errorf("curve %v, want %v", curve, want)
	}
	if curve, area := ROC(binary([]int{0, 1, 0, 1}, []float64{0.5, 0.5, 0.5, 0.5}), 1); area != 0.5 || len(curve) != 2 {
		t.Errorf("all tied: area %g, curve %v", area, curve)
	}
	if curve, area := ROC(binary([]int{1, 1}, []float64{0.2, 0.5}), 1); !math.IsNaN(area) || curve != nil {
		t.Errorf("no negatives: area %g, curve %v", area, curve)
	}
}

// TestROCPairs counts all pairs of a positive and a negative, and adds up the
// area under the curve by trapezoids.
func TestROCPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		predictions := drawn(t, 3)
		class := rapid.IntRange(0, 2).Draw(t, "class")
		sum, pairs := 0.0, 0.0
		for _, positive := range predictions {
			for _, negative := range predictions {
				if positive.Class != class || negative.Class == class {
					continue
				}
				pairs++
				switch a, b := positive.Probabilities[class], negative.Probabilities[class]; {
				case a > b:
					sum++
				case a == b:
					sum += 0.5
				}
			}
		}
		curve, area := ROC(predictions, class)
		if pairs == 0 {
			if !math.IsNaN(area) {
				t.Fatalf("area %g of nothing", area)
			}
			return
		}
		if !near(area, sum/pairs, 1e-15) {
			t.Fatalf("area %g, pairs say %g", area, sum/pairs)
		}
		under := 0.0
		for i := 1; i < len(curve); i++ {
			under += (curve[i].FalsePositive - curve[i-1].FalsePositive) * (curve[i].TruePositive + curve[i-1].TruePositive) / 2
		}
		if last := curve[len(curve)-1]; !near(area, under, 1e-12) || last != (Rate{1, 1}) {
			t.Fatalf("area %g, under the curve %g, which ends at %v", area, under, last)
		}
	})
}

func TestMacroAUC(t *testing.T) {
	predictions := []Prediction{
		{"a", 0, []float64{0.7, 0.2, 0.1}}, {"b", 0, []float64{0.3, 0.4, 0.3}},
		{"c", 1, []float64{0.1, 0.8, 0.1}}, {"d", 1, []float64{0.4, 0.3, 0.3}},
	}
	// Class 0: of the pairs a>c, a>d, b>c, b<d three are right; class 1: c>a,
	// c>b, d>a are right, d<b is not; class 2 has no positives.
	if got := MacroAUC(predictions, 3); got != 0.75 {
		t.Errorf("macro AUC %g", got)
	}
}

func TestBrier(t *testing.T) {
	if got := Brier(binary([]int{0, 1, 1, 0}, []float64{0.1, 0.9, 0.8, 0.3})); !near(got, 0.0375, 1e-15) {
		t.Errorf("Brier %g, want 0.0375", got) // scikit-learn's example
	}
	if got := Brier([]Prediction{{"a", 2, []float64{1, 0, 0}}}); got != 1 {
		t.Errorf("wrong without doubt: %g, want 1", got)
	}
}

func TestCalibration(t *testing.T) {
	// Of the confidences 0.95 and 0.85 in (0.8, 1] half are right, 0.65 in
	// (0.6, 0.8] is right: (2·|0.5 − 0.9| + 1·|1 − 0.65|)/3.
	bins, ece := Calibration(binary([]int{1, 0, 1}, []float64{0.95, 0.85, 0.65}), 5)
	if want := (2*0.4 + 0.35) / 3; !near(ece, want, 1e-15) {
		t.Errorf("ECE %g, want %g", ece, want)
	}
	if bins[4].Count != 2 || bins[4].Accuracy != 0.5 || !near(bins[4].Confidence, 0.9, 1e-15) || bins[3].Count != 1 || bins[0].Count != 0 {
		t.Errorf("bins %+v", bins)
	}
	// A bin includes its upper edge.
	if bins, _ := Calibration(binary([]int{1, 1}, []float64{0.75, 1}), 4); bins[2].Count != 1 || bins[3].Count != 1 {
		t.Errorf("bins %+v", bins)
	}
}

func TestLoss(t *testing.T) {
	if got := Loss(binary([]int{1, 0}, []float64{0.5, 0.75})); !near(got, (math.Log(2)+math.Log(4))/2, 1e-15) {
		t.Errorf("loss %g", got)
	}
	if got := Loss(binary([]int{0}, []float64{1})); !near(got, 34.538776394910684, 1e-12) {
		t.Errorf("loss of a certain mistake %g", got)
	}
}

// TestProperties holds for all predictions of any number of classes.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := rapid.IntRange(2, 5).Draw(t, "classes")
		predictions := drawn(t, classes)
		bins, ece := Calibration(predictions, rapid.IntRange(2, 20).Draw(t, "bins"))
		inBins, diagonal, total := 0, 0, 0
		for _, bin := range bins {
			inBins += bin.Count
			if bin.Count > 0 && (bin.Confidence < bin.Low-1e-12 || bin.Confidence > bin.High+1e-12) {
				t.Fatalf("mean confidence outside its bin: %+v", bin)
			}
		}
		for i, row := range Confusion(predictions, classes) {
			for j, count := range row {
				total += count
				if i == j {
					diagonal += count
				}
			}
		}
		n, brier := len(predictions), Brier(predictions)
		switch {
		case inBins != n || total != n || diagonal != right(predictions):
			t.Fatalf("%d predictions, %d in bins, %d in the matrix, %d on its diagonal of %d right", n, inBins, total, diagonal, right(predictions))
		case !(brier >= 0 && brier <= 1 && ece >= 0 && ece <= 1):
			t.Fatalf("Brier %g, ECE %g", brier, ece)
		case Loss(predictions) < 0:
			t.Fatalf("loss %g", Loss(predictions))
		}
		mistakes := Mistakes(predictions, n)
		if len(mistakes) != n-right(predictions) {
			t.Fatalf("%d mistakes", len(mistakes))
		}
		for i, m := range mistakes {
			if m.Right() || i > 0 && mistakes[i-1].Confidence() < m.Confidence() {
				t.Fatalf("mistake %d: %v", i, m)
			}
		}
	})
}

func TestMistakes(t *testing.T) {
	predictions := []Prediction{
		{"b", 0, []float64{0.2, 0.8}}, {"c", 0, []float64{0.1, 0.9}}, {"a", 1, []float64{0.8, 0.2}}, {"right", 0, []float64{1, 0}},
	}
	var paths []string
	for _, m := range Mistakes(predictions, 2) {
		paths = append(paths, m.Path)
	}
	if !slices.Equal(paths, []string{"c", "a"}) {
		t.Errorf("mistakes %v", paths)
	}
}
