package evaluate

import (
	"bytes"
	"encoding/csv"
	"strconv"
)

// predictionsTable is predictions.csv: a row an image, in the order given.
func predictionsTable(predictions []Prediction, classes []string) []byte {
	header := []string{"path", "class", "predicted", "probability"}
	for _, class := range classes {
		header = append(header, "p_"+class)
	}
	rows := [][]string{header}
	for _, p := range predictions {
		row := mistakeRow(p, classes)
		for _, probability := range p.Probabilities {
			row = append(row, decimal(probability))
		}
		rows = append(rows, row)
	}
	return table(rows)
}

// mistakesTable is mistakes.csv.
func mistakesTable(mistakes []Prediction, classes []string) []byte {
	rows := [][]string{{"path", "class", "predicted", "probability"}}
	for _, p := range mistakes {
		rows = append(rows, mistakeRow(p, classes))
	}
	return table(rows)
}

func mistakeRow(p Prediction, classes []string) []string {
	return []string{p.Path, classes[p.Class], classes[p.Predicted()], decimal(p.Confidence())}
}

func decimal(probability float64) string { return strconv.FormatFloat(probability, 'f', 6, 64) }

func table(rows [][]string) []byte {
	var out bytes.Buffer
	csv.NewWriter(&out).WriteAll(rows) // a buffer takes all
	return out.Bytes()
}
