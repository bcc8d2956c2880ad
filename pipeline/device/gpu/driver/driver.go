//go:build gpu

// Package driver is what gorgonia.org/cu lacks of CUDA's driver interface, on
// cu's own handles: launches in one call, captured graphs, pinned memory.
package driver

/*
#cgo LDFLAGS: -lcuda
#include <cuda.h>
#include <stdint.h>

enum { MOST_PARAMETERS = 32 };

static CUresult launch(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned block, CUstream stream, uint64_t *values, int count) {
	void *parameters[MOST_PARAMETERS];
	for (int i = 0; i < count; i++) parameters[i] = &values[i];
	return cuLaunchKernel(function, grid_x, grid_y, 1, block, 1, 1, 0, stream, parameters, 0);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"gorgonia.org/cu"
)

func stream(s cu.Stream) C.CUstream { return C.CUstream(unsafe.Pointer(s.C())) }

// cu's other handles are structs of one unexported pointer.
func function(f cu.Function) C.CUfunction { return *(*C.CUfunction)(unsafe.Pointer(&f)) }

// Launch runs a kernel on a grid of blocks. A value of fewer than 8 bytes lies
// in the low bytes of its uint64.
func Launch(f cu.Function, gridX, gridY, block int, s cu.Stream, values []uint64) error {
	if len(values) == 0 || len(values) > C.MOST_PARAMETERS {
		return fmt.Errorf("cuLaunchKernel: %d parameters", len(values))
	}
	return failed("cuLaunchKernel", C.launch(function(f), C.uint(gridX), C.uint(gridY), C.uint(block), stream(s),
		(*C.uint64_t)(unsafe.Pointer(&values[0])), C.int(len(values))))
}

// Pinned returns memory of the host's that a GPU reads and writes at full
// speed; Unpin gives it back.
func Pinned(bytes int) ([]byte, error) {
	var p unsafe.Pointer
	if err := failed("cuMemAllocHost", C.cuMemAllocHost(&p, C.size_t(bytes))); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), bytes), nil
}

// Unpin frees what Pinned returned.
func Unpin(memory []byte) error {
	return failed("cuMemFreeHost", C.cuMemFreeHost(unsafe.Pointer(unsafe.SliceData(memory))))
}

// A Graph is work that was captured once and is launched as a whole.
type Graph struct{ exec C.CUgraphExec }

// BeginCapture makes a stream record what this thread gives it, without
// running it, until EndCapture.
func BeginCapture(s cu.Stream) error {
	return failed("cuStreamBeginCapture", C.cuStreamBeginCapture(stream(s), C.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))
}

// EndCapture returns what the stream recorded.
func EndCapture(s cu.Stream) (*Graph, error) {
	var graph C.CUgraph
	if err := failed("cuStreamEndCapture", C.cuStreamEndCapture(stream(s), &graph)); err != nil {
		return nil, err
	}
	g := &Graph{}
	err := failed("cuGraphInstantiateWithFlags", C.cuGraphInstantiateWithFlags(&g.exec, graph, 0))
	destroyed := failed("cuGraphDestroy", C.cuGraphDestroy(graph))
	if err != nil {
		return nil, errors.Join(err, destroyed)
	}
	return g, destroyed
}

// Launch runs the captured work.
func (g *Graph) Launch(s cu.Stream) error {
	return failed("cuGraphLaunch", C.cuGraphLaunch(g.exec, stream(s)))
}

// Close frees the graph.
func (g *Graph) Close() error { return failed("cuGraphExecDestroy", C.cuGraphExecDestroy(g.exec)) }
