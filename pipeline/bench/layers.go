package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu"
	"catdog/pipeline/network"
)

var layersPart = part{
	name: "layers", title: "Layer by layer",
	about: "Milliseconds that the operations of one training step take, each by itself, repeated with the data that it left in the caches; layers of one shape are counted together. " +
		"The peer is oneDNN, for the convolutions behind the first, in the same layouts: its Winograd convolutions where it has them (before version 3, with AVX-512), else direct ones. " +
		"*Of peak* is how many multiply-adds a second that is, of those that the processors can do together, measured in the same run; they are counted as a direct convolution needs them, and Winograd's F(4×4, 3×3) gets by with a quarter, so that more than 100 % is possible. " +
		"*Of bandwidth* is how many bytes a second go through memory, if each number that is read or written goes once, of what copying a long array reaches; what fits the caches can have more than 100 %.",
	measure: measureLayers,
}

// An operation is a part of a step on a device.
type operation struct {
	name         string
	count        int     // in a step
	multiplyAdds float64 // each, as a direct convolution's
	bytes        float64 // each, read or written
	peer         bool    // oneDNN is asked for it
	run          func() error
}

func measureLayers(s *session) (rows []Row, err error) {
	trial := 30 * time.Millisecond
	if s.Quick {
		trial = time.Microsecond
	}
	own, err := cpu.New(cpu.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	theirs, err := cpu.New(cpu.Options{Winograd: cpu.OneDNN})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, theirs.Close()) }()

	s.versions["our device:"], s.versions["oneDNN's:"] = own.Describe(), theirs.Describe()
	most := measurePeak(own.(*cpu.Device).Threads(), trial)
	s.note("the processors together reach %.0f·10⁹ multiply-adds and %.1f·10⁹ bytes a second", most.multiplyAdds/1e9, most.bytes/1e9)
	for _, name := range []string{"four-blocks", "residual"} {
		s.Reporter.Say("measures the layers of network %s", name)
		of, err := s.measureLayersOf(workloads[name], own, theirs, most, trial)
		if err != nil {
			return nil, err
		}
		rows = append(rows, of...)
	}
	return rows, nil
}

func (s *session) measureLayersOf(load workload, own, theirs device.Device, most peak, trial time.Duration) ([]Row, error) {
	description, err := network.New(load.network, classes)
	if err != nil {
		return nil, err
	}
	batch := load.batch
	if s.Quick {
		batch = 4
	}
	ours, err := operations(own, description, batch)
	if err != nil {
		return nil, err
	}
	peers, err := operations(theirs, description, batch)
	if err != nil {
		return nil, err
	}
	ourTimes, peerTimes := make([]sample, len(ours)), make([]sample, len(ours))
	rounds := min(3, s.rounds())
	for range rounds {
		for i := range ours {
			if err := s.Err(); err != nil {
				return nil, err
			}
			seconds, err := timed(own, ours[i].run, trial)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", ours[i].name, err)
			}
			ourTimes[i] = append(ourTimes[i], 1000*seconds*float64(ours[i].count))
			if !ours[i].peer {
				continue
			}
			if seconds, err = timed(theirs, peers[i].run, trial); err != nil {
				return nil, fmt.Errorf("%s: %w", ours[i].name, err)
			}
			peerTimes[i] = append(peerTimes[i], 1000*seconds*float64(ours[i].count))
		}
	}
	var rows []Row
	total := make(sample, rounds)
	for i, o := range ours {
		name := load.label + ", " + o.name
		if o.count > 1 {
			name += fmt.Sprintf(", %d times", o.count)
		}
		row := alone(name, "ms", ourTimes[i])
		if o.peer {
			row = less(name, "ms", ourTimes[i], "oneDNN", peerTimes[i])
		}
		seconds := ourTimes[i].median() / 1000 / float64(o.count)
		row.OfPeak, row.OfBandwidth = digits(o.multiplyAdds/seconds/most.multiplyAdds), digits(o.bytes/seconds/most.bytes)
		rows = append(rows, row)
		for round := range total {
			total[round] += ourTimes[i][round]
		}
	}
	sum := alone(load.label+", sum of all", "ms", total)
	seconds := total.median() / 1000
	for _, o := range ours {
		sum.OfPeak += o.multiplyAdds * float64(o.count) / seconds / most.multiplyAdds
		sum.OfBandwidth += o.bytes * float64(o.count) / seconds / most.bytes
	}
	sum.OfPeak, sum.OfBandwidth = digits(sum.OfPeak), digits(sum.OfBandwidth)
	return append(rows, sum), nil
}

