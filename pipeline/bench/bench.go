// Package bench measures the pipeline beside its peers: other programs that do
// the same work, on the same machine, in the same run, in turn.
//
// Everything that is timed is a process of its own, a contender: ours are this
// program started again, the peers are Python scripts in an environment of
// their own under build/. That keeps their memory apart and lets all but one of
// them sleep.
package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"catdog/pipeline/progress"
)

// Options fix a run.
type Options struct {
	// Only is the name of the one part to measure; "" measures all.
	Only string
	// Photos are the files and folders whose JPEGs are resized; drawn ones if
	// there are none.
	Photos []string
	// Quick does everything once and briefly: to see that it works, not how
	// fast.
	Quick bool
	// Reports is the folder to write benchmarks.md and benchmarks.json into.
	Reports string
	// Build is the folder for what can be thrown away.
	Build    string
	Reporter *progress.Reporter
}

// A part is a group of rows that can be measured by itself.
type part struct {
	name, title string
	about       string // what is measured, and how
	measure     func(*session) ([]Row, error)
}

// parts are in the order of the report.
var parts = []part{trainPart, batchesPart, epochsPart, layersPart, inferencePart, accuracyPart, resizePart, packPart, makePart}

// A session is one run of a part.
type session struct {
	context.Context
	Options
	folder   string // of the part's own, empty at first, removed in the end
	versions map[string]string
	notes    []string
	figure   string // see Run
}

// rounds is how often contenders take turns.
func (s *session) rounds() int {
	if s.Quick {
		return 1
	}
	return 5
}

// turn is how long a contender works at a time.
func (s *session) turn() time.Duration {
	if s.Quick {
		return time.Millisecond
	}
	return 1500 * time.Millisecond
}

// longTurn is the turn of contenders whose units take up to a second: the first
// one after a rest is slower than the others.
func (s *session) longTurn() time.Duration { return 5 * s.turn() }

// note says what was left out, now and in the report.
func (s *session) note(format string, arguments ...any) {
	text := fmt.Sprintf(format, arguments...)
	s.notes = append(s.notes, text)
	s.Reporter.Say("%s", text)
}

// Measure measures and writes the report: parts that are not measured keep their
// rows.
func Measure(ctx context.Context, o Options) error {
	var names []string
	var wanted []part
	for _, p := range parts {
		names = append(names, p.name)
		if o.Only == "" || o.Only == p.name {
			wanted = append(wanted, p)
		}
	}
	if len(wanted) == 0 {
		return fmt.Errorf("ONLY=%s: the parts are %s", o.Only, strings.Join(names, ", "))
	}
	before := load()
	if cores := float64(runtime.NumCPU()); before > cores/4 && !o.Quick {
		o.Reporter.Say("the machine is busy (load %.1f on %g cores): the numbers will not be worth much", before, cores)
	}
	for _, p := range wanted {
		if p.name == accuracyPart.name && o.Only == "" && os.Getenv("DATASET") == "" {
			o.Reporter.Say("leaves out %s, which wants a DATASET", p.name)
			continue
		}
		if err := o.measure(ctx, p, before); err != nil {
			return fmt.Errorf("measure %s: %w", p.name, err)
		}
	}
	o.Reporter.Say("%s", filepath.Join(o.Reports, markdownName))
	return nil
}

// command measures one part again, as it is measured now.
func command(part string) string {
	words := "make bench ONLY=" + part
	for _, name := range map[string][]string{accuracyPart.name: {"DATASET", "EXPERIMENT"}, resizePart.name: {"PHOTOS"}}[part] {
		if value := os.Getenv(name); strings.Contains(value, " ") {
			words += fmt.Sprintf(" %s=%q", name, value)
		} else if value != "" {
			words += " " + name + "=" + value
		}
	}
	return words
}

// measure measures one part and merges its rows into the report.
func (o Options) measure(ctx context.Context, p part, load float64) error {
	run := Run{Part: p.name, About: p.about, Command: command(p.name), Load: load}
	folder, err := filepath.Abs(filepath.Join(o.Build, "bench", p.name))
	if err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	s := &session{Context: ctx, Options: o, folder: folder, versions: ownVersions()}
	rows, err := p.measure(s)
	if err != nil {
		return err
	}
	for i := range rows {
		rows[i].Part = p.name
		o.Reporter.Say("%s", rows[i])
	}
	run.Notes, run.Figure, run.Versions = s.notes, s.figure, s.versions

	before, err := readReport(o.Reports)
	if err != nil {
		return err
	}
	merged, dropped := before.merge(&Report{Machine: thisMachine(), Runs: []Run{run}, Rows: rows})
	if dropped {
		o.Reporter.Say("%s held numbers of another machine; they are gone", filepath.Join(o.Reports, jsonName))
	}
	return merged.write(o.Reports)
}

// ownVersions are those of Go and of the modules that do our work.
func ownVersions() map[string]string {
	versions := map[string]string{"Go": strings.TrimPrefix(runtime.Version(), "go")}
	shown := map[string]string{
		"gorgonia.org/gorgonia":          "gorgonia",
		"github.com/h2non/bimg":          "bimg",
		"github.com/apache/arrow/go/v15": "Arrow for Go",
	}
	information, _ := debug.ReadBuildInfo()
	if information == nil {
		return versions
	}
	for _, module := range information.Deps {
		if name, ok := shown[module.Path]; ok {
			versions[name] = strings.TrimPrefix(module.Version, "v")
		}
	}
	return versions
}

// closeAll ends contenders and keeps their versions.
func (s *session) closeAll(contenders []*contender) {
	for _, c := range slices.Backward(contenders) {
		for name, version := range c.Versions {
			s.versions[name] = version
		}
		c.close()
	}
}
