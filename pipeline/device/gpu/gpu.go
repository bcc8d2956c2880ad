//go:build gpu

// Package gpu computes a network's operations on an NVIDIA GPU through CUDA's
// driver and cuDNN, both opened when the program runs; its kernels are in the
// folder kernels, as CUDA C and as the PTX that is linked in.
//
// Activations are float32 or bfloat16, everything else (weights and their
// gradients, statistics, logits, the loss) is float32. Activations lie in NHWC
// order with channels padded with zeros to a multiple of 8, convolutions'
// weights in OHWI order, padded alike. Work is queued on one stream from one
// thread of the device's own; only what reads results (Download, Loss) waits.
// No kernel adds floating-point numbers atomically, so that the same GPU gives
// the same bits again.
package gpu

import (
	_ "embed"
	"errors"
	"fmt"
	"runtime"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
	"catdog/pipeline/device/gpu/cudnn"
	"catdog/pipeline/device/gpu/driver"
	"catdog/pipeline/params"
)

//go:embed kernels/kernels.ptx
var ptx string

const (
	threads     = 256 // of a block, in every kernel
	warps       = threads / 32
	mostBlocks  = 1 << 13 // of a grid; threads then take several elements
	stagingSize = 1 << 20 // bytes that travel at once
	octet       = 8       // channels that a thread moves at once: OCTET of kernels/common.h
)

// Options fix a Device.
type Options struct {
	// Precision of activations is "float32" or "bfloat16".
	Precision string
	// OwnConvolutions takes our own plain kernels in place of cuDNN: many times
	// slower, and right where there is no cuDNN.
	OwnConvolutions bool
}

// ForTraining is what section train of params.yaml asks of a GPU: precision
// auto is bfloat16, and cuDNN is wanted unless device is gpu and there is none.
func ForTraining(p params.Train) Options {
	o := Options{Precision: p.Precision}
	if o.Precision == "auto" {
		o.Precision = "bfloat16"
	}
	if p.Device == "gpu" {
		_, missing := cudnn.Version()
		o.OwnConvolutions = missing != nil
	}
	return o
}

// A Device is a GPU.
type Device struct {
	options     Options
	description string
	capability  int // times ten: 90 is 9.0
	work        chan func()
	gpu         cu.Device
	context     cu.CUContext
	stream      cu.Stream
	module      cu.Module
	functions   map[string]cu.Function
	memory      []cu.DevicePtr
	inUse       int64 // bytes of memory
	measuring   bool  // nothing is allocated, let alone computed
	staging     []byte
	cudnn       *cudnn.Handle // nil with own convolutions
	described   []*cudnn.Convolution
	workspace   workspace
	beside      beside
	optimizers  []*optimizer
	loops       []*loop
	copier      *copier // nil before the first snapshot
	// stepSeed is where dropouts find what their own seed is combined with:
	// zeroSeed but in a Loop.
	zeroSeed, stepSeed cu.DevicePtr
	// recording is the Loop that a step is submitted to: its schedule lies in
	// memory, and its results stay there.
	recording *loop
	// timed is where a measured step puts its events, nil otherwise.
	timed   *timing
	failure device.Failure
}

var _ device.Measurer = (*Device)(nil)

// Describe names what New would open, or says why it can't.
func Describe(o Options) (string, error) {
	if o.Precision != "float32" && o.Precision != "bfloat16" {
		return "", fmt.Errorf("the gpu computes in float32 or bfloat16, not in %q", o.Precision)
	}
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
	convolutions := "own convolutions"
	if !o.OwnConvolutions {
		found, err := cudnn.Version()
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		convolutions = "cuDNN " + found
	}
	return fmt.Sprintf("gpu %s %s CUDA %d.%d %s", o.Precision, name, version/1000, version%1000/10, convolutions), nil
}

// New opens the first GPU.
func New(o Options) (*Device, error) {
	description, err := Describe(o)
	if err != nil {
		return nil, fmt.Errorf("open the gpu: %w", err)
	}
	d := &Device{options: o, description: description, work: make(chan func()), functions: map[string]cu.Function{}}
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
	if d.zeroSeed, err = d.allocate(8); err != nil {
		return nil, errors.Join(fmt.Errorf("open the gpu: %w", err), d.Close())
	}
	d.stepSeed = d.zeroSeed
	return d, nil
}

// open takes the GPU's primary context, which is the one that cuDNN expects.
func (d *Device) open() (err error) {
	if d.gpu, err = cu.GetDevice(0); err != nil {
		return fmt.Errorf("take the first GPU: %w", driver.Named("cuDeviceGet", err))
	}
	for _, part := range []cu.DeviceAttribute{cu.ComputeCapabilityMajor, cu.ComputeCapabilityMinor} {
		version, err := d.gpu.Attribute(part)
		if err != nil {
			return fmt.Errorf("ask for the compute capability: %w", driver.Named("cuDeviceGetAttribute", err))
		}
		d.capability = 10*d.capability + version
	}
	if d.context, err = d.gpu.RetainPrimaryCtx(); err != nil {
		return fmt.Errorf("take the primary context: %w", driver.Named("cuDevicePrimaryCtxRetain", err))
	}
	if err := d.prepare(); err != nil {
		d.gpu.ReleasePrimaryCtx() // and with it all that was made in it
		return err
	}
	return nil
}