// timed repeats an operation for at least trial and returns the seconds that it
// takes once.
func timed(d device.Device, run func() error, trial time.Duration) (float64, error) {
	last, err := d.NewVector(0)
	if err != nil {
		return 0, err
	}
	for count := 1; ; count *= 2 {
		last.Download(nil)
		started := time.Now()
		for range count {
			if err := run(); err != nil {
				return 0, err
			}
		}
		last.Download(nil) // waits for them all
		if took := time.Since(started); took >= trial {
			return took.Seconds() / float64(count), nil
		}
	}
}

// A bank lends activations by shape and what they are for, so that layers share
// them.
type bank struct {
	device device.Device
	noise  []float32
	lent   map[string]device.Activation
	err    error
}

func (b *bank) activation(use string, batch int, s network.Shape) device.Activation {
	key := fmt.Sprint(use, batch, s)
	if a, ok := b.lent[key]; ok || b.err != nil {
		return a
	}
	a, err := b.device.NewActivation(batch, s.Height, s.Width, s.Channels)
	if err != nil {
		b.err = err
		return nil
	}
	a.Upload(b.noise[:batch*s.Elements()])
	b.lent[key] = a
	return a
}

// vector is a slice of the noise, scaled.
func (b *bank) vector(length int, deviation, mean float32) device.Vector {
	if b.err != nil {
		return nil
	}
	v, err := b.device.NewVector(length)
	if err != nil {
		b.err = err
		return nil
	}
	values := make([]float32, length)
	for i := range values {
		values[i] = b.noise[i%len(b.noise)]*deviation + mean
	}
	v.Upload(values)
	return v
}

// operations are those of a step of the network on a device, in the order of
// its layers; those of equal shapes once.
func operations(d device.Device, description *network.Description, batch int) ([]operation, error) {
	largest := description.Input.Elements()
	for _, l := range description.Layers {
		largest = max(largest, l.In.Elements(), l.Out.Elements())
	}
	b := &bank{device: d, noise: make([]float32, batch*largest), lent: map[string]device.Activation{}}
	random := rand.New(rand.NewPCG(6, 6))
	for i := range b.noise {
		b.noise[i] = float32(random.NormFloat64())
	}
	var all []operation
	add := func(o operation) {
		if i := slices.IndexFunc(all, func(other operation) bool { return other.name == o.name }); i >= 0 {
			all[i].count++
			return
		}
		o.count = 1
		all = append(all, o)
	}
	parameters := 0
	for i, l := range description.Layers {
		var err error
		learnt, _ := description.Count(i)
		parameters += learnt
		switch l.Kind {
		case network.Convolution:
			err = b.convolution(l, batch, i == 0, add)
		case network.Normalization:
			err = b.normalization(l, batch, add)
		case network.GlobalPool:
			err = b.globalPool(l, batch, add)
		case network.Dropout:
			err = b.dropout(l, batch, add)
		case network.Dense:
			err = b.dense(l, batch, add)
		}
		if err = errors.Join(err, b.err); err != nil {
			return nil, fmt.Errorf("layer %s: %w", l.Name, err)
		}
	}
	return all, errors.Join(b.optimizer(parameters, add), b.err)
}

