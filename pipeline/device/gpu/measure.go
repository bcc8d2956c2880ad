//go:build gpu

package gpu

import (
	"errors"

	"catdog/pipeline/device"
)

func (l *loop) Measure() (effort device.Effort, err error) {
	if l.steps == 0 {
		return effort, errors.New("measure a step: none has run")
	}
	single := &timing{}
	l.device.timed = single
	times, err := l.timeLast(1, single, l.submit)
	l.device.timed = nil
	for _, seconds := range times {
		effort.Seconds += seconds
	}
	effort.Pieces, effort.Bytes = len(times), single.bytes
	if err != nil || l.graph == nil {
		return effort, err
	}
	// What runs beside other work must not count twice, nor must how long a
	// single launch takes to begin.
	whole := &timing{}
	count := min(ahead, l.steps)
	times, err = l.timeLast(count, whole, func() error {
		return l.device.do(func() error {
			return whole.around(l.device.stream, func() error { return l.repeat(count) })
		})
	})
	if err == nil {
		effort.Seconds = min(effort.Seconds, times[0]/float64(count))
	}
	return effort, err
}

// timeLast does the last steps again, and returns the times that t took.
func (l *loop) timeLast(steps int, t *timing, do func() error) (times []float64, err error) {
	l.setState(l.steps-steps, device.Score{})
	if err := l.send(stateSize); err != nil {
		return nil, err
	}
	done := do()
	err = l.device.do(func() (err error) {
		if err := l.device.wait(); err != nil {
			return errors.Join(err, t.close())
		}
		times, err = t.each()
		return errors.Join(err, t.close())
	})
	return times, errors.Join(done, err)
}
