//go:build gpu

// Package cudnn is the part of NVIDIA's cuDNN 9 that convolutions need. The
// library is opened at run time, and declared by hand: a build needs neither
// its header nor the library.
package cudnn

/*
#cgo LDFLAGS: -ldl
#include <stdint.h>
#include <stdlib.h>
#include "cudnn.h"

static int run_at(cudnn_handle handle, const struct convolution *c, int operation, int algorithm, uint64_t a, uint64_t b,
                  uint64_t result, float keep, uint64_t workspace, size_t bytes, const char **call) {
	return run_convolution(handle, c, operation, algorithm, (void *)a, (void *)b, (void *)result, keep, (void *)workspace, bytes, call);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"gorgonia.org/cu"
)

// LibraryVariable names the environment variable that says where libcudnn.so.9
// is, if not where it is looked for.
const LibraryVariable = "CUDNN_LIBRARY"

const name = "libcudnn.so.9"

// places are where Python's packages and CUDA's toolkits put the library,
// after the linker's own places.
func places() []string {
	if path := os.Getenv(LibraryVariable); path != "" {
		return []string{path}
	}
	found := []string{name}
	for _, root := range []string{
		os.Getenv("VIRTUAL_ENV"), os.Getenv("CONDA_PREFIX"), filepath.Join(os.Getenv("HOME"), ".local"), "/opt/conda", "/usr/local", "/usr",
	} {
		if root == "" {
			continue
		}
		for _, packages := range []string{"site-packages", "dist-packages"} {
			wheels, _ := filepath.Glob(filepath.Join(root, "lib", "python3*", packages, "nvidia", "cudnn", "lib", name))
			found = append(found, wheels...)
		}
	}
	toolkits, _ := filepath.Glob(filepath.Join("/usr/local/cuda*/lib64", name))
	return append(found, toolkits...)
}

var open = sync.OnceValue(func() error {
	var why []error
	for _, path := range places() {
		// A wheel's neighbours hold what cuDNN opens by name: the compiler and
		// cuBLASLt. Where they are not needed, they do no harm.
		if packages := filepath.Dir(filepath.Dir(filepath.Dir(path))); filepath.Base(packages) == "nvidia" {
			for _, beside := range []string{"libcudart", "libnvrtc", "libcublas", "libcublasLt"} {
				libraries, _ := filepath.Glob(filepath.Join(packages, "*", "lib", beside+".so.*"))
				for _, library := range libraries {
					cpath := C.CString(library)
					C.open_beside(cpath)
					C.free(unsafe.Pointer(cpath))
				}
			}
		}
		cpath := C.CString(path)
		problem := C.open_cudnn(cpath)
		C.free(unsafe.Pointer(cpath))
		if problem == nil {
			if version := int(C.cudnn_version()); version < 90000 || version >= 100000 {
				return fmt.Errorf("%s is cuDNN %s, 9 is needed", path, versionText(version))
			}
			return nil
		}
		why = append(why, errors.New(C.GoString(problem)))
	}
	return fmt.Errorf("no cuDNN 9 (%w; %s can say where it is)", why[0], LibraryVariable)
})

// Version is for example "9.1.0"; an error says why there is none.
func Version() (string, error) {
	if err := open(); err != nil {
		return "", err
	}
	return versionText(int(C.cudnn_version())), nil
}

func versionText(v int) string { return fmt.Sprintf("%d.%d.%d", v/10000, v%10000/100, v%100) }

// An Error is a status of cuDNN's.
type Error struct {
	Call   string
	Status int
	Name   string // of the status
	Words  string // cuDNN's own about it
}

func (e *Error) Error() string {
	if e.Words == "" {
		return fmt.Sprintf("%s: %s", e.Call, e.Name)
	}
	return fmt.Sprintf("%s: %s (%s)", e.Call, e.Name, e.Words)
}

// NotSupported says whether an error is one of cuDNN's that says that it can't
// do what was asked, CUDNN_STATUS_NOT_SUPPORTED or one of its subdivisions.
func NotSupported(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status/1000 == 3
}

func failed(call *C.char, status C.int) error {
	if status == C.CUDNN_STATUS_SUCCESS {
		return nil
	}
	var words [512]C.char
	C.cudnn_last_error(&words[0], C.size_t(len(words)))
	return &Error{C.GoString(call), int(status), C.GoString(C.cudnn_status(status)), C.GoString(&words[0])}
}

// A Handle is cuDNN on one stream. All its calls come from the thread whose
// context the stream is of.
type Handle struct{ handle C.cudnn_handle }

// Open makes a handle.
func Open(stream cu.Stream) (*Handle, error) {
	if err := open(); err != nil {
		return nil, err
	}
	h := &Handle{}
	var call *C.char
	status := C.open_handle(&h.handle, unsafe.Pointer(stream.C()), &call)
	return h, failed(call, status)
}