// bytesOf is the size of so many float32 numbers.
func bytesOf(elements ...int) float64 {
	sum := 0
	for _, n := range elements {
		sum += 4 * n
	}
	return float64(sum)
}

func (b *bank) convolution(l network.Layer, batch int, first bool, add func(operation)) error {
	op, err := b.device.NewConvolution(device.ConvolutionSpec{
		Batch: batch, Height: l.In.Height, Width: l.In.Width, In: l.In.Channels, Out: l.Out.Channels,
		Kernel: l.Kernel, Stride: l.Stride, Padding: l.Padding, NoInputGradient: first,
	})
	if err != nil {
		return err
	}
	x, dx := b.activation("x", batch, l.In), b.activation("dx", batch, l.In)
	y := b.activation("convolved", batch, l.Out)
	w, dw := b.vector(op.WeightsLen(), 0.05, 0), b.vector(op.WeightsLen(), 0, 0)
	if b.err != nil {
		return nil
	}
	name := fmt.Sprintf("convolution %d to %d, %d×%d, ", l.In.Channels, l.Out.Channels, l.In.Height, l.In.Width)
	work := float64(batch * l.MultiplyAdds())
	bytes := bytesOf(batch*l.In.Elements(), batch*l.Out.Elements(), l.Kernel*l.Kernel*l.In.Channels*l.Out.Channels)
	add(operation{name: name + "forward", multiplyAdds: work, bytes: bytes, peer: !first, run: func() error { return op.Forward(x, w, y) }})
	if !first {
		add(operation{name: name + "input's gradient", multiplyAdds: work, bytes: bytes, peer: true, run: func() error { return op.BackwardInput(y, w, nil, dx) }})
	}
	add(operation{name: name + "weights' gradient", multiplyAdds: work, bytes: bytes, peer: !first, run: func() error { return op.BackwardWeights(x, y, dw) }})
	// What comes next finds the output with its sums.
	return op.Forward(x, w, y)
}

func (b *bank) normalization(l network.Layer, batch int, add func(operation)) error {
	op, err := b.device.NewNormalization(device.NormalizationSpec{
		Batch: batch, Height: l.In.Height, Width: l.In.Width, Channels: l.In.Channels,
		ReLU: l.ReLU, Pool: l.Pool, Skip: l.Skip >= 0, Epsilon: 1e-5, Momentum: 0.9,
	})
	if err != nil {
		return err
	}
	x, y, dy := b.activation("convolved", batch, l.In), b.activation("normalised", batch, l.Out), b.activation("dy", batch, l.Out)
	dx := b.activation("dx", batch, l.In)
	var skip device.Activation
	name := fmt.Sprintf("normalisation of %d, %d×%d, ", l.In.Channels, l.In.Height, l.In.Width)
	forward := bytesOf(batch*l.In.Elements(), batch*l.Out.Elements())
	if l.Pool > 1 {
		name += fmt.Sprintf("pooling by %d, ", l.Pool)
	}
	if l.Skip >= 0 {
		name += "with a skip connection, "
		skip = b.activation("skip", batch, l.Out)
		forward += bytesOf(batch * l.Out.Elements())
	}
	length := op.ParameterLen()
	scale, shift, mean, variance := b.vector(length, 0.1, 1), b.vector(length, 0.1, 0), b.vector(length, 0, 0), b.vector(length, 0, 1)
	dscale, dshift := b.vector(length, 0, 0), b.vector(length, 0, 0)
	if b.err != nil {
		return nil
	}
	add(operation{name: name + "forward", bytes: forward, run: func() error { return op.Forward(x, scale, shift, mean, variance, skip, y) }})
	add(operation{name: name + "backward", bytes: bytesOf(2*batch*l.In.Elements(), batch*l.Out.Elements()), run: func() error {
		return op.Backward(x, y, dy, scale, shift, dx, dscale, dshift)
	}})
	return op.Forward(x, scale, shift, mean, variance, skip, y)
}

