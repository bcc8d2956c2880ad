// Package cpu computes a network's operations on the processor: a first 3×3
// convolution, of an image, directly, and the following ones by Winograd's
// algorithm, in kernels of its own, and everything else by kernels of its own
// that go through memory once. oneDNN computes convolutions of other kinds, and,
// in bfloat16 or without that algorithm, all behind the first (in bfloat16 but
// those of maps narrower than 3 pixels).
//
// Feature maps lie blocked: batch, blocks of channels, height, width, the
// channels of a block; a block of 16 (AVX-512) or 8 channels fills a register.
// Operations are queued and run one after another on a thread of the device's
// own; only what reads results (Download, Loss) or moves data in waits. An
// operation that fails there makes the next call return its error.
package cpu

/*
#cgo CFLAGS: -O3 -fopenmp
#cgo CXXFLAGS: -std=gnu++17 -O3 -fopenmp -Wno-psabi
#cgo LDFLAGS: -ldnnl -fopenmp -lm
#cgo noescape executor_submit
#cgo nocallback executor_submit
#cgo noescape executor_wait
#cgo nocallback executor_wait
#cgo noescape executor_convert
#cgo nocallback executor_convert
#include <stdlib.h>
#include "convolution.h"
#include "executor.h"
#include "kernels.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu/isa"
)

// Options fix a Device.
type Options struct {
	Threads int // 0 is one for each processor
	// Precision is "float32" (the default) or "bfloat16", for which AVX-512 is
	// needed: convolutions multiply values rounded to that and sum in float32; a
	// first layer that a kernel of ours computes, and everything else, stays
	// float32.
	Precision string
	// Winograd is OneDNN or Never; "" is our own.
	Winograd string
}

// Other Winograd convolutions than ours.
const (
	OneDNN = "oneDNN" // where it has them: before version 3, with AVX-512
	Never  = "never"  // all are direct
)

// A Device is the processor.
type Device struct {
	description string
	kernels     *C.struct_kernels
	threads     int
	block       int
	bfloat16    bool
	executor    *C.executor
	library     *C.library
	memory      []unsafe.Pointer
	operations  []*C.convolution
	winograd    winogradSource
	workspace   *C.struct_workspace
	failure     device.Failure
}

var _ device.Device = (*Device)(nil)

// New makes a device of this process's processor.
func New(options Options) (device.Device, error) {
	return open(options, isa.Detect())
}

func open(options Options, set isa.Set) (*Device, error) {
	if options.Precision == "" {
		options.Precision = "float32"
	}
	switch {
	case options.Precision != "float32" && options.Precision != isa.BFloat16:
		return nil, fmt.Errorf("open the cpu device: precision %q, known are float32 and %s", options.Precision, isa.BFloat16)
	case options.Precision == isa.BFloat16 && set != isa.AVX512:
		return nil, fmt.Errorf("open the cpu device: precision %s needs a processor with AVX-512; this one has %s", isa.BFloat16, set)
	}
	if options.Threads < 0 {
		return nil, fmt.Errorf("open the cpu device: %d threads", options.Threads)
	}
	d := &Device{threads: isa.Threads(options.Threads), bfloat16: options.Precision == isa.BFloat16}
	switch set {
	case isa.AVX512:
		d.kernels = C.kernels_avx512
	case isa.AVX2:
		d.kernels = C.kernels_avx2
	default:
		d.kernels = C.kernels_portable
	}
	d.block = int(d.kernels.block)
	switch options.Winograd {
	case "":
		d.winograd = ours
	case OneDNN:
		d.winograd = oneDNNs
	case Never:
		d.winograd = never
	default:
		return nil, fmt.Errorf("open the cpu device: Winograd convolutions by %q, known are %s and %s", options.Winograd, OneDNN, Never)
	}
	d.description = set.Describe(options.Threads, options.Precision, string(d.winograd))
	if !d.own() {
		d.description += " " + C.GoString(C.library_version())
	}
	d.executor = C.executor_new(C.int(d.threads))
	if d.executor == nil {
		return nil, errors.New("open the cpu device: cannot start a thread")
	}
	// The C side writes to what it is handed, so that lies in C memory.
	handle, err := allocate[*C.library](d, 1)
	if err == nil {
		d.workspace, err = allocate[C.struct_workspace](d, 1)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	arguments := C.struct_library_arguments{library: handle}
	d.submit(C.operation(C.library_new), unsafe.Pointer(&arguments), unsafe.Sizeof(arguments))
	if err := d.wait(); err != nil {
		d.Close()
		return nil, fmt.Errorf("open the cpu device: %w", err)
	}
	d.library = *handle
	return d, nil
}

// Describe is, for example, "cpu float32 avx512", or, where oneDNN computes
// convolutions that a network of this project has, "cpu float32 direct avx512
// threads=2 oneDNN 2.6.3".
func (d *Device) Describe() string { return d.description }

// Err is the device's failure, if it has one.
func (d *Device) Err() error { return d.failure.Err() }

// Threads is how many threads compute.
func (d *Device) Threads() int { return d.threads }

// Close waits for what is queued and frees all that the device made.
func (d *Device) Close() error {
	if d.executor == nil {
		return nil
	}
	err := d.wait()
	C.executor_free(d.executor)
	d.executor = nil
	for _, c := range d.operations {
		C.convolution_free(c)
	}
	C.library_free(d.library)
	if d.workspace != nil {
		C.free(unsafe.Pointer(d.workspace.data))
	}
	for _, p := range d.memory {
		C.free(p)
	}
	d.memory, d.operations, d.library, d.workspace = nil, nil, nil, nil
	return err
}

// submit queues an operation; its arguments are copied.
func (d *Device) submit(run C.operation, arguments unsafe.Pointer, size uintptr) {
	C.executor_submit(d.executor, run, arguments, C.size_t(size))
}

// wait returns when everything queued has run. A failure stays.
func (d *Device) wait() error {
	if err := d.result(); err != nil {
		d.failure.Add(fmt.Errorf("compute on the cpu: %w", err))
	}
	return d.failure.Err()
}

// result is wait for something whose failure harms nothing else.
func (d *Device) result() error {
	if failure := C.executor_wait(d.executor); failure != nil {
		return errors.New(C.GoString(failure))
	}
	return nil
}

// allocate returns memory for count zeros that lives as long as the device.
func allocate[T any](d *Device, count int) (*T, error) {
	var zero T
	bytes := count * int(unsafe.Sizeof(zero))
	p := C.memory_new(C.size_t(bytes))
	if p == nil {
		return nil, fmt.Errorf("allocate %d bytes: out of memory", bytes)
	}
	d.memory = append(d.memory, p)
	return (*T)(p), nil
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
