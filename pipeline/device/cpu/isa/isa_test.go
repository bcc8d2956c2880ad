package isa

import (
	"runtime"
	"testing"

	"golang.org/x/sys/cpu"
)

func TestPrecision(t *testing.T) {
	want := "float32"
	if cpu.X86.HasAMXTile && cpu.X86.HasAMXBF16 {
		want = BFloat16
	}
	for asked, want := range map[string]string{"auto": want, "float32": "float32", BFloat16: BFloat16} {
		if got := Precision(asked); got != want {
			t.Errorf("Precision(%s) = %s, want %s", asked, got, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	for asked, want := range map[[2]string]string{
		{"float32", Winograd}: "cpu float32 avx2",
		{"float32", Direct}:   "cpu float32 direct avx2 threads=3",
		{BFloat16, Winograd}:  "cpu bfloat16 avx2 threads=3",
	} {
		if got := AVX2.Describe(3, asked[0], asked[1]); got != want {
			t.Errorf("Describe(%s) = %q, want %q", asked, got, want)
		}
	}
	if Threads(0) != runtime.NumCPU() {
		t.Errorf("Threads(0) = %d", Threads(0))
	}
}
