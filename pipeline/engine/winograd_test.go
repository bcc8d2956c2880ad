package engine

import (
	"math"
	"math/rand/v2"
	"testing"

	"catdog/pipeline/device/cpu"
	"catdog/pipeline/network"
	"catdog/pipeline/weights"
)

// Winograd's convolutions and direct ones lead a trained network the same way:
// the gradients of a batch differ by rounding, which here and there makes a ReLU
// or a maximum choose otherwise.
func TestWinogradLeadsTheSameWay(t *testing.T) {
	n, err := network.New(network.Residual(), []string{"cat", "dog"})
	if err != nil {
		t.Fatal(err)
	}
	trained, _, err := weights.Read("../../models/published/dogs-vs-cats/best.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	const batch = 16
	images, targets := waves(batch, n.Input.Height, n.Input.Width), make([]float32, 2*batch)
	for i := range batch {
		targets[2*i+i%2] = 1
	}
	// What a step of plain gradient descent with a learning rate of 1 leaves.
	after := func(winograd string) []Tensor {
		d, err := cpu.New(cpu.Options{Winograd: winograd})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		m, err := New(n, d, Options{Batch: batch, Optimizer: "sgd"})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		set(t, m.(*Machine), trained)
		if _, _, err := m.Step(1, 1, 1, images, targets); err != nil {
			t.Fatal(err)
		}
		return weightsOf(t, m, Raw)
	}
	ours, direct := after(""), after(cpu.Never)
	var difference, norm float64
	for i, from := range trained {
		for j, w := range from.Values {
			a, b := float64(ours[i].Values[j]-w), float64(direct[i].Values[j]-w)
			difference += (a - b) * (a - b)
			norm += b * b
		}
	}
	off := math.Sqrt(difference / norm)
	t.Logf("gradients differ by %.1e of their norm", off)
	if off == 0 || off > 1e-3 {
		t.Error("rounding alone makes another difference")
	}
}

// waves are images of a few random waves each, about as smooth as photos.
func waves(count, height, width int) []float32 {
	random := rand.New(rand.NewPCG(3, 4))
	values := make([]float32, count*height*width*3)
	for i := range count {
		for channel := range 3 {
			for range 6 {
				a, b, phase := 0.5*random.NormFloat64(), 0.5*random.NormFloat64(), 6*random.Float64()
				for y := range height {
					for x := range width {
						values[((i*height+y)*width+x)*3+channel] += float32(0.6 * math.Sin(a*float64(y)+b*float64(x)+phase))
					}
				}
			}
		}
	}
	return values
}
