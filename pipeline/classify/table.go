package classify

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"

	"catdog/pipeline/evaluate"
	"catdog/pipeline/model"
)

// A result is what became of one photo.
type result struct {
	name       string
	prediction evaluate.Prediction
	reason     string // why there is no prediction, else ""
}

// describe names a model and says how good it is, if that is known.
func describe(folder string, m *model.Model, metrics *evaluate.Metrics) string {
	words := fmt.Sprintf("model %s: %s, input %d×%d", folder, strings.Join(m.Classes, " or "), m.Input.Width, m.Input.Height)
	if metrics == nil {
		return words + ", test accuracy not known"
	}
	test := metrics.Splits.Test
	return words + fmt.Sprintf("\ntest accuracy %.2f %% (95 %% interval %.2f–%.2f) on %s images of %s, experiment %s",
		100*test.Accuracy, 100*test.AccuracyLow, 100*test.AccuracyHigh, humanize.Comma(int64(test.N)), metrics.Dataset, metrics.Experiment)
}

// printTable prints a row a photo and, below, how many there were of each class.
func printTable(out io.Writer, results []result, classes []string) error {
	counts, leftOut := make([]int, len(classes)), 0
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "photo\tpredicted\tprobability")
	for _, r := range results {
		if r.reason != "" {
			leftOut++
			fmt.Fprintf(table, "%s\t-\tleft out, %s\n", r.name, r.reason)
			continue
		}
		class := r.prediction.Predicted()
		counts[class]++
		fmt.Fprintf(table, "%s\t%s\t%.1f %%\n", r.name, classes[class], 100*r.prediction.Confidence())
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	words := []string{}
	for class, count := range counts {
		words = append(words, fmt.Sprintf("%s %s", humanize.Comma(int64(count)), classes[class]))
	}
	if leftOut > 0 {
		words = append(words, fmt.Sprintf("%s left out", humanize.Comma(int64(leftOut))))
	}
	plural := "s"
	if len(results) == 1 {
		plural = ""
	}
	_, err := fmt.Fprintf(out, "%s photo%s: %s\n", humanize.Comma(int64(len(results))), plural, strings.Join(words, ", "))
	return err
}

// encodeTable is the CSV file: a row a photo that could be classified.
func encodeTable(results []result, classes []string) []byte {
	header := []string{"path", "predicted", "probability"}
	for _, class := range classes {
		header = append(header, "p_"+class)
	}
	rows := [][]string{header}
	decimal := func(probability float64) string { return strconv.FormatFloat(probability, 'f', 6, 64) }
	for _, r := range results {
		if r.reason != "" {
			continue
		}
		row := []string{r.name, classes[r.prediction.Predicted()], decimal(r.prediction.Confidence())}
		for _, probability := range r.prediction.Probabilities {
			row = append(row, decimal(probability))
		}
		rows = append(rows, row)
	}
	var out bytes.Buffer
	csv.NewWriter(&out).WriteAll(rows) // a buffer takes all
	return out.Bytes()
}
