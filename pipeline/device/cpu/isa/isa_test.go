package isa

import (
	"runtime"
	"testing"
)

func TestDescribe(t *testing.T) {
	for convolution, want := range map[string]string{"winograd": "cpu float32 avx2 threads=3", "direct": "cpu float32 direct avx2 threads=3"} {
		if got := AVX2.Describe(3, "float32", convolution); got != want {
			t.Errorf("Describe: %q", got)
		}
	}
	if Threads(0) != runtime.NumCPU() {
		t.Errorf("Threads(0) = %d", Threads(0))
	}
	if block := Detect().Block(); block != 8 && block != 16 {
		t.Errorf("block of %d channels", block)
	}
}
