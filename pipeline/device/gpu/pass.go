//go:build gpu

package gpu

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
	"catdog/pipeline/device/gpu/driver"
)

// begin puts a pass onto the GPU.
func (l *loop) begin(pass device.Pass, first int, score device.Score) error {
	steps := len(pass.Schedule)
	if steps == 0 || first < 0 || first > steps {
		return fmt.Errorf("from batch %d of %d", first, steps)
	}
	if l.prepared == nil || l.prepared != unsafe.SliceData(pass.Samples) {
		if err := l.Prepare(pass); err != nil {
			return err
		}
	}
	l.current, l.prepared = 1-l.current, nil
	l.setState(first, score)
	if err := l.device.do(func() error { return record(l.begun[l.current], l.device.stream) }); err != nil {
		return err
	}
	return l.send(len(l.host[l.current]))
}

func (l *loop) Prepare(pass device.Pass) error {
	if len(pass.Schedule) != l.steps || len(pass.Cuts) != l.steps || len(pass.Samples) != l.steps*l.batch {
		return fmt.Errorf("%d schedules, %d cuts and %d samples for %d batches of %d inputs",
			len(pass.Schedule), len(pass.Cuts), len(pass.Samples), l.steps, l.batch)
	}
	for i, s := range pass.Samples {
		if int(s.Image) >= l.count {
			return fmt.Errorf("input %d shows image %d of %d", i, s.Image, l.count)
		}
	}
	host := l.host[1-l.current]
	for i, s := range pass.Schedule {
		row := host[l.schedules+4*l.words*i:]
		binary.LittleEndian.PutUint64(row, s.Seed)
		for j, o := range l.device.optimizers[:(l.words-2)/scheduled] {
			for k, v := range o.values(s.Step, s.LearningRate) {
				binary.LittleEndian.PutUint32(row[8+4*(scheduled*j+k):], math.Float32bits(v))
			}
		}
	}
	copy(host[l.cuts:], raw(pass.Cuts))
	copy(host[l.samples:], raw(pass.Samples))
	l.prepared = &pass.Samples[0]
	return nil
}

// makeRoom decides where the parts of a pass lie, and takes all memory that a
// step needs.
func (l *loop) makeRoom(steps int) (err error) {
	l.schedules = stateSize
	l.cuts = l.schedules + roundUp(4*l.words*steps, 16)
	l.samples = l.cuts + roundUp(int(unsafe.Sizeof(device.Cut{}))*steps, 16)
	size := l.samples + int(unsafe.Sizeof(device.Sample{}))*steps*l.batch
	l.steps = steps
	d := l.device
	return d.do(func() error {
		for _, w := range []*workspace{&d.workspace, &d.beside.workspace} {
			if _, err := d.scratch(w); err != nil {
				return err
			}
		}
		if l.pass, err = d.allocateHere(size); err != nil {
			return err
		}
		if l.now, err = d.allocateHere(4 * l.words); err != nil {
			return err
		}
		for i := range l.host {
			if l.host[i], err = driver.Pinned(size); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *loop) setState(step int, score device.Score) {
	state := l.host[l.current]
	binary.LittleEndian.PutUint64(state, uint64(step))
	binary.LittleEndian.PutUint64(state[8:], math.Float64bits(score.Loss))
	binary.LittleEndian.PutUint64(state[16:], uint64(score.Correct))
}

// send queues the upload of the pass' first bytes. The pinned memory must not
// change before a run ends.
func (l *loop) send(bytes int) error {
	return l.device.do(func() error {
		if err := cu.MemcpyHtoDAsync(l.pass, pointer(l.host[l.current]), int64(bytes), l.device.stream); err != nil {
			return fmt.Errorf("copy %d bytes: %w", bytes, driver.Named("cuMemcpyHtoDAsync", err))
		}
		return nil
	})
}
