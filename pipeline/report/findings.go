package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"catdog/pipeline/stage"
	"catdog/pipeline/train/record"
)

// findings are what the other stages left. A nil field is a file that is
// missing.
type findings struct {
	drawn       bool // the photos are the program's own drawings
	exploration *exploration
	rejected    [][]string // path, problem, detail; of explore and of resize
	outliers    [][]string // path, class, width, height, measure, score
	packed      *packed
	conflicts   [][]string // path, class, …
	summary     []byte     // of the network
	history     []record.Row
	engine      engine
	metrics     metrics
	predictions [][]string // path, class, predicted, probability, …
	mistakes    [][]string // the same columns
	// figures are the contents of the figures by their names, e.g. roc.svg.
	figures map[string][]byte
	// explored and evaluated are the names of these stages' figures.
	explored, evaluated []string
	// absent are the files that are missing, by stage/name.
	absent map[string]bool
	// digests are those of the content that the report is about.
	photos, pack string
}

// exploration is what is used of exploration.json.
type exploration struct {
	Files    int
	Photos   int
	Rejected map[string]int
	Formats  map[string]int
	All      statistics
	Classes  []statistics
	Copies   struct{ Groups, Files, Conflicts int }
	Outliers struct {
		Threshold    float64
		Area, Aspect int
	}
}

type statistics struct {
	Class                        string
	Photos                       int
	Width, Height, Aspect, Bytes struct{ Lower, Median, Upper float64 }
}

// packed is what is used of pack.json.
type packed struct {
	Classes       []string
	Height, Width int
	Images        map[string]map[string]int // by class and split
	LeftOut       int                       `json:"left_out"`
}

// engine is what is used of hyperparameters.json.
type engine struct {
	Device string
}

// metrics is what is used of metrics.json.
type metrics struct {
	Classes []string
	Splits  struct{ Train, Validation, Test measures }
	Model   struct {
		Digest     string
		BestEpoch  int `json:"best_epoch"`
		Parameters int
	}
}

type measures struct {
	N            int
	Accuracy     float64
	AccuracyLow  float64 `json:"accuracy_low"`
	AccuracyHigh float64 `json:"accuracy_high"`
	Loss         float64
	// The test split's alone; nil is a number that there was none of.
	AUC, Brier, ECE *float64
	Confusion       [][]int
}

// read gathers everything. A file that is there but not readable is an error.
func read(job *stage.Job) (*findings, error) {
	f := &findings{figures: map[string][]byte{}, absent: map[string]bool{}}
	from := &reader{job: job, absent: f.absent}
	if fetch := job.Input("fetch"); fetch != nil && fetch.Manifest != nil {
		var origin struct{ Drawn bool }
		if len(fetch.Manifest.Origin) > 0 {
			if err := json.Unmarshal(fetch.Manifest.Origin, &origin); err != nil {
				return nil, fmt.Errorf("read where the photos came from: %w", err)
			}
		}
		f.drawn, f.photos = origin.Drawn, fetch.Manifest.Digest
	}
	if pack := job.Input("pack"); pack != nil && pack.Manifest != nil {
		if file := pack.Manifest.Find("pack.arrow"); file != nil {
			f.pack = file.SHA256
		}
	}
	from.json("explore", "exploration.json", &f.exploration)
	f.outliers = from.csv("explore", "outliers.csv", 6)
	f.rejected = merged(from.csv("explore", "rejected.csv", 3), from.csv("resize", "rejected.csv", 3))
	from.json("pack", "pack.json", &f.packed)
	f.conflicts = from.csv("pack", "conflicts.csv", 2)
	f.summary = from.file("train", "summary.txt")
	if drawing := from.file("train", "network.svg"); drawing != nil {
		f.figures["network.svg"] = drawing
	}
	f.history = from.history("train", "history.csv")
	from.json("train", "hyperparameters.json", &f.engine)
	var measured *metrics
	from.json("evaluate", "metrics.json", &measured)
	f.predictions = from.csv("evaluate", "predictions.csv", 4)
	f.mistakes = from.csv("evaluate", "mistakes.csv", 4)
	f.explored = from.drawings("explore", f.figures)
	f.evaluated = from.drawings("evaluate", f.figures)
	if from.err != nil {
		return nil, from.err
	}
	if measured == nil {
		return nil, errors.New("evaluate left no metrics.json: there is nothing to report")
	}
	f.metrics = *measured
	return f, nil
}

// merged are the rows of both lists, the first of those with the same path.
func merged(a, b [][]string) [][]string {
	seen := map[string]bool{}
	var all [][]string
	for _, row := range slices.Concat(a, b) {
		if !seen[row[0]] {
			seen[row[0]] = true
			all = append(all, row)
		}
	}
	slices.SortFunc(all, func(x, y []string) int { return slices.Compare(x, y) })
	if all == nil && (a != nil || b != nil) {
		all = [][]string{}
	}
	return all
}

// reader reads files of artifacts and keeps the first error.
type reader struct {
	job    *stage.Job
	absent map[string]bool
	err    error
}

// file is a file's content, nil if it is missing.
func (r *reader) file(stage, name string) []byte {
	input := r.job.Input(stage)
	if input == nil {
		r.absent[stage+"/"+name] = true
		return nil
	}
	content, err := os.ReadFile(input.Path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.absent[stage+"/"+name] = true
		return nil
	case err != nil:
		r.fail(fmt.Errorf("read what %s left: %w", stage, err))
		return nil
	case content == nil:
		return []byte{}
	}
	return content
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// json reads into what target points to, and leaves that as it is if the file is
// missing.
func (r *reader) json(stage, name string, target any) {
	content := r.file(stage, name)
	if content == nil {
		return
	}
	if err := json.Unmarshal(content, target); err != nil {
		r.fail(fmt.Errorf("read %s of %s: %w", name, stage, err))
	}
}

// csv is the rows below the header, each with as many columns as asked for or
// more; nil if the file is missing.
func (r *reader) csv(stage, name string, columns int) [][]string {
	content := r.file(stage, name)
	if content == nil {
		return nil
	}
	rows, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	switch {
	case err != nil:
		r.fail(fmt.Errorf("read %s of %s: %w", name, stage, err))
		return nil
	case len(rows) == 0 || len(rows[0]) < columns:
		r.fail(fmt.Errorf("read %s of %s: it has fewer than %d columns", name, stage, columns))
		return nil
	}
	return rows[1:]
}

func (r *reader) history(stage, name string) []record.Row {
	if r.file(stage, name) == nil {
		return nil
	}
	rows, err := record.ReadHistory(r.job.Input(stage).Path(name))
	if err != nil {
		r.fail(err)
	}
	return rows
}

// drawings adds the SVG figures of a stage and returns their names, sorted.
func (r *reader) drawings(stage string, figures map[string][]byte) []string {
	input := r.job.Input(stage)
	if input == nil {
		return nil
	}
	files, err := filepath.Glob(input.Path("figures/*.svg"))
	if err != nil {
		r.fail(fmt.Errorf("find figures of %s: %w", stage, err))
	}
	var names []string
	for _, file := range files {
		name := filepath.Base(file)
		if content := r.file(stage, path.Join("figures", name)); content != nil {
			figures[name] = content
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// number is a decimal number from a table, 0 if it is none.
func number(text string) float64 {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return value
}
