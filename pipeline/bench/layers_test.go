package bench

import (
	"testing"
	"time"

	"catdog/pipeline/device/cpu"
	"catdog/pipeline/network"
	"catdog/pipeline/params"
)

// Each operation runs, and together they are the whole step: a forward pass
// and, but for the first layer's input, two gradients of every layer.
func TestOperations(t *testing.T) {
	description, err := network.New(params.Network{
		Height: 12, Width: 12, Channels: []int{8, 16}, Residuals: []int{0, 2}, Pools: []int{2, 1}, Head: "average", Dropout: 0.5,
	}, classes)
	if err != nil {
		t.Fatal(err)
	}
	d, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const batch = 2
	all, err := operations(d, description, batch)
	if err != nil {
		t.Fatal(err)
	}
	sum, calls := 0.0, 0
	for _, o := range all {
		if seconds, err := timed(d, o.run, time.Nanosecond); err != nil || seconds <= 0 {
			t.Errorf("%s: %g s, %v", o.name, seconds, err)
		}
		sum += float64(o.count) * o.multiplyAdds
		calls += o.count
	}
	if want := float64(batch * (3*description.MultiplyAdds() - description.Layers[0].MultiplyAdds())); sum != want {
		t.Errorf("%g multiply-adds in a step, want %g", sum, want)
	}
	// Six convolutions, six normalisations, pool, dropout, dense layer with
	// loss, optimiser.
	if want := 6*3 - 1 + 6*2 + 2 + 2 + 3 + 1; calls != want {
		t.Errorf("%d operations, want %d", calls, want)
	}
}

func TestPeak(t *testing.T) {
	if p := measurePeak(1, time.Millisecond); p.multiplyAdds < 1e6 || p.bytes < 1e6 {
		t.Errorf("%+v a second", p)
	}
}
