package record

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
)

// A Row is what an epoch of training came to.
type Row struct {
	Epoch              int     `json:"epoch"`         // from 1
	LearningRate       float64 `json:"learning_rate"` // of the epoch's last step
	TrainLoss          float64 `json:"train_loss"`    // mean over the images
	TrainAccuracy      float64 `json:"train_accuracy"`
	ValidationLoss     float64 `json:"validation_loss"`
	ValidationAccuracy float64 `json:"validation_accuracy"` // 0 to 1
}

// Better says whether a model of row r is to be preferred to one of other: by
// higher validation accuracy, among equals by lower validation loss. Where
// both are equal the earlier one stays the best.
func (r Row) Better(other Row) bool {
	if r.ValidationAccuracy != other.ValidationAccuracy {
		return r.ValidationAccuracy > other.ValidationAccuracy
	}
	return r.ValidationLoss < other.ValidationLoss
}

// columns are history.csv's, in their order.
var columns = []string{"epoch", "learning_rate", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"}

// encodeHistory is history.csv: learning rates with six significant digits,
// losses and accuracies with six decimals.
func encodeHistory(rows []Row) []byte {
	var out bytes.Buffer
	writer := csv.NewWriter(&out)
	writer.Write(columns)
	decimals := func(v float64) string { return strconv.FormatFloat(v, 'f', 6, 64) }
	for _, r := range rows {
		writer.Write([]string{strconv.Itoa(r.Epoch), strconv.FormatFloat(r.LearningRate, 'g', 6, 64),
			decimals(r.TrainLoss), decimals(r.TrainAccuracy), decimals(r.ValidationLoss), decimals(r.ValidationAccuracy)})
	}
	writer.Flush()
	return out.Bytes()
}

// ReadHistory reads a history.csv, to the digits that it holds.
func ReadHistory(path string) ([]Row, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer file.Close()
	rows, err := decodeHistory(file)
	if err != nil {
		return nil, fmt.Errorf("read history %s: %w", path, err)
	}
	return rows, nil
}

func decodeHistory(in io.Reader) ([]Row, error) {
	lines, err := csv.NewReader(in).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 || !slices.Equal(lines[0], columns) {
		return nil, fmt.Errorf("the first line does not name the columns %v", columns)
	}
	rows := make([]Row, len(lines)-1)
	for i, line := range lines[1:] {
		r := &rows[i]
		if r.Epoch, err = strconv.Atoi(line[0]); err != nil {
			return nil, fmt.Errorf("line %d: epoch %q is not a whole number", i+2, line[0])
		}
		for column, field := range []*float64{&r.LearningRate, &r.TrainLoss, &r.TrainAccuracy, &r.ValidationLoss, &r.ValidationAccuracy} {
			if *field, err = strconv.ParseFloat(line[column+1], 64); err != nil {
				return nil, fmt.Errorf("line %d: %s %q is not a number", i+2, columns[column+1], line[column+1])
			}
		}
	}
	return rows, nil
}
