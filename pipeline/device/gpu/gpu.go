//go:build gpu

// Package gpu computes a network's operations on an NVIDIA GPU through CUDA's
// driver, opened when the program starts; its kernels are in the folder
// kernels, as CUDA C and as the PTX that is linked in.
//
// Feature maps lie in NHWC order, convolutions' weights in OHWI order. Work is
// queued on one stream from one thread of the device's own; only what reads
// results (Download, Loss) waits. No kernel adds atomically, so that the same
// GPU gives the same bits again.
package gpu

import (
	_ "embed"
	"errors"
	"fmt"
	"math"
	"runtime"
	"unsafe"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
	"catdog/pipeline/device/gpu/driver"
)

//go:embed kernels/kernels.ptx
var ptx string

const (
	threads     = 256     // of a block, in every kernel
	mostBlocks  = 1 << 15 // of a grid; threads then take several elements
	stagingSize = 1 << 18 // float32 numbers that travel at once
)

// A Device is a GPU.
type Device struct {
	description string
	work        chan func()
	context     cu.CUContext
	stream      cu.Stream
	module      cu.Module
	functions   map[string]cu.Function
	memory      []cu.DevicePtr
	staging     []float32
	// failure is of a call that could not return it, such as Upload, or of the
	// GPU itself; it stays.
	failure error
}

var _ device.Device = (*Device)(nil)

// Describe names what New would open, or says why it can't.
func Describe() (string, error) {
	if err := driver.Start(); err != nil {
		return "", err
	}
	count, err := cu.NumDevices()
	if err != nil {
		return "", fmt.Errorf("count GPUs: %w", driver.Named("cuDeviceGetCount", err))
	}
	if count == 0 {
		return "", errors.New("the NVIDIA driver finds no GPU")
	}
	d, err := cu.GetDevice(0)
	if err != nil {
		return "", fmt.Errorf("take the first GPU: %w", driver.Named("cuDeviceGet", err))
	}
	name, err := d.Name()
	if err != nil {
		return "", fmt.Errorf("name the GPU: %w", driver.Named("cuDeviceGetName", err))
	}
	major, err := d.Attribute(cu.ComputeCapabilityMajor)
	if err != nil {
		return "", fmt.Errorf("ask %s for its generation: %w", name, driver.Named("cuDeviceGetAttribute", err))
	}
	version, err := driver.Version()
	if err != nil {
		return "", fmt.Errorf("ask %s's driver for its version: %w", name, err)
	}
	if version < 11080 {
		return "", fmt.Errorf("the NVIDIA driver is too old: it is for CUDA %d.%d, 11.8 is needed", version/1000, version%1000/10)
	}
	if major < 8 {
		return "", fmt.Errorf("%s is too old: its compute capability is %d.x, 8.0 (Ampere) is needed", name, major)
	}
	return fmt.Sprintf("gpu float32 %s CUDA %d.%d own convolutions", name, version/1000, version%1000/10), nil
}

// Precision is what train.precision comes to on the GPU, or says that it does
// not compute in it.
func Precision(asked string) (string, error) {
	if asked != "auto" && asked != "float32" {
		return "", fmt.Errorf("the gpu computes in float32, not in %s", asked)
	}
	return "float32", nil
}

// New opens the first GPU.
func New() (*Device, error) {
	description, err := Describe()
	if err != nil {
		return nil, fmt.Errorf("open the gpu: %w", err)
	}
	d := &Device{description: description, work: make(chan func()), functions: map[string]cu.Function{}}
	go func() {
		runtime.LockOSThread() // the context is the thread's, which ends with it
		for f := range d.work {
			f()
		}
	}()
	if err := d.do(d.open); err != nil {
		close(d.work)
		return nil, fmt.Errorf("open the gpu: %w", err)
	}
	return d, nil
}

func (d *Device) open() error {
	first, err := cu.GetDevice(0)
	if err != nil {
		return fmt.Errorf("take the first GPU: %w", driver.Named("cuDeviceGet", err))
	}
	if d.context, err = first.MakeContext(cu.SchedAuto); err != nil {
		return fmt.Errorf("make a context: %w", driver.Named("cuCtxCreate", err))
	}
	if d.stream, err = cu.MakeStream(cu.NonBlocking); err != nil {
		err = fmt.Errorf("make a stream: %w", driver.Named("cuStreamCreate", err))
	} else if d.module, err = cu.LoadData(ptx); err != nil {
		err = fmt.Errorf("load %d kB of kernels: %w", len(ptx)/1000, driver.Named("cuModuleLoadData", err))
	} else if d.staging, err = driver.Pinned(stagingSize); err != nil {
		err = fmt.Errorf("pin %.1f MB of memory: %w", 4e-6*stagingSize, err)
	} else {
		return nil
	}
	d.context.Destroy() // and all that was made in it
	return err
}

// do runs f on the device's thread.
func (d *Device) do(f func() error) (err error) {
	done := make(chan struct{})
	d.work <- func() {
		defer close(done)
		err = f()
	}
	<-done
	return err
}