func (d *Device) prepare() (err error) {
	if err = cu.SetCurrentContext(d.context); err != nil {
		return fmt.Errorf("enter the primary context: %w", driver.Named("cuCtxSetCurrent", err))
	}
	if d.stream, err = cu.MakeStream(cu.NonBlocking); err != nil {
		return fmt.Errorf("make a stream: %w", driver.Named("cuStreamCreate", err))
	}
	if d.module, err = cu.LoadData(ptx); err != nil {
		return fmt.Errorf("load %d kB of kernels: %w", len(ptx)/1000, driver.Named("cuModuleLoadData", err))
	}
	if d.staging, err = driver.Pinned(stagingSize); err != nil {
		return fmt.Errorf("pin %.1f MB of memory: %w", 1e-6*stagingSize, err)
	}
	if !d.options.OwnConvolutions {
		if d.cudnn, err = cudnn.Open(d.stream); err == nil {
			err = d.openBeside()
		}
	}
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
// "gpu bfloat16 NVIDIA H100 80GB HBM3 CUDA 12.4 cuDNN 9.1.0".
func (d *Device) Describe() string { return d.description }

// Close waits for what is queued and frees all that the device made.
func (d *Device) Close() error {
	if d.work == nil {
		return nil
	}
	var copied error
	if d.copier != nil {
		copied = d.copier.close()
	}
	err := d.do(func() error {
		d.closed(copied)
		if err := d.wait(); err != nil {
			d.gpu.ReleasePrimaryCtx() // frees everything; what failed has been said
			return err
		}
		for _, l := range d.loops {
			d.closed(l.free())
		}
		for _, c := range d.described {
			d.closed(c.Close())
		}
		if d.cudnn != nil {
			d.closed(d.beside.close())
			d.closed(d.cudnn.Close())
		}
		for _, p := range d.memory {
			d.closed(driver.Named("cuMemFree", cu.MemFree(p)))
		}
		d.closed(driver.Unpin(d.staging))
		d.closed(driver.Named("cuStreamDestroy", d.stream.Destroy()))
		d.closed(driver.Named("cuModuleUnload", d.module.Unload()))
		d.closed(driver.Named("cuDevicePrimaryCtxRelease", d.gpu.ReleasePrimaryCtx()))
		return d.Err()
	})
	close(d.work)
	d.work, d.memory = nil, nil
	return err
}

// Err is the device's failure, if it has one.
func (d *Device) Err() error { return d.failure.Err() }

// wait returns when everything queued has run. A failure stays.
func (d *Device) wait() error {
	if d.Err() == nil {
		if err := d.join(); err != nil {
			d.failure.Add(err)
		} else if err := d.stream.Synchronize(); err != nil {
			d.failure.Add(fmt.Errorf("compute on the gpu: %w", driver.Named("cuStreamSynchronize", err)))
		}
	}
	return d.Err()
}

// closed keeps the first error of closing.
func (d *Device) closed(err error) {
	if err != nil {
		d.failure.Add(fmt.Errorf("close the gpu: %w", err))
	}
}

// allocate returns zeros that live as long as the device.
func (d *Device) allocate(bytes int) (p cu.DevicePtr, err error) {
	err = d.do(func() error {
		p, err = d.allocateHere(bytes)
		return err
	})
	return p, err
}

// allocateHere is allocate for what runs on the device's thread.
func (d *Device) allocateHere(bytes int) (p cu.DevicePtr, err error) {
	if d.measuring {
		d.inUse += int64(bytes)
		return 1, nil
	}
	if p, err = cu.MemAlloc(int64(max(bytes, 1))); err != nil {
		named := driver.Named("cuMemAlloc", err)
		if free, total, unknown := cu.MemInfo(); errors.Is(err, cu.OutOfMemory) && unknown == nil {
			named = fmt.Errorf("%w: %w", named, &device.OutOfMemory{Need: int64(bytes), Free: free, Total: total})
		}
		return 0, fmt.Errorf("allocate %d bytes: %w", bytes, named)
	}
	d.inUse += int64(bytes)
	d.memory = append(d.memory, p)
	if err := cu.MemsetD8Async(p, 0, int64(bytes), d.stream); err != nil {
		return 0, fmt.Errorf("clear %d bytes: %w", bytes, driver.Named("cuMemsetD8Async", err))
	}
	return p, nil
}

// operations are what a multiprocessor's tensor cores compute in a clock cycle,
// multiplications and additions of bfloat16 with sums in float32, by compute
// capability: from NVIDIA's white papers on Ampere, Ada and Hopper.
var operations = map[int]float64{80: 2048, 86: 512, 87: 1024, 89: 512, 90: 4096}

// Peaks are what tensor cores and memory do at their highest clocks.
func (d *Device) Peaks() (operationsPerSecond, bytesPerSecond float64, err error) {
	var found [4]float64
	err = d.do(func() error {
		for i, part := range []cu.DeviceAttribute{cu.MultiprocessorCount, cu.ClockRate, cu.MemoryClockRate, cu.GlobalMemoryBusWidth} {
			value, err := d.gpu.Attribute(part)
			if err != nil {
				return fmt.Errorf("ask for the peaks: %w", driver.Named("cuDeviceGetAttribute", err))
			}
			found[i] = float64(value)
		}
		return nil
	})
	// Clocks are in kHz, the bus' width in bits; memory moves twice a cycle.
	return operations[d.capability] * found[0] * found[1] * 1e3, 2 * found[2] * 1e3 * found[3] / 8, err
}

// Memory is what has been allocated.
func (d *Device) Memory() int64 { return d.inUse }

// Measure leaves out the workspace that cuDNN wants.
func (d *Device) Measure(build func(device.Device) error) (need, available int64, err error) {
	m := &Device{options: d.options, description: d.description, capability: d.capability, work: make(chan func()), measuring: true}
	go func() {
		for f := range m.work {
			f()
		}
	}()
	defer close(m.work)
	if err := build(m); err != nil {
		return 0, 0, err
	}
	err = d.do(func() error {
		free, _, err := cu.MemInfo()
		available = free + d.inUse
		return driver.Named("cuMemGetInfo", err)
	})
	return m.inUse, available, err
}
