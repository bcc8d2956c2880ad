//go:build gpu

package cudnn

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed algorithms.csv
var algorithms string

// Columns are what algorithms.csv holds: the GPU's compute capability without
// its dot, the convolution as a Shape, the operation, and the algorithm that
// was the fastest of the deterministic ones.
var Columns = []string{"capability", "precision", "batch", "height", "width", "in", "out", "kernel", "stride", "padding", "operation", "algorithm"}

// Row is a row of algorithms.csv without its last column.
func Row(capability int, s Shape, o Operation) []string {
	precision := "float32"
	if s.BFloat16 {
		precision = "bfloat16"
	}
	row := []string{strconv.Itoa(capability), precision}
	for _, n := range []int{s.Batch, s.Height, s.Width, s.In, s.Out, s.Kernel, s.Stride, s.Padding} {
		row = append(row, strconv.Itoa(n))
	}
	return append(row, o.String())
}

var table = sync.OnceValues(func() (map[string]int, error) { return parse(algorithms) })

func parse(text string) (map[string]int, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("algorithms.csv: %w", err)
	}
	if len(rows) == 0 || strings.Join(rows[0], ",") != strings.Join(Columns, ",") {
		return nil, fmt.Errorf("algorithms.csv: its first line must be %s", strings.Join(Columns, ","))
	}
	found := map[string]int{}
	for i, row := range rows[1:] {
		last := len(row) - 1
		algorithm, err := strconv.Atoi(row[last])
		o := slices.IndexFunc(Operations, func(o Operation) bool { return o.String() == row[last-1] })
		if err != nil || o < 0 || !slices.Contains(Operations[o].Deterministic(), algorithm) {
			return nil, fmt.Errorf("algorithms.csv: line %d: %s has no deterministic algorithm %q", i+2, row[last-1], row[last])
		}
		found[strings.Join(row[:last], ",")] = algorithm
	}
	return found, nil
}

// Algorithm is the table's algorithm for an operation. Shapes that it does not
// list, and GPUs on which none was measured, get the implicit GEMM that needs
// little memory and is deterministic: number 1 of each operation.
func Algorithm(capability int, s Shape, o Operation) (int, error) {
	listed, err := table()
	if err != nil {
		return 0, err
	}
	if algorithm, ok := listed[strings.Join(Row(capability, s, o), ",")]; ok {
		return algorithm, nil
	}
	return 1, nil
}
