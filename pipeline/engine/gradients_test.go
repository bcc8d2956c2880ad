package engine

import (
	"math"
	"math/rand/v2"
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/reference"
	"catdog/pipeline/network"
)

// entropy is the mean softmax cross-entropy in float64.
func entropy(logits, targets []float32, classes int) float64 {
	total := 0.0
	for n := 0; n < len(logits); n += classes {
		sum := 0.0
		for _, v := range logits[n : n+classes] {
			sum += math.Exp(float64(v))
		}
		for c := range classes {
			total -= float64(targets[n+c]) * (float64(logits[n+c]) - math.Log(sum))
		}
	}
	return total / float64(len(logits)/classes)
}

// Every parameter's gradient, by gorgonia's differentiation through the whole
// network, against central differences of the loss on the reference device.
// Plain gradient descent with rate 1 gives the gradient as the difference of
// the weights. The tolerance, for the norm over an array's (sampled) elements,
// is 1 % and, since a loss is the float64 sum of float32 logits and is divided
// by 2·h, 5e-4. A larger h would meet more kinks of ReLUs and maxima.
func TestGradientsAreFiniteDifferences(t *testing.T) {
	eachDevice(t, func(t *testing.T, d device.Device) {
		for name, n := range networks() {
			t.Run(name, func(t *testing.T) { finiteDifferences(t, n, d) })
		}
	})
}

func finiteDifferences(t *testing.T, n *network.Description, d device.Device) {
	const h = 2e-4
	sgd := Options{Batch: 3, Optimizer: "sgd"}
	tested, loss := build(t, n, d, sgd), build(t, n, reference.New(), sgd)
	start := initial(n)
	images, targets := batch(n, 3, 1)

	set(t, tested, start)
	if _, _, err := tested.Step(1, 9, 1, images, targets); err != nil {
		t.Fatal(err)
	}
	moved := weightsOf(t, tested, Raw)
	lossAt := func() float64 {
		set(t, loss, start)
		_, logits, err := loss.Step(1, 9, 0, images, targets)
		if err != nil {
			t.Fatal(err)
		}
		return entropy(logits, targets, len(n.Classes))
	}
	random := rand.New(rand.NewPCG(1, 1))
	for i, p := range n.Parameters() {
		if !p.Role.Learnt() {
			continue
		}
		// Many elements are too slow one by one: a sample of them.
		difference, norm := 0.0, 0.0
		for _, j := range random.Perm(p.Elements())[:min(p.Elements(), 12)] {
			value := start[i].Values[j]
			start[i].Values[j] = value + h
			up, above := float64(start[i].Values[j]), lossAt()
			start[i].Values[j] = value - h
			down, below := float64(start[i].Values[j]), lossAt()
			start[i].Values[j] = value
			numeric := (above - below) / (up - down)
			symbolic := float64(value) - float64(moved[i].Values[j])
			difference += (numeric - symbolic) * (numeric - symbolic)
			norm += numeric * numeric
		}
		if e := math.Sqrt(difference); e > 0.01*math.Sqrt(norm)+5e-4 {
			t.Errorf("%s: gradients differ by %.2g of %.2g", p.Name, e, math.Sqrt(norm))
		}
	}
}
