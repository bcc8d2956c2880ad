package track

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"catdog/pipeline/artifact"
	"catdog/pipeline/params"
	"catdog/pipeline/stage"
)

// A point is one combination of a sweep's values and what came of it.
type point struct {
	values           []string // one an axis
	set              string   // as SET has it
	validation, test float64  // accuracies
}

// sweep runs every combination of params.yaml's sweep as an experiment of its
// own, up to evaluate, and tabulates their accuracies. Stages whose output is
// there already do nothing, so that a sweep goes on where it was stopped.
func sweep(_ []string, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	project, err := open()
	if err != nil {
		return err
	}
	axes := project.Params.Sweep
	if len(axes) == 0 {
		return errors.New("params.yaml has no sweep; give it one, e.g. sweep: {train.seed: [0, 1, 2]}")
	}
	points := grid(axes, os.Getenv("SET"))
	for i := range points {
		if err := points[i].run(ctx, project.Params.Dataset, i, len(points)); err != nil {
			return err
		}
	}
	path := filepath.Join(project.Reports(), "sweep.md")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	if err := artifact.WriteFile(path, sweepTable(project.Params, axes, points)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d runs: %s\n", len(points), path)
	return err
}

// grid is every combination, the last axis changing fastest, each on top of
// what SET already says.
func grid(axes []params.Axis, set string) []point {
	points := []point{{set: strings.Join(strings.Fields(set), " ")}}
	for _, axis := range axes {
		var next []point
		for _, p := range points {
			for _, value := range axis.Values {
				next = append(next, point{
					values: append(slices.Clone(p.values), value),
					set:    strings.TrimSpace(p.set + " " + axis.Key + "=" + value),
				})
			}
		}
		points = next
	}
	return points
}

// run brings a variant's stages up to date and reads what came of it.
func (p *point) run(ctx context.Context, dataset string, number, of int) error {
	for _, definition := range stage.All {
		if definition.ReadsAll {
			continue // a report a run is not what a sweep is for
		}
		command := exec.CommandContext(ctx, filepath.Join("bin", definition.Name))
		command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
		command.Env = append(os.Environ(), "SET="+p.set)
		command.Stdout, command.Stderr = os.Stderr, os.Stderr
		if err := command.Run(); err != nil {
			return fmt.Errorf("run %d of %d (%s): %s: %w", number+1, of, p.set, definition.Name, err)
		}
	}
	variant, err := stage.OpenVariant(nil, dataset, os.Getenv("EXPERIMENT"), p.set)
	if err != nil {
		return err
	}
	metrics, err := readMetrics(filepath.Join(variant.Reports(), "metrics.json"))
	if err != nil {
		return err
	}
	p.validation, p.test = metrics.Splits["validation"].Accuracy, metrics.Splits["test"].Accuracy
	fmt.Fprintf(os.Stderr, "sweep     %d of %d: %s: validation %.2f %%, test %.2f %%\n", number+1, of, p.set, 100*p.validation, 100*p.test)
	return nil
}

// sweepTable is the sweep as Markdown: combinations that differ in seeds alone
// as one row with mean and spread, then every run.
func sweepTable(p *params.Params, axes []params.Axis, points []point) []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "# Sweep: %s, %s\n\n", p.Dataset, p.Experiment)
	var named []int // axes other than seeds
	for i, axis := range axes {
		if !strings.HasSuffix(axis.Key, ".seed") {
			named = append(named, i)
		}
	}
	pick := func(values []string, which []int) []string {
		var picked []string
		for _, i := range which {
			picked = append(picked, values[i])
		}
		return picked
	}
	var groups [][]point
	for _, p := range points {
		same := func(group []point) bool { return slices.Equal(pick(group[0].values, named), pick(p.values, named)) }
		if i := slices.IndexFunc(groups, same); i >= 0 {
			groups[i] = append(groups[i], p)
		} else {
			groups = append(groups, []point{p})
		}
	}
	keys := make([]string, len(axes))
	for i, axis := range axes {
		keys[i] = axis.Key
	}

	text.WriteString("Accuracy in per cent: mean ± standard deviation over the runs that differ in seeds alone, and range.\n\n")
	header(&text, append(pick(keys, named), "runs"), "validation", "range", "test", "range")
	for _, group := range groups {
		row := append(pick(group[0].values, named), fmt.Sprint(len(group)))
		for _, accuracy := range []func(point) float64{func(p point) float64 { return p.validation }, func(p point) float64 { return p.test }} {
			values := make([]float64, len(group))
			for i, p := range group {
				values[i] = 100 * accuracy(p)
			}
			mean, deviation := spread(values)
			row = append(row, fmt.Sprintf("%.2f ± %.2f", mean, deviation), fmt.Sprintf("%.2f – %.2f", slices.Min(values), slices.Max(values)))
		}
		tableRow(&text, row...)
	}
	text.WriteString("\nChoose by validation; the test column says only how good the choice is.\n\n## Runs\n\n")
	header(&text, keys, "validation", "test")
	for _, p := range points {
		tableRow(&text, append(slices.Clone(p.values), fmt.Sprintf("%.2f", 100*p.validation), fmt.Sprintf("%.2f", 100*p.test))...)
	}
	return text.Bytes()
}

// spread is the mean and the sample standard deviation, 0 for one value.
func spread(values []float64) (mean, deviation float64) {
	for _, value := range values {
		mean += value / float64(len(values))
	}
	if len(values) < 2 {
		return mean, 0
	}
	for _, value := range values {
		deviation += (value - mean) * (value - mean) / float64(len(values)-1)
	}
	return mean, math.Sqrt(deviation)
}

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

// metrics is what the commands here read of metrics.json.
type metrics struct {
	Splits map[string]struct {
		N        int     `json:"n"`
		Accuracy float64 `json:"accuracy"`
		Low      float64 `json:"accuracy_low"`
		High     float64 `json:"accuracy_high"`
		Loss     float64 `json:"loss"`
		AUC      float64 `json:"auc"`
		Brier    float64 `json:"brier"`
		ECE      float64 `json:"ece"`
	} `json:"splits"`
}

func readMetrics(path string) (metrics, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return metrics{}, fmt.Errorf("read the results: %w", err)
	}
	return parseMetrics(path, text)
}

func parseMetrics(name string, text []byte) (m metrics, err error) {
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("read %s: %w", name, err)
	}
	return m, nil
}
