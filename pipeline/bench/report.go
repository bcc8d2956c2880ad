package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"catdog/pipeline/artifact"
)

// The files that a Report is written to.
const (
	jsonName     = "benchmarks.json"
	markdownName = "benchmarks.md"
)

// A Row compares one thing that we do with a peer that does the same.
type Row struct {
	Part string `json:"part"` // what ONLY= calls it
	Name string `json:"name"` // what is measured
	// Ours and Peer are medians over the rounds.
	Ours     float64 `json:"ours"`
	Peer     float64 `json:"peer"` // 0, without a name, where there is none
	PeerName string  `json:"peer_name"`
	Unit     string  `json:"unit"`
	// Ratio is above 1 where we are better: Ours/Peer, or Peer/Ours where less
	// is better; 0 where that is none.
	Ratio float64 `json:"ratio"`
	// Rounds is how often each was measured, in turn. OursRange and PeerRange
	// are the least and the most; all absent where there is but one number.
	Rounds    int         `json:"rounds,omitempty"`
	OursRange *[2]float64 `json:"ours_range,omitempty"`
	PeerRange *[2]float64 `json:"peer_range,omitempty"`
	// OfPeak and OfBandwidth are shares of what the machine can do at most, in
	// multiply-adds and in bytes to and from memory, where that was measured.
	OfPeak      float64 `json:"of_peak,omitempty"`
	OfBandwidth float64 `json:"of_bandwidth,omitempty"`
}

// String is the row in one line.
func (r Row) String() string {
	text := fmt.Sprintf("%s: %s %s", r.Name, figure(r.Ours), r.Unit)
	if r.PeerName != "" {
		text += fmt.Sprintf(", %s %s: ratio %s", r.PeerName, figure(r.Peer), ratioOf(r))
	}
	return text
}

// A Run is how the rows of one part came about.
type Run struct {
	Part string `json:"part"`
	// About is what was measured, and how.
	About   string `json:"about"`
	Command string `json:"command"`
	// Versions are those of what took part, by name.
	Versions map[string]string `json:"versions"`
	// Load is the number of processes that wanted a core, averaged over the minute
	// before the first part was measured.
	Load float64 `json:"load_before"`
	// Notes are lines about what was left out.
	Notes []string `json:"notes,omitempty"`
	// Figure is the file, beside the report, that shows the rows; "" if none
	// does.
	Figure string `json:"figure,omitempty"`
}

// A Report is what benchmarks.json holds.
type Report struct {
	Machine Machine `json:"machine"`
	Runs    []Run   `json:"runs"`
	Rows    []Row   `json:"rows"`
}

// readReport reads the report in a folder; an empty one if there is none.
func readReport(folder string) (*Report, error) {
	r := new(Report)
	text, err := os.ReadFile(filepath.Join(folder, jsonName))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(folder, jsonName), err)
	}
	return r, nil
}

// merge replaces the parts that were measured anew. Numbers of another machine
// do not stand beside ours: the second result says that there were some, and
// that they are gone.
func (r *Report) merge(fresh *Report) (merged *Report, dropped bool) {
	merged = &Report{Machine: fresh.Machine}
	if r.Machine != fresh.Machine {
		dropped = len(r.Rows) > 0
		r = &Report{}
	}
	for _, p := range parts {
		from := r
		if slices.ContainsFunc(fresh.Runs, func(run Run) bool { return run.Part == p.name }) {
			from = fresh
		}
		for _, run := range from.Runs {
			if run.Part == p.name {
				merged.Runs = append(merged.Runs, run)
			}
		}
		for _, row := range from.Rows {
			if row.Part == p.name {
				merged.Rows = append(merged.Rows, row)
			}
		}
	}
	return merged, dropped
}

// write writes both files, each whole or not at all.
func (r *Report) write(folder string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", jsonName, err)
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("write %s: %w", jsonName, err)
	}
	if err := artifact.WriteFile(filepath.Join(folder, jsonName), append(text, '\n')); err != nil {
		return err
	}
	return artifact.WriteFile(filepath.Join(folder, markdownName), []byte(r.markdown()))
}

