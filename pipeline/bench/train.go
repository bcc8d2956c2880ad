package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"

	"catdog/pipeline/augment"
	"catdog/pipeline/device/cpu"
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/engine"
	"catdog/pipeline/network"
	"catdog/pipeline/pack"
	"catdog/pipeline/params"
)

var trainPart = part{
	name: "train", title: "Training",
	about: "Images a second of whole training steps: forward, loss, backward, and the update by stochastic gradient descent with Nesterov momentum, in float32 on all cores, " +
		"of two networks on 64×64 pixels. *Four blocks*, batch 64: four times conv 3×3, batch norm, ReLU, 2×2 max pool, with 32, 64, 128 and 256 channels, then dropout and a dense layer. " +
		"*Residual*, batch 128, 1.94 million parameters: conv 32, pool, conv 64, pool, pair 64, conv 128, pool, pair 128, conv 256, pool, pair 256, global maximum, dense; a pair is x + two times conv, batch norm, ReLU. " +
		"Batches are ready in memory, except where augmentation is included: there ours also decides, crops, flips, brightens and normalises every image from a pack of 1,920 random ones, while the peer still gets ready batches. " +
		"PyTorch runs in three settings, all with a fused update: memory in channels-last order with the forward and backward pass compiled, channels-last alone, and plain; where one stands for all, it is the one that was fastest in this run. " +
		"gorgonia's stock operations run on its tape machine, with plain momentum, and without dropout, which panics there. " +
		"Memory is the peak of the whole process (resident) while it steps, after warming up. " +
		"Allocations a step are those of Go's heap for ours (oneDNN's and our kernels' buffers are made once) and those of tensors, as its profiler counts them, for PyTorch.",
	measure: measureTraining,
}

// A workload is a network with its batch.
type workload struct {
	label   string
	batch   int
	network params.Network
}

var workloads = map[string]workload{
	"four-blocks": {"four blocks", 64, network.FourBlocks()},
	"residual":    {"residual", 128, network.Residual()},
	smallResidual: {"residual, 32×32", 128, small(network.Residual())},
}

func small(n params.Network) params.Network {
	n.Height, n.Width = 32, 32
	return n
}

// The optimiser of all contenders.
const (
	learningRate = 1e-3
	momentum     = 0.9
)

var classes = []string{"cat", "dog"}

const (
	compiled     = "PyTorch, channels-last, compiled"
	channelsLast = "PyTorch, channels-last"
	plainTorch   = "PyTorch"
	stock        = "gorgonia's stock operations"
)

func measureTraining(s *session) ([]Row, error) {
	if err := s.needPython("peers", "requirements.txt"); err != nil {
		return nil, err
	}
	var rows []Row
	for _, name := range []string{"four-blocks", "residual"} {
		s.Reporter.Say("measures the training of network %s", name)
		of, err := s.measureWorkload(name)
		if err != nil {
			return nil, err
		}
		rows = append(rows, of...)
	}
	return rows, nil
}

