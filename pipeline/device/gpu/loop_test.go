//go:build gpu

package gpu_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"catdog/pipeline/augment"
	"catdog/pipeline/device"
	"catdog/pipeline/device/gpu"
	"catdog/pipeline/pack"
	"catdog/pipeline/params"
)

// pictures are random images, and a source of batches of them with everything
// switched on, shrinking to less than half where the input is small.
func pictures(t *testing.T, inputHeight, inputWidth, batch int) ([][]byte, *augment.Source, augment.Options) {
	t.Helper()
	o := augment.Options{
		Height: 23, Width: 31, InputHeight: inputHeight, InputWidth: inputWidth, Classes: 3, Batch: batch, Seed: 5,
		Mean: [3]float32{0.5, 0.4, 0.3}, Std: [3]float32{0.2, 0.25, 0.3},
		Augment: params.Augment{Flip: true, Scale: 0.4, Aspect: 1.5, Brightness: 0.2, Cutmix: 0.6},
	}
	random := rand.New(rand.NewPCG(1, 2))
	var images []pack.Image
	var pixels [][]byte
	for i := range 6 * batch {
		image := pack.Image{Path: fmt.Sprint(i), Class: i % 3, Pixels: make([]byte, 23*31*3)}
		for j := range image.Pixels {
			image.Pixels[j] = byte(random.Uint32())
		}
		images, pixels = append(images, image), append(pixels, image.Pixels)
	}
	source, err := augment.New(images, o)
	if err != nil {
		t.Fatal(err)
	}
	return pixels, source, o
}

func planned(source *augment.Source, epoch int) device.Pass {
	samples, cuts := source.Plan(epoch)
	return device.Pass{Samples: samples, Cuts: cuts, Schedule: make([]device.Schedule, source.Steps())}
}

// Inputs and targets are those of augment.Source.Batch, to the bit in float32,
// whatever is drawn and at every level of shrinking; the logits are scored.
func TestLoopMakesTheBatchesOfAugment(t *testing.T) {
	makesTheBatches(t, func(*testing.T, *gpu.Device, int) {})
}

// So they are where the GPU has no room for the images.
func TestLoopReadsImagesOfTheHosts(t *testing.T) {
	makesTheBatches(t, func(t *testing.T, d *gpu.Device, images int) {
		t.Setenv("STANDIN_MEMORY", fmt.Sprint(d.Memory()+int64(images)-1))
	})
}