// Close frees the handle.
func (h *Handle) Close() error {
	var call *C.char
	status := C.close_handle(h.handle, &call)
	return failed(call, status)
}

// A Shape is a convolution's: NHWC activations, OHWI weights, all of one type,
// with sums in float32.
type Shape struct {
	Batch, Height, Width, In, Out, Rows, Columns int // rows and columns of the output
	Kernel, Stride, Padding                      int
	BFloat16                                     bool // else float32
}

func (s Shape) String() string {
	precision := "float32"
	if s.BFloat16 {
		precision = "bfloat16"
	}
	return fmt.Sprintf("%d×%d×%d×%d to %d, kernel %d stride %d padding %d, %s",
		s.Batch, s.Height, s.Width, s.In, s.Out, s.Kernel, s.Stride, s.Padding, precision)
}

// An Operation is one of a convolution's three.
type Operation int

// The operations, with the order of Run's operands.
const (
	Forward         Operation = C.CONVOLUTION_FORWARD          // input, weights → output
	BackwardInput   Operation = C.CONVOLUTION_BACKWARD_INPUT   // weights, output's gradient → input's gradient
	BackwardWeights Operation = C.CONVOLUTION_BACKWARD_WEIGHTS // input, output's gradient → weights' gradient
)

// Operations are all of them.
var Operations = []Operation{Forward, BackwardInput, BackwardWeights}

func (o Operation) String() string {
	return [...]string{"forward", "backward-input", "backward-weights"}[o]
}

// Deterministic are the algorithms (cuDNN's numbers) of an operation that give
// the same bits at every run, as its documentation says.
func (o Operation) Deterministic() []int {
	return [...][]int{
		{0, 1, 2, 4, 5, 6, 7}, // implicit GEMM, precomputed, GEMM, FFT, tiled FFT, Winograd, non-fused Winograd
		{1, 2, 3, 4, 5},       // 1, FFT, tiled FFT, Winograd, non-fused Winograd; 0 adds atomically
		{1, 2, 5, 6},          // 1, FFT, non-fused Winograd, tiled FFT; 0 and 3 add atomically
	}[o]
}

// A Convolution holds the descriptors of a shape.
type Convolution struct {
	handle      *Handle
	shape       Shape
	descriptors *C.struct_convolution
}

// Most is one more than the elements that a tensor may have.
const Most = 1 << 31

// NewConvolution describes a convolution to cuDNN.
func (h *Handle) NewConvolution(s Shape) (*Convolution, error) {
	shape := C.struct_shape{
		batch: C.int(s.Batch), height: C.int(s.Height), width: C.int(s.Width), in: C.int(s.In), out: C.int(s.Out),
		rows: C.int(s.Rows), columns: C.int(s.Columns),
		kernel: C.int(s.Kernel), stride: C.int(s.Stride), padding: C.int(s.Padding),
	}
	if s.BFloat16 {
		shape.bfloat16 = 1
	}
	c := &Convolution{h, s, (*C.struct_convolution)(C.calloc(1, C.sizeof_struct_convolution))}
	var call *C.char
	status := C.make_convolution(c.descriptors, &shape, &call)
	if err := c.failed(call, status); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close frees the descriptors.
func (c *Convolution) Close() error {
	var call *C.char
	status := C.free_convolution(c.descriptors, &call)
	C.free(unsafe.Pointer(c.descriptors))
	c.descriptors = nil
	return failed(call, status)
}

func (c *Convolution) failed(call *C.char, status C.int) error {
	if err := failed(call, status); err != nil {
		return fmt.Errorf("convolution %v: %w", c.shape, err)
	}
	return nil
}

// Workspace is how many bytes an algorithm needs to work in.
func (c *Convolution) Workspace(o Operation, algorithm int) (int, error) {
	var call *C.char
	var bytes C.size_t
	status := C.workspace_of(c.handle.handle, c.descriptors, C.int(o), C.int(algorithm), &bytes, &call)
	if err := c.failed(call, status); err != nil {
		return 0, fmt.Errorf("%v with algorithm %d: %w", o, algorithm, err)
	}
	return int(bytes), nil
}

// Run queues an operation on a handle's stream: result = what it computes +
// keep·result.
func (c *Convolution) Run(h *Handle, o Operation, algorithm int, a, b, result cu.DevicePtr, keep float32, workspace cu.DevicePtr, bytes int) error {
	var call *C.char
	status := C.run_at(h.handle, c.descriptors, C.int(o), C.int(algorithm), C.uint64_t(a), C.uint64_t(b), C.uint64_t(result),
		C.float(keep), C.uint64_t(workspace), C.size_t(bytes), &call)
	if err := c.failed(call, status); err != nil {
		return fmt.Errorf("%v with algorithm %d: %w", o, algorithm, err)
	}
	return nil
}