// markdown is the report for people.
func (r *Report) markdown() string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n")
	b.WriteString("Each line is this project beside a peer that does the same work on the same machine in the same run (accuracy against time says what it does instead), or beside itself where the peer says *ours*. " +
		"Contenders are processes of their own that wait while another one works, and take turns: " +
		"the figures are medians over the rounds, in brackets the least and the most. A ratio above 1 says that this project is better.\n\n")
	fmt.Fprintf(&b, "Machine: %s.\n", r.Machine)

	for _, p := range parts {
		index := slices.IndexFunc(r.Runs, func(run Run) bool { return run.Part == p.name })
		if index < 0 {
			continue
		}
		run := r.Runs[index]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", p.title, run.About)
		for _, note := range run.Notes {
			fmt.Fprintf(&b, "Note: %s.\n\n", note)
		}
		if rows := slices.DeleteFunc(slices.Clone(r.Rows), func(row Row) bool { return row.Part != p.name }); len(rows) > 0 {
			table(&b, rows)
		}
		if run.Figure != "" {
			fmt.Fprintf(&b, "\n![%s](%s)\n", p.title, run.Figure)
		}
		fmt.Fprintf(&b, "\n`%s`, load of the machine in the minute before: %.1f. %s.\n", run.Command, run.Load, versions(run.Versions))
	}

	b.WriteString("\n## How to get them\n\n")
	b.WriteString("`make bench` measures everything but accuracy in about half an hour and `make bench ONLY=train` one part; the others' lines stay. The parts: ")
	for i, p := range parts {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("`" + p.name + "`")
	}
	b.WriteString(". What the peers need is installed into `build/` the first time (PyTorch alone is 3 GB). " +
		"`PHOTOS=folder` takes the JPEGs of that folder for `resize` in place of drawn ones. " +
		"Nothing else should run meanwhile. The same numbers, with more digits, are in benchmarks.json.\n")
	return b.String()
}

// versions are what took part, in one line.
func versions(of map[string]string) string {
	var words []string
	for name, version := range of {
		words = append(words, name+" "+version)
	}
	slices.SortFunc(words, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return strings.Join(words, ", ")
}

// table writes rows; columns that are empty throughout are left out.
func table(b *strings.Builder, rows []Row) {
	shares := slices.ContainsFunc(rows, func(row Row) bool { return row.OfPeak+row.OfBandwidth > 0 })
	b.WriteString("| measured | unit | ours | peer | | ratio |")
	if shares {
		b.WriteString(" of peak | of bandwidth |")
	}
	b.WriteString("\n|---|---|---:|---:|---|---:|")
	if shares {
		b.WriteString("---:|---:|")
	}
	b.WriteString("\n")
	for _, row := range rows {
		peer, ratio := "", ""
		if row.PeerName != "" {
			peer, ratio = withRange(row.Peer, row.PeerRange), ratioOf(row)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |", row.Name, row.Unit, withRange(row.Ours, row.OursRange), peer, row.PeerName, ratio)
		if shares {
			fmt.Fprintf(b, " %s | %s |", percent(row.OfPeak), percent(row.OfBandwidth))
		}
		b.WriteString("\n")
	}
}

// ratioOf is the row's ratio, a dash where it would be to nothing.
func ratioOf(row Row) string {
	if row.Ratio == 0 {
		return "–"
	}
	return figure(row.Ratio)
}

// percent is a share in percent, nothing for 0.
func percent(share float64) string {
	if share == 0 {
		return ""
	}
	return figure(100*share) + " %"
}

// withRange is a number with the range it came from.
func withRange(value float64, limits *[2]float64) string {
	if limits == nil {
		return figure(value)
	}
	return fmt.Sprintf("%s (%s–%s)", figure(value), figure(limits[0]), figure(limits[1]))
}

// figure is a number with three digits that matter, or all before the point.
func figure(value float64) string {
	switch size := math.Abs(value); {
	case size >= 100:
		return humanize.Comma(int64(math.Round(value)))
	case size >= 10:
		return strconv.FormatFloat(value, 'f', 1, 64)
	case size >= 1 || size == 0:
		return strconv.FormatFloat(value, 'f', 2, 64)
	default:
		return strconv.FormatFloat(value, 'f', 3, 64)
	}
}
