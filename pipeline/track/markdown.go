package track

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// header begins a Markdown table: words to the left, numbers to the right.
func header(out io.Writer, words []string, numbers ...string) {
	tableRow(out, append(slices.Clone(words), numbers...)...)
	fmt.Fprintf(out, "|%s%s\n", strings.Repeat("---|", len(words)), strings.Repeat("---:|", len(numbers)))
}

func tableRow(out io.Writer, cells ...string) {
	for i := range cells {
		cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
	}
	fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
}
