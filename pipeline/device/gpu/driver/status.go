//go:build gpu

package driver

/*
#include <cuda.h>

extern int cuda_start(void);
*/
import "C"

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
)

// failed turns the status of a call into an error that names both.
func failed(call string, status C.CUresult) error {
	if status == C.CUDA_SUCCESS {
		return nil
	}
	return fmt.Errorf("%s: %s", call, statusName(status))
}

// statusName is CUDA's own name of a status.
func statusName(status C.CUresult) string {
	var name *C.char
	if C.cuGetErrorName(status, &name) != C.CUDA_SUCCESS || name == nil {
		return fmt.Sprintf("CUDA status %d", int(status))
	}
	return C.GoString(name)
}

// Named says of cu's error which call returned it and CUDA's own name of the
// status, as the functions of this package do by themselves.
func Named(call string, err error) error {
	if err == nil {
		return nil
	}
	if status := reflect.ValueOf(err); status.Kind() == reflect.Int { // cu's unexported type of a status
		return failed(call, C.CUresult(status.Int()))
	}
	return fmt.Errorf("%s: %w", call, err)
}

// Start starts the NVIDIA driver, or says why it can't; before, every call
// fails. The second time it knows.
var Start = sync.OnceValue(func() error {
	switch status := C.cuda_start(); status {
	case C.CUDA_SUCCESS:
		return nil
	case -1:
		return errors.New("no NVIDIA driver: libcuda.so.1 is not there")
	case C.CUDA_ERROR_NO_DEVICE:
		return errors.New("the NVIDIA driver finds no GPU: cuInit: CUDA_ERROR_NO_DEVICE")
	default:
		return fmt.Errorf("the NVIDIA driver does not start: %w", failed("cuInit", C.CUresult(status)))
	}
})

// Version is the CUDA version that the driver is made for, 12040 for 12.4.
func Version() (int, error) {
	var version C.int
	status := C.cuDriverGetVersion(&version)
	return int(version), failed("cuDriverGetVersion", status)
}