// measureWorkload lets all contenders train one network.
func (s *session) measureWorkload(name string) (rows []Row, err error) {
	load := workloads[name]
	var all, slow []*contender
	defer func() { s.closeAll(append(all, slow...)) }()
	add := func(to *[]*contender, c *contender, err error) error {
		if err == nil {
			c.forgetPeak()
			*to = append(*to, c)
		}
		return err
	}
	begin := func(to *[]*contender, label string, a assignment) error {
		a.Network = name
		c, err := ours(s, label, a)
		return add(to, c, err)
	}
	beginTorch := func(label, setting string) error {
		c, err := s.python("peers", label, "train.py", name, setting)
		return add(&all, c, err)
	}
	begins := []func() error{
		func() error { return begin(&all, "ours", assignment{Kind: "train"}) },
		func() error { return beginTorch(compiled, "compiled") },
		func() error { return begin(&all, "ours with augmentation", assignment{Kind: "augment"}) },
		func() error { return beginTorch(channelsLast, "channels-last") },
		func() error { return beginTorch(plainTorch, "plain") },
		func() error { return begin(&all, "ours on one thread", assignment{Kind: "train", Threads: 1}) },
	}
	rounded := isa.Detect() == isa.AVX512 // as bfloat16 needs
	if rounded {
		begins = append(begins, func() error {
			return begin(&all, "ours in bfloat16", assignment{Kind: "train", Precision: isa.BFloat16})
		})
	}
	if name == "four-blocks" {
		begins = append(begins, func() error { return begin(&slow, stock, assignment{Kind: "gorgonia"}) })
	}
	for _, begin := range begins {
		if err := begin(); err != nil {
			return nil, err
		}
	}
	samples, err := rates(s, all, s.rounds(), s.longTurn())
	if err != nil {
		return nil, err
	}
	best := 1 // of PyTorch's settings
	for _, i := range []int{3, 4} {
		if samples[i].median() > samples[best].median() {
			best = i
		}
	}
	const unit = "images/s"
	label := load.label
	rows = append(rows,
		more(label, unit, samples[0], compiled, samples[1]),
		more(label, unit, samples[0], channelsLast, samples[3]),
		more(label, unit, samples[0], plainTorch, samples[4]),
		more(label+", augmentation included", unit, samples[2], all[best].name, samples[best]),
		more(label+", augmentation included", unit, samples[2], "ours, batches ready", samples[0]),
		more(label, unit, samples[0], "ours, one thread", samples[5]),
	)
	if rounded {
		rows = append(rows, more(label+", convolutions in bfloat16", unit, samples[6], "ours, float32", samples[0]))
	}
	if name == "four-blocks" {
		pair := []*contender{all[0], slow[0]}
		// A stock step takes seconds: fewer rounds are enough.
		stockSamples, err := rates(s, pair, min(3, s.rounds()), s.longTurn())
		if err != nil {
			return nil, err
		}
		rows = append(rows, more(label, unit, stockSamples[0], stock, stockSamples[1]))
	}
	torch := all[best]
	if one, other := all[0].peak(), torch.peak(); one > 0 && other > 0 {
		rows = append(rows, less(label+", peak memory", "MiB", sample{one}, torch.name, sample{other}))
		if len(slow) > 0 {
			rows = append(rows, less(label+", peak memory", "MiB", sample{one}, stock, sample{slow[0].peak()}))
		}
	}
	rows = append(rows,
		less(label+", allocations a step", "allocations", sample{all[0].Allocations}, torch.name, sample{torch.Allocations}),
		less(label+", allocated a step", "KiB", sample{all[0].AllocatedBytes / 1024}, torch.name, sample{torch.AllocatedBytes / 1024}),
	)
	if len(slow) > 0 {
		rows = append(rows,
			less(label+", allocations a step", "allocations", sample{all[0].Allocations}, stock, sample{slow[0].Allocations}),
			less(label+", allocated a step", "KiB", sample{all[0].AllocatedBytes / 1024}, stock, sample{slow[0].AllocatedBytes / 1024}),
		)
	}
	return rows, nil
}

// workload is the network that a contender shall train, with its batch.
func (a assignment) workload() (workload, error) {
	load, ok := workloads[a.Network]
	if !ok {
		return load, fmt.Errorf("no network is called %q", a.Network)
	}
	if a.Batch > 0 {
		load.batch = a.Batch
	}
	return load, nil
}

