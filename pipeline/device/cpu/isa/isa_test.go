package isa

import (
	"runtime"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	if got, prefix := Describe(3, "float32"), "cpu float32 "; !strings.HasPrefix(got, prefix) || !strings.HasSuffix(got, " threads=3") {
		t.Errorf("Describe: %q", got)
	}
	if Threads(0) != runtime.NumCPU() {
		t.Errorf("Threads(0) = %d", Threads(0))
	}
	if block := Detect().Block(); block != 8 && block != 16 {
		t.Errorf("block of %d channels", block)
	}
}