func (b *bank) globalPool(l network.Layer, batch int, add func(operation)) error {
	op, err := b.device.NewGlobalPool(device.GlobalPoolSpec{Batch: batch, Height: l.In.Height, Width: l.In.Width, Channels: l.In.Channels, Average: l.Average})
	if err != nil {
		return err
	}
	x, y, dx := b.activation("x", batch, l.In), b.activation("pooled", batch, l.Out), b.activation("dx", batch, l.In)
	add(operation{name: "global pool, forward", bytes: bytesOf(batch * l.In.Elements()), run: func() error { return op.Forward(x, y) }})
	add(operation{name: "global pool, backward", bytes: bytesOf(2 * batch * l.In.Elements()), run: func() error { return op.Backward(x, y, y, dx) }})
	return nil
}

func (b *bank) dropout(l network.Layer, batch int, add func(operation)) error {
	op, err := b.device.NewDropout(device.DropoutSpec{Batch: batch, Height: l.In.Height, Width: l.In.Width, Channels: l.In.Channels, Rate: l.Rate})
	if err != nil {
		return err
	}
	x, y := b.activation("x", batch, l.In), b.activation("dropped", batch, l.Out)
	both := bytesOf(2 * batch * l.In.Elements())
	add(operation{name: "dropout, forward", bytes: both, run: func() error { return op.Forward(1, x, y) }})
	add(operation{name: "dropout, backward", bytes: both, run: func() error { return op.Backward(1, x, y) }})
	return nil
}

func (b *bank) dense(l network.Layer, batch int, add func(operation)) error {
	out := l.Out.Channels
	op, err := b.device.NewDense(device.DenseSpec{Batch: batch, Height: l.In.Height, Width: l.In.Width, Channels: l.In.Channels, Out: out})
	if err != nil {
		return err
	}
	loss, err := b.device.NewCrossEntropy(device.CrossEntropySpec{Batch: batch, Classes: out})
	if err != nil {
		return err
	}
	x, dx := b.activation("x", batch, l.In), b.activation("dx", batch, l.In)
	w, dw := b.vector(op.WeightsLen(), 0.01, 0), b.vector(op.WeightsLen(), 0, 0)
	bias, dbias := b.vector(device.Alignment, 0, 0), b.vector(device.Alignment, 0, 0)
	logits, targets, dlogits := b.vector(batch*out, 1, 0), b.vector(batch*out, 0, 1/float32(out)), b.vector(batch*out, 0, 0)
	if b.err != nil {
		return nil
	}
	work := float64(batch * l.MultiplyAdds())
	add(operation{name: "dense layer, forward", multiplyAdds: work, bytes: bytesOf(batch*l.In.Elements(), l.In.Elements()*out), run: func() error { return op.Forward(x, w, bias, logits) }})
	add(operation{name: "loss and its gradient", run: func() error {
		if _, err := loss.Loss(logits, targets); err != nil {
			return err
		}
		return loss.Backward(logits, targets, dlogits)
	}})
	add(operation{name: "dense layer, backward", multiplyAdds: 2 * work, bytes: bytesOf(2*batch*l.In.Elements(), 2*l.In.Elements()*out), run: func() error { return op.Backward(x, w, dlogits, dx, dw, dbias) }})
	return nil
}

func (b *bank) optimizer(parameters int, add func(operation)) error {
	length := (parameters + device.Alignment - 1) / device.Alignment * device.Alignment
	op, err := b.device.NewOptimizer(device.OptimizerSpec{Name: "sgd", Length: length, Momentum: momentum, Decayed: make([]bool, length/device.Alignment)})
	if err != nil {
		return err
	}
	weights, gradients := b.vector(length, 0.05, 0), b.vector(length, 1e-3, 0)
	add(operation{name: "optimiser", bytes: bytesOf(5 * parameters), run: func() error { return op.Step(1, learningRate, weights, gradients) }})
	return nil
}
