//go:build gpu

package gpu

import (
	"cmp"
	"fmt"
	"runtime"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
	"catdog/pipeline/device/gpu/driver"
)

// A copier downloads beside the device's work, on a thread and a stream of its
// own: it waits for no step that was queued after what it downloads.
type copier struct {
	work    chan func()
	stream  cu.Stream
	made    cu.Event // the last snapshot is complete
	staging []byte
	free    map[cu.DevicePtr][]*vector // copies that were released, by what they are of
	failure *device.Failure            // the device's
}

// do runs f on the copier's thread.
func (c *copier) do(f func() error) (err error) {
	done := make(chan struct{})
	c.work <- func() {
		defer close(done)
		err = f()
	}
	<-done
	return err
}

// openCopier makes the copier.
func (d *Device) openCopier() (*copier, error) {
	c := &copier{work: make(chan func()), free: map[cu.DevicePtr][]*vector{}, failure: &d.failure}
	go func() {
		runtime.LockOSThread()
		for f := range c.work {
			f()
		}
	}()
	err := c.do(func() (err error) {
		if err = cu.SetCurrentContext(d.context); err != nil {
			return driver.Named("cuCtxSetCurrent", err)
		}
		if c.stream, err = cu.MakeStream(cu.NonBlocking); err != nil {
			return driver.Named("cuStreamCreate", err)
		}
		if c.made, err = cu.MakeEvent(cu.DisableTiming); err != nil {
			return driver.Named("cuEventCreate", err)
		}
		c.staging, err = driver.Pinned(stagingSize)
		return err
	})
	if err != nil {
		close(c.work)
		return nil, fmt.Errorf("prepare to copy beside the work: %w", err)
	}
	return c, nil
}

// close ends the thread and frees what the copier made but vectors. It returns
// the first error: those behind it repeat it.
func (c *copier) close() error {
	err := c.do(func() error {
		return cmp.Or(c.failure.Err(),
			driver.Named("cuStreamSynchronize", c.stream.Synchronize()), driver.Unpin(c.staging),
			driver.Named("cuEventDestroy", cu.DestroyEvent(&c.made)), driver.Named("cuStreamDestroy", c.stream.Destroy()))
	})
	close(c.work)
	return err
}

func (d *Device) Snapshot(vectors []device.Vector) ([]device.Vector, error) {
	if d.copier == nil {
		var err error
		if d.copier, err = d.openCopier(); err != nil {
			return nil, fmt.Errorf("snapshot: %w", err)
		}
	}
	c := d.copier
	o := d.operands("snapshot")
	copies := make([]device.Vector, len(vectors))
	var launches []launch
	for i, v := range vectors {
		from := o.vector("vector", v, v.Len())
		if o.err != nil {
			return nil, o.err
		}
		to, err := d.copyFor(from, v.Len())
		if err != nil {
			return nil, err
		}
		copies[i] = to
		launches = append(launches, launch{call: func() error {
			return driver.Named("cuMemcpyDtoDAsync", cu.MemcpyDtoDAsync(to.data, from, int64(4*to.length), d.stream))
		}})
	}
	launches = append(launches, launch{call: func() error { return record(c.made, d.stream) }})
	if err := o.submit(launches...); err != nil {
		return nil, err
	}
	return copies, c.do(func() error {
		if err := c.stream.Wait(c.made, 0); err != nil {
			return fmt.Errorf("snapshot: wait for an event: %w", driver.Named("cuStreamWaitEvent", err))
		}
		return nil
	})
}

// copyFor is memory for a copy.
func (d *Device) copyFor(from cu.DevicePtr, length int) (*vector, error) {
	free := d.copier.free[from]
	if last := len(free) - 1; last >= 0 && free[last].length == length {
		d.copier.free[from] = free[:last]
		return free[last], nil
	}
	data, err := d.allocate(4 * roundUp(length, device.Alignment))
	if err != nil {
		return nil, fmt.Errorf("snapshot of %d elements: %w", length, err)
	}
	return &vector{d, data, length, d.copier}, nil
}

func (d *Device) Release(original, made device.Vector) {
	from := original.(*vector).data
	d.copier.free[from] = append(d.copier.free[from], made.(*vector))
}

// download is Device.download, beside the work.
func (c *copier) download(from cu.DevicePtr, values []byte) {
	c.do(func() error {
		for at := 0; at < len(values) && c.failure.Err() == nil; at += stagingSize {
			length := min(len(values)-at, stagingSize)
			err := driver.Named("cuMemcpyDtoHAsync", cu.MemcpyDtoHAsync(pointer(c.staging), from+cu.DevicePtr(at), int64(length), c.stream))
			if err == nil {
				err = driver.Named("cuStreamSynchronize", c.stream.Synchronize())
			}
			if err != nil {
				c.failure.Add(fmt.Errorf("copy %d bytes of a snapshot: %w", length, err))
				break
			}
			copy(values[at:at+length], c.staging)
		}
		return nil
	})
}
