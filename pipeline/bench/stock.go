package bench

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// newStockTraining trains a network without residuals and with a flat head by
// gorgonia's own operations, solver and tape machine, in NCHW as they want it.
// Dropout is left out: the stock one panics on a tape machine.
func newStockTraining(a assignment) (*work, error) {
	load, err := a.workload()
	if err != nil {
		return nil, err
	}
	graph := gorgonia.NewGraph()
	height, width, channels := load.network.Height, load.network.Width, 3
	input := gorgonia.NewTensor(graph, gorgonia.Float32, 4, gorgonia.WithShape(load.batch, channels, height, width), gorgonia.WithName("images"))
	targets := gorgonia.NewMatrix(graph, gorgonia.Float32, gorgonia.WithShape(load.batch, len(classes)), gorgonia.WithName("targets"))
	parameter := func(name string, shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(graph, gorgonia.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithInit(gorgonia.GlorotN(1)))
	}
	constant := func(name string, value float32, shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(graph, gorgonia.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithInit(gorgonia.ValuesOf(value)))
	}

	var learnt gorgonia.Nodes
	x := input
	for i, out := range load.network.Channels {
		name := fmt.Sprintf("block%d.", i+1)
		weight := parameter(name+"weight", out, channels, 3, 3)
		scale := constant(name+"scale", 1, 1, out, 1, 1)
		shift := constant(name+"shift", 0, 1, out, 1, 1)
		learnt = append(learnt, weight, scale, shift)
		if x, err = gorgonia.Conv2d(x, weight, tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}); err != nil {
			return nil, err
		}
		if x, _, _, _, err = gorgonia.BatchNorm(x, scale, shift, momentum, 1e-5); err != nil {
			return nil, err
		}
		if x, err = gorgonia.Rectify(x); err != nil {
			return nil, err
		}
		pool := load.network.Pools[i]
		if x, err = gorgonia.MaxPool2D(x, tensor.Shape{pool, pool}, []int{0, 0}, []int{pool, pool}); err != nil {
			return nil, err
		}
		height, width, channels = height/pool, width/pool, out
	}
	flat := height * width * channels
	if x, err = gorgonia.Reshape(x, tensor.Shape{load.batch, flat}); err != nil {
		return nil, err
	}
	weight := parameter("dense.weight", flat, len(classes))
	bias := constant("dense.bias", 0, 1, len(classes))
	learnt = append(learnt, weight, bias)
	if x, err = gorgonia.Mul(x, weight); err != nil {
		return nil, err
	}
	if x, err = gorgonia.BroadcastAdd(x, bias, nil, []byte{0}); err != nil {
		return nil, err
	}
	if x, err = gorgonia.LogSoftMax(x); err != nil {
		return nil, err
	}
	if x, err = gorgonia.HadamardProd(x, targets); err != nil {
		return nil, err
	}
	if x, err = gorgonia.Mean(x); err != nil {
		return nil, err
	}
	cost, err := gorgonia.Neg(x)
	if err != nil {
		return nil, err
	}
	if _, err := gorgonia.Grad(cost, learnt...); err != nil {
		return nil, err
	}

	machine := gorgonia.NewTapeMachine(graph, gorgonia.BindDualValues(learnt...))
	solver := gorgonia.NewMomentum(gorgonia.WithLearnRate(learningRate), gorgonia.WithMomentum(momentum))
	images, wanted := randomBatch(load)
	if err := gorgonia.Let(input, tensor.New(tensor.WithShape(input.Shape()...), tensor.WithBacking(images))); err != nil {
		return nil, err
	}
	if err := gorgonia.Let(targets, tensor.New(tensor.WithShape(targets.Shape()...), tensor.WithBacking(wanted))); err != nil {
		return nil, err
	}
	w := &work{close: machine.Close, unit: func() (float64, error) {
		if err := machine.RunAll(); err != nil {
			return 0, err
		}
		if err := solver.Step(gorgonia.NodesToValueGrads(learnt)); err != nil {
			return 0, err
		}
		machine.Reset()
		return float64(load.batch), nil
	}}
	return w, w.warm(1) // steps of seconds
}
