package main

import (
	"fmt"
	"math/rand/v2"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"catdog/pipeline/torture/tracer"
)

// checkpointName is the file that a training goes on from.
const checkpointName = "checkpoint.safetensors"

// isCheckpoint says whether an operation completes a checkpoint.
func isCheckpoint(o tracer.Operation) bool {
	return o.Kind == tracer.Rename && path.Base(o.To) == checkpointName
}

// training is the subject that trains.
func (t *torturer) training() subject {
	for _, s := range t.subjects() {
		if s.name == "train" {
			return s
		}
	}
	panic("there is no stage that trains")
}

// checkpoints kills training, flips a bit of the checkpoint that it left, and has
// make train to the end.
func (t *torturer) checkpoints() (string, error) {
	count := number("MENDS", 200) / 2
	train := t.training()
	counts := newTally()
	err := t.each("damaged checkpoints", count, func(p *place, random *rand.Rand, _ int) error {
		seen, after := 0, 2+random.IntN(4)
		_, err := train.trace(p, func(o tracer.Operation, _ func(unix.Signal)) tracer.Verdict {
			if isCheckpoint(o) {
				if seen++; seen == after {
					return tracer.Kill
				}
			}
			return tracer.Proceed
		}, nil, nil)
		if err != nil {
			return err
		}
		found, err := filepath.Glob(p.project.Path("models/sample/*.partial/" + checkpointName))
		if err != nil || len(found) != 1 {
			return fmt.Errorf("a killed training left %d checkpoints: %w", len(found), err)
		}
		name, err := filepath.Rel(p.project.Folder, found[0])
		if err != nil {
			return err
		}
		offset, err := p.damage(name, random)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("a flip at byte %d of a checkpoint", offset)
		made, ok, err := p.recovers(what, sample)
		counts.addIf(ok, "recovered")
		if strings.Contains(made.Errors, "starts anew, since the checkpoint is damaged: ") {
			counts.add("named")
		} else {
			p.say("%s: training did not say that it is damaged\n%s", what, made.Errors)
		}
		return err
	})
	return fmt.Sprintf("Of %d random flips in checkpoints of killed trainings, the next `make` named %d, began anew, and ended at the same bytes %d times.\n\n", count, counts.of("named"), counts.of("recovered")), err
}
