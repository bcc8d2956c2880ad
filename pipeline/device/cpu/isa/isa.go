// Package isa names the instruction set that package cpu computes with, for
// tools that must know the engine without linking oneDNN.
package isa

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/cpu"
)

// A Set is one of the instruction sets that package cpu has kernels for.
type Set string

const (
	AVX512  Set = "avx512"  // with F, BW, DQ and VL
	AVX2    Set = "avx2"    // with FMA
	NEON    Set = "neon"    // the 64-bit ARM baseline
	Generic Set = "generic" // whatever the C compiler takes for granted
)

// Detect is the best set that this processor has.
func Detect() Set {
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL:
		return AVX512
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA:
		return AVX2
	case runtime.GOARCH == "arm64":
		return NEON
	}
	return Generic
}

// Threads is the number of threads that an option of threads stands for: 0
// means one for each processor.
func Threads(threads int) int {
	if threads == 0 {
		return runtime.NumCPU()
	}
	return threads
}

// BFloat16 is train.precision's value for convolutions of rounded values.
const BFloat16 = "bfloat16"

// Precision is what train.precision comes to on the CPU: auto is bfloat16 where
// the processor multiplies matrices of such faster than of float32, which means
// AMX. AVX-512's instructions for bfloat16 do not make up for doing without
// Winograd's algorithm.
func Precision(asked string) string {
	switch {
	case asked != "auto":
		return asked
	case cpu.X86.HasAMXTile && cpu.X86.HasAMXBF16:
		return BFloat16
	}
	return "float32"
}

// The values of train.convolution: by our own kernels of Winograd's algorithm, or
// without that algorithm, which is oneDNN's work behind the first layer, as is
// bfloat16.
const (
	Winograd = "winograd"
	Direct   = "direct"
)

// Describe names what decides the results' bits, oneDNN's version apart: of our
// own kernels the instruction set alone, of oneDNN the number of threads too.
func (s Set) Describe(threads int, precision, convolution string) string {
	switch {
	case convolution != Winograd:
		precision += " " + convolution
	case precision != BFloat16:
		return fmt.Sprintf("cpu %s %s", precision, s)
	}
	return fmt.Sprintf("cpu %s %s threads=%d", precision, s, Threads(threads))
}
