package augment

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"catdog/pipeline/pack"
	"catdog/pipeline/params"
)

// noise is n images of random pixels, with classes in turn.
func noise(n, height, width, classes int) []pack.Image {
	random := rand.New(rand.NewPCG(3, 4))
	images := make([]pack.Image, n)
	for i := range images {
		pixels := make([]byte, height*width*3)
		for j := range pixels {
			pixels[j] = byte(random.Uint32())
		}
		images[i] = pack.Image{Path: fmt.Sprintf("%d.jpg", i), Class: i % classes, Pixels: pixels}
	}
	return images
}

// everything switches on all variations.
var everything = params.Augment{Flip: true, Scale: 0.4, Aspect: 1.5, Rotation: 15, Brightness: 0.2,
	Contrast: 0.2, Saturation: 0.3, Erase: 0.5, Mixup: 0.4, Cutmix: 0.4}

// nothing switches off all variations.
var nothing = params.Augment{Scale: 1, Aspect: 1}

func options(batch int, a params.Augment) Options {
	return Options{Height: 72, Width: 72, InputHeight: 64, InputWidth: 64, Classes: 2, Batch: batch, Seed: 5,
		Mean: [3]float32{0.49, 0.45, 0.41}, Std: [3]float32{0.26, 0.25, 0.27}, LabelSmoothing: 0.1, Augment: a}
}

func newSource(t testing.TB, images []pack.Image, o Options) *Source {
	t.Helper()
	s, err := New(images, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Source) buffers() (images, targets []float32) {
	o := &s.options
	return make([]float32, o.Batch*o.InputHeight*o.InputWidth*3), make([]float32, o.Batch*o.Classes)
}

func TestEpochGivesTheBatchesInOrder(t *testing.T) {
	s := newSource(t, noise(50, 72, 72, 2), options(8, everything))
	if s.Steps() != 6 {
		t.Fatalf("%d steps", s.Steps())
	}
	for _, first := range []int{0, 3, 6} {
		before, next := runtime.NumGoroutine(), first
		err := s.Epoch(context.Background(), 2, first, func(index int, images, targets []float32) error {
			if index != next {
				t.Errorf("batch %d comes where %d must", index, next)
			}
			next++
			wantImages, wantTargets := s.buffers()
			newSource(t, s.images, s.options).Batch(2, index, wantImages, wantTargets)
			if !slices.Equal(images, wantImages) || !slices.Equal(targets, wantTargets) {
				t.Errorf("batch %d differs", index)
			}
			return nil
		})
		if err != nil || next != 6 {
			t.Errorf("from %d to %d: %v", first, next, err)
		}
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("%d goroutines, before %d", after, before)
		}
	}
}

func BenchmarkBatch(b *testing.B) {
	usual := params.Augment{Flip: true, Scale: 0.55, Aspect: 1.33, Rotation: 11.5, Brightness: 0.2}
	s := newSource(b, noise(256, 72, 72, 2), options(128, usual))
	images, targets := s.buffers()
	b.ReportAllocs()
	for b.Loop() {
		s.Batch(1, 1, images, targets)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*s.options.Batch), "µs/image")
}
