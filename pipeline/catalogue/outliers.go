package catalogue

import (
	"math"
	"strconv"

	"catdog/pipeline/artifact"
)

// outlier is a photo whose size or shape is far from the others'.
type outlier struct {
	row     Row
	measure string // area or aspect
	// score is the modified z-score of the measure's logarithm.
	score float64
}

// measures are what outliers are looked for in. Logarithms make twice as large
// as far from the median as half as large.
var measures = []struct {
	name string
	of   func(Row) float64
}{
	{"area", func(r Row) float64 { return math.Log(float64(r.Width) * float64(r.Height)) }},
	{"aspect", func(r Row) float64 { return math.Log(float64(r.Width) / float64(r.Height)) }},
}

// outlierRule is the rule in words, for exploration.json.
const outlierRule = "modified z-score of log(width·height) or log(width/height) beyond the threshold: " +
	"0.6745·(x − median)/MAD (Iglewicz & Hoaglin 1993); MAD is that of all photos or, if larger, " +
	"of those on the same side of the median, so that the long tail of a skewed distribution does not count; " +
	"where the MAD is 0, (x − median)/(1.2533·mean absolute deviation)"

// findOutliers applies the rule to all good photos, in the order of rows.
func findOutliers(rows []Row, threshold float64) []outlier {
	var good []Row
	for _, row := range rows {
		if row.Good() {
			good = append(good, row)
		}
	}
	scores := make([][]float64, len(measures))
	for m, measure := range measures {
		values := make([]float64, len(good))
		for i, row := range good {
			values[i] = measure.of(row)
		}
		scores[m] = modifiedZScores(values)
	}
	var found []outlier
	for i, row := range good {
		for m, measure := range measures {
			if score := scores[m][i]; math.Abs(score) > threshold {
				found = append(found, outlier{row, measure.name, score})
			}
		}
	}
	return found
}

// modifiedZScores are robust distances from the median (B. Iglewicz and D.
// Hoaglin, How to Detect and Handle Outliers, 1993, section 3.3): in standard
// deviations if the values were normally distributed, and moved neither by the
// outliers' number, up to half (a quarter, where all lie on one side), nor by how
// far out they are. Photos' sizes are
// skewed (many at a site's largest size, a long tail below), so the deviation is
// the median one of all values or, if larger, of those on the same side. Where
// more than half of the values are equal, the mean absolute deviation takes its
// place; where all are, the scores are 0.
func modifiedZScores(values []float64) []float64 {
	scores := make([]float64, len(values))
	if len(values) == 0 {
		return scores
	}
	median := quantile(sorted(values), 0.5)
	var below, above, all []float64
	sum := 0.0
	for _, value := range values {
		deviation := math.Abs(value - median)
		all = append(all, deviation)
		sum += deviation
		if value <= median {
			below = append(below, deviation)
		}
		if value >= median {
			above = append(above, deviation)
		}
	}
	mad := func(deviations []float64) float64 { return quantile(sorted(deviations), 0.5) / 0.6745 }
	unit := mad(all)
	unitBelow, unitAbove := max(unit, mad(below)), max(unit, mad(above))
	// Equal sizes differ by no more than rounding.
	const nothing = 1e-9
	if unit < nothing {
		unit = sum / float64(len(values)) * math.Sqrt(math.Pi/2)
		unitBelow, unitAbove = unit, unit
	}
	if unit < nothing {
		return scores
	}
	for i, value := range values {
		if value < median {
			scores[i] = (value - median) / unitBelow
		} else {
			scores[i] = (value - median) / unitAbove
		}
	}
	return scores
}

// writeOutliers writes outliers.csv.
func writeOutliers(path string, found []outlier) error {
	return WriteCSV(path, []string{"path", "class", "width", "height", "measure", "score"}, func(write func(...string)) {
		for _, o := range found {
			write(artifact.EscapePath(o.row.Path), artifact.EscapePath(o.row.Class),
				strconv.Itoa(o.row.Width), strconv.Itoa(o.row.Height), o.measure, strconv.FormatFloat(o.score, 'f', 2, 64))
		}
	})
}
