package present

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"catdog/pipeline/network"
)

// Summary is a table of the layers: what each computes, its output's shape,
// its parameters and its multiply-adds for one image, with totals.
func Summary(d *network.Description) string {
	rows := [][]string{
		{"layer", "computes", "output", "parameters", "multiply-adds"},
		nil,
		{"image", "", d.Input.String(), "", ""},
	}
	for i, layer := range d.Layers {
		learnt, _ := d.Count(i)
		rows = append(rows, []string{layer.Name, computes(d, layer), layer.Out.String(), number(learnt), number(layer.MultiplyAdds())})
	}
	learnt, statistics := d.Count(-1)
	rows = append(rows, nil, []string{"total", "", "", number(learnt), number(d.MultiplyAdds())})

	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	for _, row := range rows {
		if row == nil {
			for i, width := range widths {
				if i > 0 {
					out.WriteString("  ")
				}
				out.WriteString(strings.Repeat("─", width))
			}
			out.WriteByte('\n')
			continue
		}
		line := ""
		for i, cell := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < 2 {
				line += cell + space + "  "
			} else {
				line += space + cell + "  "
			}
		}
		out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	fmt.Fprintf(&out, "\nParameters are the learnt ones; %s running statistics come on top. Multiply-adds\nare those of convolutions and dense layers, for one image, forward.\n", number(statistics))
	return out.String()
}

// computes says in a few words what a layer does.
func computes(d *network.Description, layer network.Layer) string {
	switch layer.Kind {
	case network.Convolution:
		return fmt.Sprintf("convolution %d×%d", layer.Kernel, layer.Kernel)
	case network.Normalization:
		words := "normalization"
		if layer.ReLU {
			words += ", ReLU"
		}
		if layer.Pool > 1 {
			words += fmt.Sprintf(", max pool %d×%d", layer.Pool, layer.Pool)
		}
		if layer.Skip >= 0 {
			words += ", + " + d.Layers[layer.Skip].Name
		}
		return words
	case network.GlobalPool:
		if layer.Average {
			return "average over positions"
		}
		return "maximum over positions"
	case network.Dropout:
		return fmt.Sprintf("dropout %g", layer.Rate)
	}
	return string(layer.Kind)
}

// number has commas, and no digits where there is nothing to count.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return humanize.Comma(int64(n))
}
