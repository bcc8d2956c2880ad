package report

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"github.com/dustin/go-humanize"
)

// document is Markdown in the making.
type document struct{ bytes.Buffer }

// heading begins a section; level 1 is the title.
func (d *document) heading(level int, text string) {
	d.paragraph("%s %s", strings.Repeat("#", level), text)
}

// paragraph writes text of its own.
func (d *document) paragraph(format string, arguments ...any) {
	fmt.Fprintf(d, format+"\n\n", arguments...)
}

// table writes a table; align has a letter for each column: l, or r for
// numbers. Cells are Markdown.
func (d *document) table(align string, header []string, rows [][]string) {
	line := func(cells []string) { fmt.Fprintf(d, "| %s |\n", strings.Join(cells, " | ")) }
	line(header)
	rule := make([]string, len(align))
	for i, letter := range align {
		rule[i] = map[rune]string{'l': "---", 'r': "---:"}[letter]
	}
	line(rule)
	for _, row := range rows {
		line(row)
	}
	d.WriteByte('\n')
}

// block writes text as it stands, in a fence that it cannot close.
func (d *document) block(language, text string) {
	fence := fence(text, "```")
	d.paragraph("%s%s\n%s\n%s", fence, language, strings.TrimRight(text, "\n"), fence)
}

// folded writes what a click opens.
func (d *document) folded(title string, content func()) {
	d.paragraph("<details>\n<summary>%s</summary>", title)
	content()
	d.paragraph("</details>")
}

// code writes a word as it stands, e.g. a path, for a table's cell too.
func code(word string) string {
	word = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '\ufffd'
		}
		return r
	}, word)
	word = strings.ReplaceAll(word, "|", `\|`)
	if !strings.Contains(word, "`") {
		return "`" + word + "`"
	}
	fence := fence(word, "``")
	return fence + " " + word + " " + fence
}

// fence is at least so many backticks, and more than the text has in a row.
func fence(text, least string) string {
	for strings.Contains(text, least) {
		least += "`"
	}
	return least
}

// plain writes words, e.g. a class's name, so that no sign in them is Markdown.
func plain(words string) string {
	var text strings.Builder
	for _, r := range words {
		switch {
		case r < ' ' || r == 0x7f:
			r = '\ufffd'
		case strings.ContainsRune("\\`*_{}[]<>()#+!|~&$", r):
			text.WriteByte('\\')
		}
		text.WriteRune(r)
	}
	return text.String()
}

// count is a number of things, with what they are called if there is one of
// them or several.
func count(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(int64(n)) + " " + several
}

func comma(n int) string { return humanize.Comma(int64(n)) }

// percent is a share 0…1.
func percent(share float64) string {
	if math.IsNaN(share) {
		return "–"
	}
	return fmt.Sprintf("%.2f %%", 100*share)
}

// share is a part of a whole in percent.
func share(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	return percent(float64(part) / float64(whole))
}

// decimals is a number that may be none.
func decimals(value *float64, digits int) string {
	if value == nil {
		return "–"
	}
	return fmt.Sprintf("%.*f", digits, *value)
}
