package evaluate

import (
	"math"
	"testing"

	"catdog/pipeline/pack"
)

// TestMetrics holds the file's form, for three classes.
func TestMetrics(t *testing.T) {
	test := []Prediction{
		{"x/1.jpg", 0, []float64{0.7, 0.2, 0.1}}, {"x/2.jpg", 1, []float64{0.1, 0.8, 0.1}},
		{"x/3, 4.jpg", 2, []float64{0.6, 0.3, 0.1}}, {"x/5.jpg", 2, []float64{0.05, 0.05, 0.9}},
	}
	classes := []string{"cat", "dog", "fox"}
	m := &Metrics{
		Dataset: "pets", Experiment: "quick", Classes: classes,
		Splits: MeasureAll(map[pack.Split][]Prediction{pack.Train: test[:1], pack.Validation: test[1:3], pack.Test: test}, 3, 4),
		Model:  Model{"c0ffee", 7, 1234},
	}
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "dataset": "pets",
  "experiment": "quick",
  "classes": [
    "cat",
    "dog",
    "fox"
  ],
  "splits": {
    "train": {
      "n": 1,
      "accuracy": 1,
      "accuracy_low": 0.206549,
      "accuracy_high": 1,
      "loss": 0.356675
    },
    "validation": {
      "n": 2,
      "accuracy": 0.5,
      "accuracy_low": 0.094531,
      "accuracy_high": 0.905469,
      "loss": 1.262864
    },
    "test": {
      "n": 4,
      "accuracy": 0.75,
      "accuracy_low": 0.300642,
      "accuracy_high": 0.954413,
      "loss": 0.746941,
      "auc": 0.916667,
      "brier": 0.184375,
      "ece": 0.15,
      "confusion": [
        [
          1,
          0,
          0
        ],
        [
          0,
          1,
          0
        ],
        [
          1,
          0,
          1
        ]
      ]
    }
  },
  "model": {
    "digest": "c0ffee",
    "best_epoch": 7,
    "parameters": 1234
  }
}
`
	if string(text) != want {
		t.Errorf("metrics.json is\n%s\nwant\n%s", text, want)
	}

	const table = "path,class,predicted,probability,p_cat,p_dog,p_fox\n" +
		"x/1.jpg,cat,cat,0.700000,0.700000,0.200000,0.100000\n" +
		"x/2.jpg,dog,dog,0.800000,0.100000,0.800000,0.100000\n" +
		"\"x/3, 4.jpg\",fox,cat,0.600000,0.600000,0.300000,0.100000\n" +
		"x/5.jpg,fox,fox,0.900000,0.050000,0.050000,0.900000\n"
	if got := string(predictionsTable(test, classes)); got != table {
		t.Errorf("predictions.csv is\n%s\nwant\n%s", got, table)
	}
	if got := string(mistakesTable(Mistakes(test, 9), classes)); got != "path,class,predicted,probability\n\"x/3, 4.jpg\",fox,cat,0.600000\n" {
		t.Errorf("mistakes.csv is\n%s", got)
	}
}

func TestNumber(t *testing.T) {
	for value, want := range map[float64]string{1.0 / 3: "0.333333", 1e-9: "0", 12: "12", 0.1 + 0.2: "0.3"} {
		if got, _ := Number(value).MarshalJSON(); string(got) != want {
			t.Errorf("%g is written %s", value, got)
		}
	}
	if got, _ := Number(math.NaN()).MarshalJSON(); string(got) != "null" {
		t.Errorf("NaN is written %s", got)
	}
}
