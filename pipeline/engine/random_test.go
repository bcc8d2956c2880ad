package engine

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"catdog/pipeline/device/reference"
	"catdog/pipeline/network"
)

// drawNetwork draws a chain of all kinds of layers on a small odd input.
func drawNetwork(random *rand.Rand) *network.Description {
	between := func(low, high int) int { return low + random.IntN(high-low+1) }
	b := newBoard(between(3, 8), between(3, 8), 2)
	b.block(between(1, 4), 1)
	for range between(0, 5) {
		// Statistics of fewer than 2×2 positions would make the loss too curved
		// for differences.
		out := b.Output()
		pool := between(1, max(1, min(3, out.Height/2, out.Width/2)))
		channels := between(1, 4)
		switch random.IntN(6) {
		case 0:
			b.block(channels, pool)
		case 1:
			b.residual()
		case 2:
			b.convolution(channels, 1, 1, 0)
			b.normalization(false, pool, -1)
		case 3:
			stride := 1 + min(1, out.Height/4, out.Width/4)
			b.convolution(channels, 3, stride, 1)
			b.normalization(true, 1, -1)
		case 4:
			b.normalization(true, pool, -1)
		case 5:
			b.dropout(0.2)
		}
	}
	if random.IntN(2) == 0 {
		b.globalPool(random.IntN(2) == 0)
	}
	b.dense()
	return &b.Description
}

// Whatever the network, buffers that values share do not spoil its gradients:
// moving an array's weights along their gradient changes the loss by the
// gradient's norm. A move that meets kinks is tried again smaller; what
// remains of them and of float32 spoils digits, a wrong buffer spoils them all.
func TestGradientsOfRandomNetworks(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	for range 60 {
		slopesAreNorms(t, drawNetwork(random))
	}
}

func slopesAreNorms(t *testing.T, n *network.Description) {
	const size = 4
	m := build(t, n, reference.New(), Options{Batch: size, Optimizer: "sgd"})
	images, targets := batch(n, size, 1)
	start := initial(n)
	lossAt := func(tensors []Tensor, rate float32) float64 {
		set(t, m, tensors)
		_, logits, err := m.Step(1, 9, rate, images, targets)
		if err != nil {
			t.Fatal(err)
		}
		return entropy(logits, targets, 2)
	}
	lossAt(start, 1)
	moved := weightsOf(t, m, Raw)
	for i, p := range n.Parameters() {
		norm := 0.0
		for j, v := range start[i].Values {
			norm += math.Pow(float64(v-moved[i].Values[j]), 2)
		}
		if norm = math.Sqrt(norm); norm < 2e-2 || !p.Role.Learnt() {
			continue // too small for differences of float32 losses
		}
		along := func(distance float64) []Tensor {
			tensors := slices.Clone(start)
			tensors[i].Values = slices.Clone(start[i].Values)
			for j, v := range start[i].Values {
				tensors[i].Values[j] = v + float32(distance*float64(v-moved[i].Values[j])/norm)
			}
			return tensors
		}
		slope, right := 0.0, false
		for h := 2e-3; h > 1e-4 && !right; h /= 4 {
			slope = (lossAt(along(h), 0) - lossAt(along(-h), 0)) / (2 * h)
			right = math.Abs(slope-norm) <= 0.1*norm+2e-3
		}
		if !right {
			t.Errorf("%s: the loss rises by %.4g, its gradient's norm is %.4g in\n%s", p.Name, slope, norm, kinds(n))
		}
	}
}

func kinds(n *network.Description) string {
	var lines []string
	for _, l := range n.Layers {
		lines = append(lines, string(l.Kind)+" "+l.Out.String())
	}
	return strings.Join(lines, "\n")
}
