//go:build gpu

package gpu

import (
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/devicetest"
	"catdog/pipeline/device/gpu/driver"
)

// open is the machine's GPU, or the stand-in where LD_LIBRARY_PATH has one.
func open(t *testing.T) *Device {
	t.Helper()
	if _, err := Describe(); err != nil {
		t.Skip(err)
	}
	d, err := New()
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
	d := open(t)
	t.Log(d.Describe())
	devicetest.Conform(t, d, 1e-5)
}

// A captured operation gives the same bits when it is replayed.
func TestGraphReplaysTheSameBits(t *testing.T) {
	d := open(t)
	drop, err := d.NewDropout(device.DropoutSpec{Batch: 3, Height: 5, Width: 4, Channels: 7, Rate: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	x, _ := d.NewActivation(3, 5, 4, 7)
	y, _ := d.NewActivation(3, 5, 4, 7)
	values, want, got := make([]float32, 3*5*4*7), make([]float32, 3*5*4*7), make([]float32, 3*5*4*7)
	for i := range values {
		values[i] = float32(i)
	}
	x.Upload(values)
	if err := drop.Forward(9, x, y); err != nil {
		t.Fatal(err)
	}
	y.Download(want)
	keys := device.DropoutKeys(9)
	kernel := over(len(values), "dropout", x.(*activation).data, y.(*activation).data,
		uint64(len(values)), keys[0], keys[1], device.DropoutThreshold(0.5), float32(0.5))
	var graph *driver.Graph
	if err := d.do(func() (err error) {
		graph, err = driver.Capture(d.stream, func() error { return d.launch(kernel) })
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		y.Upload(values)
		if err := d.do(func() error { return graph.Launch(d.stream) }); err != nil {
			t.Fatal(err)
		}
		y.Download(got)
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("element %d is %g after a replay, %g before", i, got[i], want[i])
			}
		}
	}
	if err := d.do(graph.Close); err != nil {
		t.Error(err)
	}
}

func TestOutOfMemorySaysHowMuch(t *testing.T) {
	d := open(t)
	if _, err := d.NewVector(1 << 42); err == nil {
		t.Error("16 TB were allocated")
	} else {
		t.Log(err)
	}
	if v, err := d.NewVector(16); err != nil || v.Len() != 16 {
		t.Errorf("after that, a small vector: %v", err)
	}
}
