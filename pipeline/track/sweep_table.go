package track

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"catdog/pipeline/params"
)

// A sweepGroup is the runs that differ in seeds alone.
type sweepGroup struct {
	words  []string // variant and values but seeds
	points []point
}

// sweepTable is the sweep as Markdown: a row for the runs that differ in seeds
// alone, with mean and spread, then every run.
func sweepTable(p *params.Params, s *params.Sweep, points []point) []byte {
	var keys []string
	if len(s.Variants) > 0 {
		keys = append(keys, "variant")
	}
	for _, axis := range s.Grid {
		keys = append(keys, axis.Key)
	}
	groups, names := grouped(keys, points)

	var text bytes.Buffer
	fmt.Fprintf(&text, "# Sweep %s: %s, %s\n\n", s.Name, p.Dataset, p.Experiment)
	text.WriteString("Accuracy in per cent: mean ± standard deviation over the runs that differ in seeds alone, and range. ")
	if len(groups) > 1 {
		text.WriteString("Differences are to the first row's run of the same seed, in points: mean ± standard deviation. ")
	}
	columns := []string{"validation", "range", "loss"}
	if len(groups) > 1 {
		columns = slices.Insert(columns, 2, "difference")
	}
	switch {
	case s.Test:
		text.WriteString("Choose by validation; the test columns say only how good the choice is.\n\n")
		columns = append(columns, "test", "range")
	case slices.ContainsFunc(points, func(p point) bool { return p.evaluated }):
		text.WriteString("The kept epoch's, by validation, or where nothing was trained the stage evaluate's on the validation split; " +
			"what it measured on others is left out here.\n\n")
	default:
		text.WriteString("The kept epoch's, by validation; the test split was not looked at.\n\n")
	}
	header(&text, append(names, "runs"), columns...)
	for _, group := range groups {
		row := append(slices.Clone(group.words), fmt.Sprint(len(group.points)))
		row = append(row, group.spread("%.2f ± %.2f", validationAccuracy), group.extent(validationAccuracy))
		if len(groups) > 1 {
			row = append(row, group.difference(groups[0]))
		}
		row = append(row, group.spread("%.4f ± %.4f", func(p point) float64 { return p.validation.loss }))
		if s.Test {
			row = append(row, group.spread("%.2f ± %.2f", testAccuracy), group.extent(testAccuracy))
		}
		tableRow(&text, row...)
	}

	text.WriteString("\n## Runs\n\n")
	columns = []string{"validation", "loss"}
	if s.Test {
		columns = append(columns, "test")
	}
	header(&text, keys, columns...)
	for _, p := range points {
		row := append(p.words(len(keys)), fmt.Sprintf("%.2f", validationAccuracy(p)), fmt.Sprintf("%.4f", p.validation.loss))
		if s.Test {
			row = append(row, fmt.Sprintf("%.2f", testAccuracy(p)))
		}
		tableRow(&text, row...)
	}
	return text.Bytes()
}

func validationAccuracy(p point) float64 { return 100 * p.validation.accuracy }
func testAccuracy(p point) float64       { return 100 * p.test.accuracy }

// words are a point's variant, where the sweep has any, and values.
func (p point) words(count int) []string {
	if count > len(p.values) {
		return append([]string{p.variant}, p.values...)
	}
	return slices.Clone(p.values)
}

// grouped puts points together that differ in seeds alone, in the order of
// their first, and returns the names of what tells groups apart.
func grouped(keys []string, points []point) (groups []sweepGroup, names []string) {
	tells := func(i int) bool { return !strings.HasSuffix(keys[i], ".seed") }
	for i, key := range keys {
		if tells(i) {
			names = append(names, key)
		}
	}
	for _, p := range points {
		var words []string
		for i, word := range p.words(len(keys)) {
			if tells(i) {
				words = append(words, word)
			}
		}
		i := slices.IndexFunc(groups, func(g sweepGroup) bool { return slices.Equal(g.words, words) })
		if i < 0 {
			i = len(groups)
			groups = append(groups, sweepGroup{words: words})
		}
		groups[i].points = append(groups[i].points, p)
	}
	return groups, names
}

func (g sweepGroup) values(of func(point) float64) []float64 {
	values := make([]float64, len(g.points))
	for i, p := range g.points {
		values[i] = of(p)
	}
	return values
}

func (g sweepGroup) spread(format string, of func(point) float64) string {
	mean, deviation := spread(g.values(of))
	return fmt.Sprintf(format, mean, deviation)
}

func (g sweepGroup) extent(of func(point) float64) string {
	values := g.values(of)
	return fmt.Sprintf("%.2f – %.2f", slices.Min(values), slices.Max(values))
}

// difference is that of the validation accuracy, run by run: both groups hold
// the same seeds in the same order.
func (g sweepGroup) difference(first sweepGroup) string {
	values, from := g.values(validationAccuracy), first.values(validationAccuracy)
	for i := range values {
		values[i] -= from[i]
	}
	mean, deviation := spread(values)
	return fmt.Sprintf("%+.2f ± %.2f", mean, deviation)
}

// spread is the mean and the sample standard deviation, 0 for one value.
func spread(values []float64) (mean, deviation float64) {
	for _, value := range values {
		mean += value / float64(len(values))
	}
	if len(values) < 2 {
		return mean, 0
	}
	for _, value := range values {
		deviation += (value - mean) * (value - mean) / float64(len(values)-1)
	}
	return mean, math.Sqrt(deviation)
}
