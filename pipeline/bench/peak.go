package bench

/*
#cgo CFLAGS: -O2
#include "peak.h"
*/
import "C"

import (
	"runtime"
	"sync"
	"time"
	"unsafe"

	"catdog/pipeline/device/cpu/isa"
)

// A peak is what a machine's processors can do together.
type peak struct {
	multiplyAdds float64 // a second, in float32
	bytes        float64 // read and written a second, half each, in main memory
}

// measurePeak takes the best of some short trials on all processors.
func measurePeak(threads int, trial time.Duration) peak {
	set := map[isa.Set]C.int{isa.AVX512: C.peak_avx512, isa.AVX2: C.peak_avx2}[isa.Detect()]
	var p peak
	const rounds = 1 << 16
	p.multiplyAdds = fastest(threads, trial, func(int) float64 { return rounds * float64(C.peak_multiply_adds(set, rounds)) })

	// Larger than the processors' caches.
	const length = 32 << 20
	from, to := make([]float32, length), make([]float32, length)
	for i := range to {
		from[i], to[i] = 1, 1
	}
	part := length / threads / 4 * 4
	p.bytes = fastest(threads, trial, func(thread int) float64 {
		C.peak_copy((*C.float)(unsafe.Pointer(&from[thread*part])), (*C.float)(unsafe.Pointer(&to[thread*part])), C.size_t(part))
		return float64(8 * part)
	})
	return p
}

// fastest has threads work side by side, five times for at least trial, and
// returns the most that they did a second.
func fastest(threads int, trial time.Duration, work func(thread int) float64) float64 {
	best := 0.0
	for range 5 {
		done := make([]float64, threads)
		var group sync.WaitGroup
		started := time.Now()
		for thread := range threads {
			group.Go(func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				for done[thread] == 0 || time.Since(started) < trial {
					done[thread] += work(thread)
				}
			})
		}
		group.Wait()
		seconds, sum := time.Since(started).Seconds(), 0.0
		for _, amount := range done {
			sum += amount
		}
		best = max(best, sum/seconds)
	}
	return best
}
