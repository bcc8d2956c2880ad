package track

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"catdog/pipeline/artifact"
	"catdog/pipeline/params"
	"catdog/pipeline/stage"
)

// A point is one run of a sweep and what came of it.
type point struct {
	variant          string
	values           []string // one an axis of the grid
	set              string   // as SET has it
	evaluated        bool     // by the stage evaluate
	validation, test measured
}

// measured is what a model came to on a split; accuracy is 0 to 1.
type measured struct{ loss, accuracy float64 }

// sweep runs all of a sweep of params.yaml, each point as an experiment of its
// own, and tabulates what came of it. Stages whose output is there already do
// nothing, so that a sweep goes on where it was stopped.
func sweep(_ []string, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	project, err := open()
	if err != nil {
		return err
	}
	asked, err := project.Params.FindSweep(os.Getenv("SWEEP"))
	if err != nil {
		return err
	}
	points := pointsOf(asked, os.Getenv("SET"))
	for i := range points {
		p := &points[i]
		if err := p.run(ctx, asked, project.Params.Dataset); err != nil {
			return fmt.Errorf("run %d of %d (%s): %w", i+1, len(points), p.set, err)
		}
		fmt.Fprintf(os.Stderr, "sweep     %d of %d: %s: validation %.2f %%\n", i+1, len(points), p.set, 100*p.validation.accuracy)
	}
	path := filepath.Join(project.Reports(), "sweep-"+asked.Name+".md")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	if err := artifact.WriteFile(path, sweepTable(project.Params, asked, points)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d runs: %s\n", len(points), path)
	return err
}

// pointsOf is every variant with every combination of the grid, the last axis
// changing fastest, each on top of what SET already says.
func pointsOf(s *params.Sweep, set string) []point {
	set = strings.Join(strings.Fields(set), " ")
	points := []point{{set: set}}
	if len(s.Variants) > 0 {
		points = nil
	}
	for _, variant := range s.Variants {
		p := point{variant: variant.Name, set: set}
		for _, override := range variant.Overrides {
			p.set = extended(p.set, override.Key, override.Value)
		}
		points = append(points, p)
	}
	for _, axis := range s.Grid {
		var next []point
		for _, p := range points {
			for _, value := range axis.Values {
				next = append(next, point{
					variant: p.variant,
					values:  append(slices.Clone(p.values), value),
					set:     extended(p.set, axis.Key, value),
				})
			}
		}
		points = next
	}
	return points
}

func extended(set, key, value string) string {
	return strings.TrimSpace(set + " " + key + "=" + value)
}

// run brings a point's stages up to date and reads what came of it. A sweep
// that does not measure the test split is content with what train validated,
// but for a point that trains nothing and so leaves no history.
func (p *point) run(ctx context.Context, asked *params.Sweep, dataset string) error {
	variant, err := stage.OpenVariant(nil, dataset, os.Getenv("EXPERIMENT"), p.set)
	if err != nil {
		return err
	}
	p.evaluated = asked.Test || variant.Params.Train.Epochs == 0
	for _, definition := range stage.All {
		if definition.Name == "report" || definition.Name == "evaluate" && !p.evaluated {
			continue
		}
		command := exec.CommandContext(ctx, filepath.Join("bin", definition.Name))
		command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
		command.Env = append(os.Environ(), "SET="+p.set)
		command.Stdout, command.Stderr = os.Stderr, os.Stderr
		if err := command.Run(); err != nil {
			return fmt.Errorf("%s: %w", definition.Name, err)
		}
	}
	if !p.evaluated {
		p.validation, err = bestEpoch(filepath.Join(variant.Reports(), "history.csv"))
		return err
	}
	metrics, err := readMetrics(filepath.Join(variant.Reports(), "metrics.json"))
	if err != nil {
		return err
	}
	validation, test := metrics.Splits["validation"], metrics.Splits["test"]
	p.validation, p.test = measured{validation.Loss, validation.Accuracy}, measured{test.Loss, test.Accuracy}
	return nil
}

// bestEpoch is what a training's kept model came to, from its history.csv: that
// of the epoch with the highest validation accuracy, among equals the lowest
// loss, as package record chooses it.
func bestEpoch(path string) (best measured, err error) {
	file, err := os.Open(path)
	if err != nil {
		return best, fmt.Errorf("read the results: %w", err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil || len(rows) < 2 {
		return best, fmt.Errorf("read %s: %w", path, errors.Join(err, errors.New("no epochs in it")))
	}
	loss, accuracy := slices.Index(rows[0], "validation_loss"), slices.Index(rows[0], "validation_accuracy")
	if loss < 0 || accuracy < 0 {
		return best, fmt.Errorf("read %s: no validation in it", path)
	}
	for i, row := range rows[1:] {
		var epoch measured
		var bad [2]error
		epoch.loss, bad[0] = strconv.ParseFloat(row[loss], 64)
		epoch.accuracy, bad[1] = strconv.ParseFloat(row[accuracy], 64)
		if err := errors.Join(bad[:]...); err != nil {
			return best, fmt.Errorf("read %s: line %d: %w", path, i+2, err)
		}
		if i == 0 || epoch.accuracy > best.accuracy || epoch.accuracy == best.accuracy && epoch.loss < best.loss {
			best = epoch
		}
	}
	return best, nil
}
