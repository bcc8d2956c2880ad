package op

import (
	"math"
	"testing"

	"gorgonia.org/gorgonia"

	"catdog/pipeline/device"
)

// The dense layer with the loss behind it, whose stock form is put together
// from matrix product, softmax and logarithm.
func TestDenseAndCrossEntropy(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Device) {
		const n, h, w, c, out = 3, 2, 3, 5, 4
		const in = h * w * c
		x, weights, biases := numbers(1, n*in), numbers(2, out*in), numbers(3, out)
		targets := make([]float32, n*out)
		for i := range targets {
			targets[i] = 0.05
			if i%out == i/out {
				targets[i] = 0.85
			}
		}

		s, node := newStock(t), must[*gorgonia.Node](t)
		sx, sw, sb := s.input("x", x, nil, n, in), s.input("w", weights, nil, out, in), s.input("b", biases, nil, 1, out)
		product := node(gorgonia.Mul(sx, node(gorgonia.Transpose(sw, 1, 0))))
		slogits := node(gorgonia.BroadcastAdd(product, sb, nil, []byte{0}))
		terms := node(gorgonia.HadamardProd(node(gorgonia.Log(node(gorgonia.SoftMax(slogits)))), s.input("targets", targets, nil, n, out)))
		scost := node(gorgonia.Neg(node(gorgonia.Div(node(gorgonia.Sum(terms)), gorgonia.NewConstant(float64(n))))))
		want := must[gorgonia.Nodes](t)(gorgonia.Grad(scost, sx, sw, sb))
		vm := gorgonia.NewTapeMachine(s.ExprGraph)
		defer vm.Close()
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}

		r := newRig(t, d)
		spec := device.DenseSpec{Batch: n, Height: h, Width: w, Channels: c, Out: out}
		op := must[device.Dense](t)(d.NewDense(spec))
		lossSpec := device.CrossEntropySpec{Batch: n, Classes: out}
		loss := must[device.CrossEntropy](t)(d.NewCrossEntropy(lossSpec))
		rx, rw, rb := r.activation("x", x, n, h, w, c), r.imported("w", weights, op.WeightsLen(), op, out, in), r.plain("b", biases)
		rtargets := must[device.Vector](t)(d.NewVector(n * out))
		rtargets.Upload(targets)
		logits := node(r.Dense("d", spec, op, rx, rw, rb))
		cost := node(r.CrossEntropy(lossSpec, loss, logits, r.Input("targets", NewVector(rtargets, n, out))))
		got := must[gorgonia.Nodes](t)(gorgonia.Grad(cost, rx, rw.Node, rb.Node))
		r.run()

		same(t, "logits", data(logits.Value()), slogits.Value(), nil)
		if got, want := float64(cost.Value().Data().(float32)), scost.Value().Data().(float64); math.Abs(got-want) > tolerance*want {
			t.Errorf("loss %g, gorgonia's own %g", got, want)
		}
		same(t, "input's gradient", data(got[0].Value()), want[0].Value(), nil)
		dw := make([]float32, len(weights))
		op.Export(got[1].Value().(*Vector).On, dw)
		same(t, "weights' gradient", dw, want[1].Value(), nil)
		same(t, "bias' gradient", data(got[2].Value())[:out], want[2].Value(), nil)
	})
}
