//go:build gpu

package gpu

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	"catdog/pipeline/device/gpu/driver"
)

// upload and download move memory through pinned memory, and wait for it.
func (d *Device) upload(values []byte, to cu.DevicePtr) {
	d.transfer(len(values), func(at, length int) error {
		copy(d.staging, values[at:at+length])
		return driver.Named("cuMemcpyHtoDAsync",
			cu.MemcpyHtoDAsync(to+cu.DevicePtr(at), pointer(d.staging), int64(length), d.stream))
	}, func(int, int) {})
}

func (d *Device) download(from cu.DevicePtr, values []byte) {
	d.transfer(len(values), func(at, length int) error {
		return driver.Named("cuMemcpyDtoHAsync",
			cu.MemcpyDtoHAsync(pointer(d.staging), from+cu.DevicePtr(at), int64(length), d.stream))
	}, func(at, length int) { copy(values[at:at+length], d.staging) })
}

func (d *Device) transfer(count int, start func(at, length int) error, finish func(at, length int)) {
	d.do(func() error {
		if err := d.join(); err != nil {
			d.failure.Add(err)
		}
		for at := 0; at < count && d.Err() == nil && !d.measuring; at += stagingSize {
			length := min(count-at, stagingSize)
			if err := start(at, length); err != nil {
				d.failure.Add(fmt.Errorf("copy %d bytes: %w", length, err))
			} else if d.wait() == nil {
				finish(at, length)
			}
		}
		return nil
	})
}

// pointer is where memory begins.
func pointer(memory []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(memory)) }

// raw is a slice's memory.
func raw[T any](values []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(zero)))
}
