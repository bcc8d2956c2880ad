//go:build gpu

package gpu

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
	"catdog/pipeline/device/gpu/driver"
)

func (l *loop) Hold(images [][]byte) error {
	l.count = len(images)
	if err := l.keep(images, l.spec.Height*l.spec.Width*3); err != nil {
		return fmt.Errorf("hold %d images of %d×%d: %w", len(images), l.spec.Height, l.spec.Width, err)
	}
	return nil
}

// keep puts the images into the GPU's memory or, where that has no room for
// them, into memory of the host that it reads while it computes: a step reads
// each image once, which is a small share of what it moves.
func (l *loop) keep(images [][]byte, size int) (err error) {
	if len(images) == 0 {
		return errors.New("there are none")
	}
	for i, image := range images {
		if len(image) != size {
			return fmt.Errorf("image %d has %d bytes in place of %d", i, len(image), size)
		}
	}
	d := l.device
	if l.images, err = d.allocate(size * len(images)); err == nil {
		return d.do(func() error { return l.upload(images, size) })
	}
	if !errors.As(err, new(*device.OutOfMemory)) {
		return err
	}
	lack := err
	err = d.do(func() error {
		l.pinned, err = driver.Pinned(size * len(images))
		return err
	})
	if err != nil {
		return errors.Join(lack, err)
	}
	l.images = cu.DevicePtr(uintptr(pointer(l.pinned))) // one address space for both
	gather(l.pinned, images, size)
	return nil
}

// uploadSize is how many bytes of images are gathered before they travel.
const uploadSize = 8 << 20

// upload copies the images, several at a time: some are gathered in pinned
// memory while those before them travel.
func (l *loop) upload(images [][]byte, size int) (err error) {
	several := min(max(1, uploadSize/size), len(images))
	var pinned [2][]byte
	for i := range pinned {
		if pinned[i], err = driver.Pinned(several * size); err != nil {
			return fmt.Errorf("pin %.1f MB of memory: %w", 1e-6*float64(several*size), err)
		}
		defer func() { err = errors.Join(err, driver.Unpin(pinned[i])) }()
	}
	defer func() { err = errors.Join(err, l.device.wait()) }() // before that is unpinned
	for turn, first := 0, 0; first < len(images); turn, first = turn+1, first+several {
		piece, travelled := pinned[turn%2], l.windows[turn%2]
		if turn >= len(pinned) {
			if err := travelled.Synchronize(); err != nil {
				return fmt.Errorf("copy images: %w", driver.Named("cuEventSynchronize", err))
			}
		}
		gathered := gather(piece, images[first:min(first+several, len(images))], size)
		to := l.images + cu.DevicePtr(first*size)
		if err := cu.MemcpyHtoDAsync(to, pointer(piece), int64(gathered), l.device.stream); err != nil {
			return fmt.Errorf("copy %d bytes: %w", gathered, driver.Named("cuMemcpyHtoDAsync", err))
		}
		if err := record(travelled, l.device.stream); err != nil {
			return err
		}
	}
	return nil
}

// gather puts images one behind the other, with all cores, and returns how many
// bytes they have.
func gather(piece []byte, images [][]byte, size int) int {
	var shared sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		shared.Go(func() {
			for i := worker; i < len(images); i += workers {
				copy(piece[i*size:], images[i])
			}
		})
	}
	shared.Wait()
	return len(images) * size
}