// newTrainer is the real engine with the network's first weights.
func newTrainer(a assignment) (engine.Trainer, workload, map[string]string, func() error, error) {
	load, err := a.workload()
	if err != nil {
		return nil, load, nil, nil, err
	}
	d, err := cpu.New(cpu.Options{Threads: a.Threads, Precision: a.Precision})
	if err != nil {
		return nil, load, nil, nil, err
	}
	description, err := network.New(load.network, classes)
	if err != nil {
		return nil, load, nil, nil, errors.Join(err, d.Close())
	}
	trainer, err := engine.New(description, d, engine.Options{Batch: load.batch, Optimizer: "sgd", Momentum: momentum})
	if err != nil {
		return nil, load, nil, nil, errors.Join(err, d.Close())
	}
	closeAll := func() error { return errors.Join(trainer.Close(), d.Close()) }
	if err := trainer.SetWeights(description.Initial(1)); err != nil {
		return nil, load, nil, nil, errors.Join(err, closeAll())
	}
	versions := map[string]string{}
	if a.Threads == 0 && a.Precision == "" {
		versions["our device:"] = d.Describe()
	}
	return trainer, load, versions, closeAll, nil
}

// newTraining steps with one batch that is ready in memory.
func newTraining(a assignment) (*work, error) {
	trainer, load, versions, closeAll, err := newTrainer(a)
	if err != nil {
		return nil, err
	}
	images, targets := randomBatch(load)
	number := 0
	w := &work{close: closeAll, unit: func() (float64, error) {
		number++
		_, _, err := trainer.Step(number, uint64(number), learningRate, images, targets)
		return float64(load.batch), err
	}}
	w.Versions = versions
	return w, w.warm(2)
}

// newAugmentedTraining steps with batches that are made from a pack meanwhile.
// Its unit is an epoch.
func newAugmentedTraining(a assignment) (*work, error) {
	trainer, load, _, closeAll, err := newTrainer(a)
	if err != nil {
		return nil, err
	}
	const (
		count  = 1920 // images; a small epoch, so what begins and ends one weighs more than usual
		stored = 72   // side in px
	)
	random := rand.New(rand.NewPCG(1, 1))
	pixels := make([]byte, count*stored*stored*3)
	for i := range pixels {
		pixels[i] = byte(random.Uint32())
	}
	images := make([]pack.Image, count)
	for i := range images {
		images[i] = pack.Image{Path: fmt.Sprint(i), Class: i % len(classes), Pixels: pixels[i*stored*stored*3:][:stored*stored*3]}
	}
	source, err := augment.New(images, augment.Options{
		Height: stored, Width: stored, InputHeight: load.network.Height, InputWidth: load.network.Width,
		Classes: len(classes), Batch: load.batch, Seed: 1,
		Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.25, 0.25, 0.25},
		Augment: usualAugmentation,
	})
	if err != nil {
		return nil, errors.Join(err, closeAll())
	}
	number, epoch := 0, 0
	w := &work{close: closeAll, unit: func() (float64, error) {
		epoch++
		err := source.Epoch(context.Background(), epoch, 0, func(_ int, images, targets []float32) error {
			number++
			_, _, err := trainer.Step(number, uint64(number), learningRate, images, targets)
			return err
		})
		return float64(source.Steps() * load.batch), err
	}}
	_, err = w.unit() // to reach the steady state
	return w, err
}

// warm does so many units of work, to reach the steady state, and counts what
// Go's heap allocates for each of as many more. It counts three times and takes
// the least, since Go allocates for a new thread of its own now and then.
func (w *work) warm(units int) error {
	for round := range 4 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range units {
			if _, err := w.unit(); err != nil {
				return errors.Join(err, w.close())
			}
		}
		runtime.ReadMemStats(&after)
		allocations := float64(after.Mallocs-before.Mallocs) / float64(units)
		if round == 1 || round > 1 && allocations < w.Allocations {
			w.Allocations = allocations
			w.AllocatedBytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(units)
		}
	}
	return nil
}

// randomBatch is a batch of noise with one class for each image.
func randomBatch(load workload) (images, targets []float32) {
	random := rand.New(rand.NewPCG(2, 2))
	images = make([]float32, load.batch*load.network.Height*load.network.Width*3)
	for i := range images {
		images[i] = float32(random.NormFloat64())
	}
	targets = make([]float32, load.batch*len(classes))
	for i := range load.batch {
		targets[i*len(classes)+i%len(classes)] = 1
	}
	return images, targets
}
