//go:build gpu

package gpu

import (
	"fmt"
	"math"

	"gorgonia.org/cu"

	"catdog/pipeline/device/gpu/driver"
)

// A launch is one kernel with its grid and arguments, or a call of cuDNN's.
type launch struct {
	kernel       string
	gridX, gridY int
	arguments    []any
	call         func() error // in place of a kernel
	overlaps     bool         // with what runs beside
}

// over launches a kernel whose threads share out count things.
func over(count int, kernel string, arguments ...any) launch {
	return launch{kernel: kernel, gridX: max(1, min((count+threads-1)/threads, mostBlocks)), gridY: 1, arguments: arguments}
}

// onElements is the name of a kernel for the type of the device's activations.
func (d *Device) onElements(kernel string) string { return kernel + "_" + d.options.Precision }

// over is the function over for a kernel on activations.
func (d *Device) over(count int, kernel string, arguments ...any) launch {
	return over(count, d.onElements(kernel), arguments...)
}

// element is how many bytes an element of an activation has.
func (d *Device) element() int {
	if d.options.Precision == "bfloat16" {
		return 2
	}
	return 4
}

// submit queues launches in their order.
func (d *Device) submit(launches ...launch) error {
	return d.do(func() error { return d.launch(launches...) })
}

func (d *Device) launch(launches ...launch) error {
	for _, l := range launches {
		if err := d.Err(); err != nil {
			return err
		}
		if !l.overlaps {
			if err := d.join(); err != nil {
				d.failure.Add(err)
				return err
			}
		}
		if err := d.timed.around(d.stream, func() error { return d.start(l, d.stream) }); err != nil {
			d.failure.Add(err)
		}
	}
	return d.Err()
}

func (d *Device) start(l launch, stream cu.Stream) error {
	if l.call != nil {
		return l.call()
	}
	f, known := d.functions[l.kernel]
	if !known {
		var err error
		if f, err = d.module.Function(l.kernel); err != nil {
			return fmt.Errorf("find kernel %s: %w", l.kernel, driver.Named("cuModuleGetFunction", err))
		}
		d.functions[l.kernel] = f
	}
	if err := driver.Launch(f, l.gridX, l.gridY, threads, stream, values(l.arguments)); err != nil {
		return fmt.Errorf("kernel %s on %d×%d blocks: %w", l.kernel, l.gridX, l.gridY, err)
	}
	return nil
}

// values are a kernel's arguments as it takes them: ints are u32.
func values(arguments []any) []uint64 {
	bits := make([]uint64, len(arguments))
	for i, a := range arguments {
		switch a := a.(type) {
		case cu.DevicePtr:
			bits[i] = uint64(a)
		case int:
			bits[i] = uint64(uint32(a))
		case uint32:
			bits[i] = uint64(a)
		case uint64:
			bits[i] = a
		case float32:
			bits[i] = uint64(math.Float32bits(a))
		case bool:
			if a {
				bits[i] = 1
			}
		}
	}
	return bits
}