// Describe is, for example,
// "gpu float32 NVIDIA H100 80GB HBM3 CUDA 12.4 own convolutions".
func (d *Device) Describe() string { return d.description }

// Close waits for what is queued and frees all that the device made.
func (d *Device) Close() error {
	if d.work == nil {
		return nil
	}
	err := d.do(func() error {
		if err := d.wait(); err != nil {
			d.context.Destroy() // frees everything; what failed has been said
			return err
		}
		for _, p := range d.memory {
			if err := cu.MemFree(p); err != nil {
				d.fail(fmt.Errorf("free memory: %w", driver.Named("cuMemFree", err)))
			}
		}
		for _, err := range []error{
			driver.Unpin(d.staging),
			driver.Named("cuStreamDestroy", d.stream.Destroy()),
			driver.Named("cuModuleUnload", d.module.Unload()),
			driver.Named("cuCtxDestroy", d.context.Destroy()),
		} {
			if err != nil {
				d.fail(fmt.Errorf("close the gpu: %w", err))
			}
		}
		return d.failure
	})
	close(d.work)
	d.work, d.memory = nil, nil
	return err
}

// wait returns when everything queued has run. A failure stays.
func (d *Device) wait() error {
	if d.failure == nil {
		if err := d.stream.Synchronize(); err != nil {
			d.fail(fmt.Errorf("compute on the gpu: %w", driver.Named("cuStreamSynchronize", err)))
		}
	}
	return d.failure
}

// fail keeps the error of a call that cannot return it for the next that can.
func (d *Device) fail(err error) {
	if d.failure == nil {
		d.failure = err
	}
}

// allocate returns zeros that live as long as the device.
func (d *Device) allocate(bytes int) (p cu.DevicePtr, err error) {
	err = d.do(func() error {
		if p, err = cu.MemAlloc(int64(max(bytes, 1))); err != nil {
			free, total, _ := cu.MemInfo()
			return fmt.Errorf("allocate %.1f MB, %.1f of %.1f MB are free (a smaller train.batch needs less): %w",
				float64(bytes)/1e6, float64(free)/1e6, float64(total)/1e6, driver.Named("cuMemAlloc", err))
		}
		d.memory = append(d.memory, p)
		if err := cu.MemsetD8Async(p, 0, int64(bytes), d.stream); err != nil {
			return fmt.Errorf("clear %d bytes: %w", bytes, driver.Named("cuMemsetD8Async", err))
		}
		return nil
	})
	return p, err
}

// upload and download move float32 numbers through pinned memory.
func (d *Device) upload(values []float32, to cu.DevicePtr) {
	d.transfer(len(values), func(at, length int) error {
		copy(d.staging, values[at:at+length])
		return driver.Named("cuMemcpyHtoDAsync",
			cu.MemcpyHtoDAsync(to+cu.DevicePtr(4*at), unsafe.Pointer(&d.staging[0]), int64(4*length), d.stream))
	}, func(int, int) {})
}

func (d *Device) download(from cu.DevicePtr, values []float32) {
	d.transfer(len(values), func(at, length int) error {
		return driver.Named("cuMemcpyDtoHAsync",
			cu.MemcpyDtoHAsync(unsafe.Pointer(&d.staging[0]), from+cu.DevicePtr(4*at), int64(4*length), d.stream))
	}, func(at, length int) { copy(values[at:at+length], d.staging) })
}

func (d *Device) transfer(count int, start func(at, length int) error, finish func(at, length int)) {
	d.do(func() error {
		for at := 0; at < count && d.failure == nil; at += stagingSize {
			length := min(count-at, stagingSize)
			if err := start(at, length); err != nil {
				d.fail(fmt.Errorf("copy %d bytes: %w", 4*length, err))
			} else if d.wait() == nil {
				finish(at, length)
			}
		}
		return nil
	})
}

// A launch is one kernel with its grid and arguments.
type launch struct {
	kernel       string
	gridX, gridY int
	arguments    []any
}

// over launches a kernel whose threads share out count elements.
func over(count int, kernel string, arguments ...any) launch {
	return launch{kernel, max(1, min((count+threads-1)/threads, mostBlocks)), 1, arguments}
}

// submit queues launches in their order.
func (d *Device) submit(launches ...launch) error {
	return d.do(func() error { return d.launch(launches...) })
}

func (d *Device) launch(launches ...launch) error {
	for _, l := range launches {
		if d.failure != nil {
			return d.failure
		}
		f, known := d.functions[l.kernel]
		if !known {
			var err error
			if f, err = d.module.Function(l.kernel); err != nil {
				return fmt.Errorf("find kernel %s: %w", l.kernel, driver.Named("cuModuleGetFunction", err))
			}
			d.functions[l.kernel] = f
		}
		if err := driver.Launch(f, l.gridX, l.gridY, threads, d.stream, values(l.arguments)); err != nil {
			d.fail(fmt.Errorf("kernel %s on %d×%d blocks: %w", l.kernel, l.gridX, l.gridY, err))
		}
	}
	return d.failure
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

func roundUp(n, to int) int { return (n + to - 1) / to * to }
