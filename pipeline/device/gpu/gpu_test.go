//go:build gpu

package gpu

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/devicetest"
	"catdog/pipeline/device/gpu/cudnn"
)

// OpenForTest is open, for the tests outside of the package.
var OpenForTest = open

// open is the machine's GPU, or the stand-in where LD_LIBRARY_PATH has one.
func open(t *testing.T, o Options) *Device {
	t.Helper()
	if _, err := Describe(o); err != nil {
		t.Skip(err)
	}
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestConformance(t *testing.T) {
	for _, own := range []bool{false, true} {
		for precision, conform := range map[string]func(*testing.T, device.Device){
			"float32":  func(t *testing.T, d device.Device) { devicetest.Conform(t, d, 1e-5) },
			"bfloat16": func(t *testing.T, d device.Device) { devicetest.ConformBFloat16(t, d, devicetest.BFloat16Tolerance) },
		} {
			t.Run(fmt.Sprintf("%s own convolutions %t", precision, own), func(t *testing.T) {
				d := open(t, Options{Precision: precision, OwnConvolutions: own})
				t.Log(d.Describe())
				conform(t, d)
			})
		}
	}
}

// Where cuDNN does not add a gradient to what is there, a kernel of ours does.
func TestConformanceWithoutCuDNNsSums(t *testing.T) {
	t.Setenv("STANDIN_CUDNN_ADDS", "0")
	devicetest.ConformBFloat16(t, open(t, Options{Precision: "bfloat16"}), devicetest.BFloat16Tolerance)
}

// Upload rounds as the kernels do.
func TestBFloat16RoundsToNearestEven(t *testing.T) {
	for in, want := range map[uint32]uint16{
		0x3f800000: 0x3f80, 0x3f808000: 0x3f80, 0x3f818000: 0x3f82, 0x3f808001: 0x3f81, 0xff7fffff: 0xff80, 1: 0, 0x7f800001: 0x7fff,
	} {
		if got := half(math.Float32frombits(in)); got != want {
			t.Errorf("%x becomes %x, want %x", in, got, want)
		}
	}
}

func TestOutOfMemorySaysHowMuch(t *testing.T) {
	d := open(t, Options{Precision: "bfloat16"})
	if _, err := d.NewVector(1 << 42); !errors.As(err, new(*device.OutOfMemory)) {
		t.Errorf("16 TB: %v", err)
	}
	if v, err := d.NewVector(16); err != nil || v.Len() != 16 {
		t.Errorf("after that, a small vector: %v", err)
	}
}

// Each operation gets a deterministic algorithm, under the key by which the
// table is asked.
func TestTuneChoosesAnAlgorithmForEachOperation(t *testing.T) {
	d := open(t, Options{Precision: "bfloat16"})
	choices, err := d.Tune(device.ConvolutionSpec{Batch: 2, Height: 6, Width: 5, In: 3, Out: 16, Kernel: 3, Stride: 1, Padding: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(choices) != len(cudnn.Operations) {
		t.Fatalf("%d choices", len(choices))
	}
	for i, o := range cudnn.Operations {
		shape := cudnn.Shape{Batch: 2, Height: 6, Width: 5, In: 8, Out: 16, Kernel: 3, Stride: 1, Padding: 1, BFloat16: true}
		if want := cudnn.Row(d.capability, shape, o); !slices.Equal(choices[i].Row, want) {
			t.Errorf("row %v, want %v", choices[i].Row, want)
		}
		if !slices.Contains(o.Deterministic(), choices[i].Algorithm) {
			t.Errorf("%v: algorithm %d (%s)", o, choices[i].Algorithm, choices[i].Times)
		}
	}
}
