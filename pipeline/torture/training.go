package main

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"catdog/pipeline/torture/tracer"
)

// wentOn is what train says when it takes a checkpoint up.
var wentOn = regexp.MustCompile(`goes on in epoch \d+ of \d+, after (\d+) of its \d+ steps`)

// trainings kills training among its steps: after a random one of its
// checkpoints and before the next; in half of the trials it was interrupted just
// before, so that it is saving where it stands within the epoch.
func (t *torturer) trainings() (string, error) {
	count := number("KILLS", 100)
	train := t.training()
	var moments []time.Time // of checkpoints
	err := t.alone(func(p *place) error {
		status, err := train.trace(p, func(o tracer.Operation, _ func(unix.Signal)) tracer.Verdict {
			if isCheckpoint(o) {
				moments = append(moments, time.Now())
			}
			return tracer.Proceed
		}, nil, nil)
		if err != nil || status != 0 || len(moments) < 2 {
			return fmt.Errorf("train under the tracer: status %d, %d checkpoints, %w", status, len(moments), err)
		}
		_, _, err = p.recovers("train under the tracer", sample)
		return err
	})
	if err != nil {
		return "", err
	}
	last := len(moments) - 1
	gap := moments[last].Sub(moments[0]) / time.Duration(last)
	counts := newTally()
	err = t.each("kills among steps", count, func(p *place, random *rand.Rand, i int) error {
		after, delay := 1+random.IntN(last), time.Duration(random.Float64()*float64(gap))
		grace := time.Duration(random.Float64() * 3 * float64(gap))
		interrupt := i%2 == 1
		seen := 0
		status, err := train.trace(p, func(o tracer.Operation, send func(unix.Signal)) tracer.Verdict {
			if isCheckpoint(o) {
				if seen++; seen == after {
					time.AfterFunc(delay, func() {
						if interrupt {
							send(unix.SIGINT)
							time.Sleep(grace)
						}
						send(unix.SIGKILL)
					})
				}
			}
			return tracer.Proceed
		}, nil, nil)
		if err != nil {
			return err
		}
		counts.addIf(status == -1, "killed")
		counts.addIf(interrupt && status != -1, "interrupted")
		what := fmt.Sprintf("train, killed %s after checkpoint %d (interrupted before: %t)", delay, after, interrupt)
		made, ok, err := p.recovers(what, sample)
		counts.addIf(ok, "recovered")
		switch match := wentOn.FindStringSubmatch(made.Errors); {
		case match == nil && strings.Contains(made.Errors, "goes on behind its last epoch"):
			counts.add("finished")
		case match == nil:
			p.say("%s: it did not go on\n%s", what, made.Errors)
		case match[1] == "0":
			counts.add("epoch")
		default:
			counts.add("within")
		}
		return err
	})
	return "## Training, killed among its steps\n\nAfter a random checkpoint and before the next; every other one interrupted (as by Ctrl-C) up to three epochs' time before it is killed.\n\n" +
		"| trials | killed | ended by the interrupt | went on at an epoch's start | went on within an epoch | had nothing left to train | the same bytes in the end |\n|---:|---:|---:|---:|---:|---:|---:|\n" +
		fmt.Sprintf("| %d | %d | %d | %d | %d | %d | %d |\n\n", count, counts.of("killed"), counts.of("interrupted"),
			counts.of("epoch"), counts.of("within"), counts.of("finished"), counts.of("recovered")), err
}
