package track

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"catdog/pipeline/stage"
)

// dag prints the graph of stages with their states: as text or, into a file or
// with --svg, as a picture.
func dag(words []string, out io.Writer) error {
	_, states, err := planned()
	if err != nil {
		return err
	}
	if slices.Contains(words, "--svg") || regular(out) {
		_, err := out.Write(dagSVG(states))
		return err
	}
	marks := map[stage.Verdict]string{stage.Fresh: "●", stage.Restorable: "◐", stage.Stale: "○", stage.Depends: "◌"}
	for _, state := range states {
		inputs := strings.Join(state.Definition.Inputs, ", ")
		if inputs != "" {
			inputs = " ← " + inputs
		}
		fmt.Fprintf(out, "%s %s%s\n", marks[state.Verdict], state.Definition.Name, inputs)
	}
	_, err = fmt.Fprintln(out, "● fresh  ◐ computed before  ○ stale  ◌ runs if what it reads differs")
	return err
}

// regular says whether out is a file on a disk.
func regular(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	information, err := file.Stat()
	return err == nil && information.Mode().IsRegular()
}

// dagSVG draws the stages from top to bottom, what each reads as arcs on the
// left and its state on the right.
func dagSVG(states []*stage.State) []byte {
	const (
		left, width   = 150, 110
		height, pitch = 30, 52
	)
	fills := map[stage.Verdict]string{stage.Fresh: "#cde8d1", stage.Restorable: "#dbe6f6", stage.Stale: "#f6d5cf", stage.Depends: "#f7ecc8"}
	var text bytes.Buffer
	fmt.Fprintf(&text, `<svg xmlns="http://www.w3.org/2000/svg" width="860" height="%d" font-family="Liberation Sans, Arial, sans-serif" font-size="13">`+"\n", len(states)*pitch+16)
	text.WriteString(`<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#666"/></marker></defs>` + "\n")
	row := map[string]int{}
	for i, state := range states {
		row[state.Definition.Name] = i
		y := 8 + i*pitch
		for _, input := range state.Definition.Inputs {
			from := 8 + row[input]*pitch
			if row[input] == i-1 {
				fmt.Fprintf(&text, `<path d="M%d %dV%d" stroke="#666" fill="none" marker-end="url(#tip)"/>`+"\n", left+width/2, from+height, y)
				continue
			}
			bend := left - 22*(i-row[input])
			fmt.Fprintf(&text, `<path d="M%d %dC%d %d %d %d %d %d" stroke="#666" fill="none" marker-end="url(#tip)"/>`+"\n",
				left, from+height/2, bend, from+height/2, bend, y+height/2, left, y+height/2)
		}
		fmt.Fprintf(&text, `<rect x="%d" y="%d" width="%d" height="%d" rx="5" fill="%s" stroke="#666"/>`+"\n", left, y, width, height, fills[state.Verdict])
		fmt.Fprintf(&text, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", left+width/2, y+20, state.Definition.Name)
		words := []rune(describe(state))
		if len(words) > 90 {
			words = append(words[:89], '…')
		}
		fmt.Fprintf(&text, `<text x="%d" y="%d" fill="#444">%s</text>`+"\n", left+width+16, y+20, escape(string(words)))
	}
	text.WriteString("</svg>\n")
	return text.Bytes()
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace
