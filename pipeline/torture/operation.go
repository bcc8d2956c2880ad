package main

import (
	"fmt"
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"catdog/pipeline/torture/tracer"
)

// operations kills every stage before each of its operations that changes a
// file, and in the middle of each write.
func (t *torturer) operations() (string, error) {
	most := number("OPERATIONS", 400)
	rows, err := t.eachSubject(func(s subject) (string, error) { return t.killAtOperations(s, most) })
	return "## Killed at every operation\n\nUnder a tracer, kill -9 just before each write, create, rename, remove, sync, truncation and mkdir of a stage's run, and when half of a write has happened. " +
		"In between, nothing may be left but one folder to go on in, with what stands beside it, and one file that was about to replace another. " +
		fmt.Sprintf("Of what has more than %d such points, %d were drawn evenly.\n\n", most, most) +
		"| what | operations | outside the project | points | kills | recovered to the same bytes |\n|---|---:|---:|---:|---:|---:|\n" + rows + "\n", err
}

// A point is where a run is killed: before its n-th operation, or in it.
type point struct {
	n       int
	verdict tracer.Verdict
}

func (t *torturer) killAtOperations(s subject, most int) (row string, err error) {
	var operations, outside []tracer.Operation
	err = t.alone(func(p *place) error {
		status, err := s.trace(p, func(o tracer.Operation, _ func(unix.Signal)) tracer.Verdict {
			operations = append(operations, o)
			return tracer.Proceed
		}, nil, func(o tracer.Operation) { outside = append(outside, o) })
		if err != nil || status != 0 {
			return fmt.Errorf("%s under the tracer: status %d, %w", s.name, status, err)
		}
		_, _, err = p.recovers(s.name+" under the tracer", s.dataset, s.recover...)
		return err
	})
	if err != nil {
		return "", err
	}
	if len(outside) > 0 {
		t.progress.Say("%s changes %d files outside, first: %s", s.name, len(outside), outside[0])
	}
	points := pointsOf(operations)
	chosen := evenly(points, most)
	counts := newTally()
	err = t.each("kills at operations of "+s.name, len(chosen), func(p *place, _ *rand.Rand, i int) error {
		at := chosen[i]
		what := fmt.Sprintf("%s, killed at operation %d", s.name, at.n)
		n := 0
		status, err := s.trace(p, func(o tracer.Operation, _ func(unix.Signal)) tracer.Verdict {
			n++
			if n-1 == at.n {
				what += ": " + o.String()
				return at.verdict
			}
			return tracer.Proceed
		}, nil, nil)
		if err != nil {
			return err
		}
		counts.addIf(status == -1, "killed")
		if left, err := s.leftOver(p); err != nil || left != "" {
			p.say("%s: left over: %s %v", what, left, err)
		}
		_, ok, err := p.recovers(what, s.dataset, s.recover...)
		counts.addIf(ok, "recovered")
		return err
	})
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %d of %d |\n",
		s.name, len(operations), len(outside), len(points), counts.of("killed"), counts.of("recovered"), len(chosen)), err
}

// pointsOf are all points of a run.
func pointsOf(operations []tracer.Operation) []point {
	var points []point
	for n, operation := range operations {
		points = append(points, point{n, tracer.Kill})
		if operation.Kind == tracer.Write && operation.Size > 1 {
			points = append(points, point{n, tracer.Tear})
		}
	}
	return points
}

// evenly is a list without some of its elements, so that no more than most are
// left.
func evenly[T any](list []T, most int) []T {
	if len(list) <= most {
		return list
	}
	chosen := make([]T, most)
	for i := range chosen {
		chosen[i] = list[i*len(list)/most]
	}
	return chosen
}