// makesTheBatches calls scarce before images of so many bytes go to the device.
func makesTheBatches(t *testing.T, scarce func(t *testing.T, d *gpu.Device, images int)) {
	for _, side := range [][2]int{{20, 27}, {9, 7}, {5, 4}} {
		t.Run(fmt.Sprint(side), func(t *testing.T) {
			const batch = 5
			d := gpu.OpenForTest(t, gpu.Options{Precision: "float32"})
			pixels, source, o := pictures(t, side[0], side[1], batch)
			input, _ := d.NewActivation(batch, side[0], side[1], 3)
			targets, _ := d.NewVector(3 * batch)
			logits, _ := d.NewVector(3 * batch)
			values := make([]float32, 3*batch)
			for i := range values {
				values[i] = float32(i*i%7) - 3
			}
			logits.Upload(values)
			l, err := d.NewLoop(device.LoopSpec{Height: o.Height, Width: o.Width, Input: input, Targets: targets, Logits: logits,
				Classes: o.Classes, Batches: 1}, func() error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			scarce(t, d, len(pixels)*len(pixels[0]))
			if err := l.Hold(pixels); err != nil {
				t.Fatal(err)
			}
			wantInput, wantTargets := make([]float32, batch*side[0]*side[1]*3), make([]float32, 3*batch)
			gotInput, gotTargets := make([]float32, len(wantInput)), make([]float32, len(wantTargets))
			whole, cut := 0, 0
			for epoch := 1; epoch <= 3; epoch++ {
				pass := planned(source, epoch)
				for index := range source.Steps() {
					if pass.Cuts[index].Share > 0 {
						cut++
					} else {
						whole++
					}
					// One batch: those before and behind are left out.
					source.Batch(epoch, index, wantInput, wantTargets)
					only := device.Pass{Samples: pass.Samples[index*batch : (index+1)*batch], Cuts: pass.Cuts[index : index+1], Schedule: pass.Schedule[:1]}
					score, done := through(t, l, context.Background(), only, 0, device.Score{Loss: 1, Correct: 2})
					if done != 1 {
						t.Fatal(done)
					}
					input.Download(gotInput)
					targets.Download(gotTargets)
					if !slices.Equal(gotInput, wantInput) || !slices.Equal(gotTargets, wantTargets) {
						t.Errorf("%v: batch %d of epoch %d (%v) is not augment's", side, index, epoch, only.Cuts)
					}
					loss, correct := scored(values, wantTargets, 3)
					if math.Abs(score.Loss-1-loss) > 1e-9 || score.Correct != 2+correct {
						t.Errorf("score %+v, want %g and %d more", score, loss, correct)
					}
				}
			}
			if cut == 0 || whole == 0 {
				t.Errorf("%d batches were cut, %d were not", cut, whole)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// through goes through a pass, and waits for its end.
func through(t *testing.T, l device.Loop, ctx context.Context, pass device.Pass, first int, score device.Score) (device.Score, int) {
	t.Helper()
	result, done, err := l.Run(ctx, pass, first, score, func(int) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	r, err := result()
	if err != nil || done > 0 && !(r.Seconds > 0) {
		t.Fatal(r, err)
	}
	return r.Score, done
}

// scored is package train's score.
func scored(logits, targets []float32, classes int) (loss float64, correct int) {
	highest := func(values []float32) (best int) {
		for i, v := range values {
			if v > values[best] {
				best = i
			}
		}
		return best
	}
	for i := 0; i < len(logits); i += classes {
		row, label := logits[i:i+classes], highest(targets[i:i+classes])
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v))
		}
		loss += math.Log(sum) - float64(row[label])
		if highest(row) == label {
			correct++
		}
	}
	return loss, correct
}

// A pass goes through all batches, from any on, and stops where it is told to;
// inputs without an image count for nothing.
func TestLoopRunsFromAnyBatchAndStops(t *testing.T) {
	const batch = 4
	d := gpu.OpenForTest(t, gpu.Options{Precision: "bfloat16"})
	pixels, source, o := pictures(t, 8, 8, batch)
	input, _ := d.NewActivation(batch, 8, 8, 3)
	targets, _ := d.NewVector(3 * batch)
	logits, _ := d.NewVector(3 * batch)
	submitted := 0
	l, err := d.NewLoop(device.LoopSpec{Height: o.Height, Width: o.Width, Input: input, Targets: targets, Logits: logits,
		Classes: 3, Batches: source.Steps()}, func() error { submitted++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Hold(pixels); err != nil {
		t.Fatal(err)
	}
	pass := planned(source, 1)
	for i := range batch / 2 {
		pass.Samples[i].Image = -1
	}
	run := func(ctx context.Context, first int) (device.Score, int) {
		return through(t, l, ctx, pass, first, device.Score{})
	}
	all, done := run(context.Background(), 0)
	images := float64(len(pass.Samples) - batch/2)
	if done != source.Steps() || math.Abs(all.Loss-images*math.Log(3)) > 1e-4 {
		t.Errorf("%d batches with loss %g, want %d with %g", done, all.Loss, source.Steps(), images*math.Log(3))
	}
	if rest, done := run(context.Background(), 2); done != source.Steps()-2 || rest.Loss >= all.Loss {
		t.Errorf("from the third on %d batches with loss %g of %g", done, rest.Loss, all.Loss)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if score, done := run(ended, 1); done != 0 || score != (device.Score{}) {
		t.Errorf("after its end %d batches, %+v", done, score)
	}
	if submitted != 2 {
		t.Errorf("the work was submitted %d times, want once to run and once to capture", submitted)
	}
	if effort, err := l.Measure(); err != nil || effort.Pieces != 2 || !(effort.Seconds > 0) || effort.Bytes == 0 {
		t.Errorf("a step takes %+v: %v", effort, err)
	}
	pass.Schedule = pass.Schedule[1:]
	if _, _, err := l.Run(context.Background(), pass, 0, device.Score{}, func(int) error { return nil }); err == nil {
		t.Error("a pass with parts of other lengths was taken")
	}
}
