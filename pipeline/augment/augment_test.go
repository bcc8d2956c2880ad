package augment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
var everything = params.Augment{Flip: true, Scale: 0.4, Aspect: 1.5, Brightness: 0.2, Cutmix: 0.8}

// nothing switches off all variations.
var nothing = params.Augment{Scale: 1, Aspect: 1}

func options(batch int, a params.Augment) Options {
	return Options{Height: 72, Width: 72, InputHeight: 64, InputWidth: 64, Classes: 2, Batch: batch, Seed: 5,
		Mean: [3]float32{0.49, 0.45, 0.41}, Std: [3]float32{0.26, 0.25, 0.27}, Augment: a}
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

// checkGoroutines checks that no more than so many goroutines run, once those
// that have nothing more to do have ended.
func checkGoroutines(t *testing.T, most int) {
	t.Helper()
	for wait := time.Millisecond; runtime.NumGoroutine() > most; wait *= 2 {
		if wait > 5*time.Second {
			t.Fatalf("%d goroutines, must be %d", runtime.NumGoroutine(), most)
		}
		time.Sleep(wait)
	}
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
		checkGoroutines(t, before)
	}
}

var errFailed, errPanicked = errors.New("failed"), errors.New("panicked")

func TestNothingRunsOnWhenAnEpochEndsEarly(t *testing.T) {
	s := newSource(t, noise(64, 72, 72, 2), options(4, everything))
	for name, c := range map[string]struct {
		work func(index int, cancel func()) error
		want error
	}{
		"work fails": {func(index int, _ func()) error {
			if index == 3 {
				return errFailed
			}
			return nil
		}, errFailed},
		"cancelled": {func(index int, cancel func()) error {
			if index == 2 {
				cancel()
			}
			return nil
		}, context.Canceled},
		"work panics": {func(int, func()) error { panic(errPanicked) }, errPanicked},
	} {
		before := runtime.NumGoroutine()
		ctx, cancel := context.WithCancel(context.Background())
		var err error
		func() {
			defer func() {
				if cause := recover(); cause != nil {
					err = cause.(error)
				}
			}()
			err = s.Epoch(ctx, 0, 0, func(index int, _, _ []float32) error { return c.work(index, cancel) })
		}()
		cancel()
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		checkGoroutines(t, before)
	}
	if err := s.Epoch(context.Background(), 0, s.Steps()+1, nil); err == nil {
		t.Error("an epoch begins behind its end")
	}
}

func TestBatchesDoNotDependOnThreads(t *testing.T) {
	s := newSource(t, noise(40, 72, 72, 2), options(5, everything))
	var wait sync.WaitGroup
	for worker := range 16 {
		wait.Go(func() {
			epoch, index := worker/s.Steps(), worker%s.Steps()
			images, targets := s.buffers()
			s.Batch(epoch, index, images, targets)
			wantImages, wantTargets := s.buffers()
			newSource(t, s.images, s.options).Batch(epoch, index, wantImages, wantTargets)
			if !slices.Equal(images, wantImages) || !slices.Equal(targets, wantTargets) {
				t.Errorf("epoch %d, batch %d differs", epoch, index)
			}
		})
	}
	wait.Wait()
}

func TestSeedAndEpochChangeBatches(t *testing.T) {
	of := func(seed, epoch int) []float32 {
		o := options(8, everything)
		o.Seed = seed
		s := newSource(t, noise(8, 72, 72, 2), o)
		images, targets := s.buffers()
		s.Batch(epoch, 0, images, targets)
		return images
	}
	one := of(1, 1)
	for name, other := range map[string][]float32{"seed": of(2, 1), "epoch": of(1, 2)} {
		if slices.Equal(one, other) {
			t.Errorf("another %s gives the same batch", name)
		}
	}
}

func TestAnEpochShowsEachImageAtMostOnce(t *testing.T) {
	images := make([]pack.Image, 107)
	for i := range images {
		images[i].Pixels = bytes.Repeat([]byte{byte(i)}, 8*8*3)
	}
	o := options(10, nothing)
	o.Height, o.Width, o.InputHeight, o.InputWidth = 8, 8, 8, 8
	s := newSource(t, images, o)
	left := map[int]bool{}
	for epoch := range 30 {
		shown := map[int]bool{}
		err := s.Epoch(context.Background(), epoch, 0, func(_ int, images, _ []float32) error {
			for i := range o.Batch {
				value := (images[i*8*8*3]*o.Std[0] + o.Mean[0]) * 255
				which := int(math.Round(float64(value)))
				if shown[which] {
					t.Errorf("epoch %d shows %d twice", epoch, which)
				}
				shown[which] = true
			}
			return nil
		})
		if err != nil || len(shown) != 100 {
			t.Errorf("epoch %d shows %d images: %v", epoch, len(shown), err)
		}
		for i := range images {
			if !shown[i] {
				left[i] = true
			}
		}
	}
	if len(left) < 60 {
		t.Errorf("only %d images are left out in 30 epochs of 7", len(left))
	}
}

func TestOrdersAreUniform(t *testing.T) {
	const epochs, n = 5000, 10
	var counts [n][n]int
	order := make([]int32, n)
	for epoch := range epochs {
		newStream(1, epoch, forOrder, 0).shuffle(order)
		for place, image := range order {
			counts[place][image]++
		}
	}
	for place := range counts {
		for image, count := range counts[place] {
			// Five standard deviations of a binomial variable.
			if math.Abs(float64(count)-epochs/n) > 5*math.Sqrt(epochs*0.1*0.9) {
				t.Errorf("image %d stands %d times at %d", image, count, place)
			}
		}
	}
}

func TestWithoutVariationTheCentreIsShown(t *testing.T) {
	s := newSource(t, noise(6, 72, 72, 2), options(6, nothing))
	o := &s.options
	images, targets := s.buffers()
	s.Batch(0, 0, images, targets)
	size := 64 * 64 * 3
	seen := make([]float32, size)
	for i, which := range s.orderOf(0) {
		pixels := s.images[which].Pixels
		got := images[i*size : (i+1)*size]
		Centre(pixels, 72, 72, 64, 64, o.Mean, o.Std, false, seen)
		if !slices.Equal(got, seen) {
			t.Error("training and evaluation see different things")
		}
		for y := range 64 {
			for x := range 64 {
				for c := range 3 {
					v := float64(pixels[((y+4)*72+x+4)*3+c])
					want := (v/255 - float64(o.Mean[c])) / float64(o.Std[c])
					if have := float64(got[(y*64+x)*3+c]); math.Abs(have-want) > 1e-6 {
						t.Fatalf("pixel %d,%d: %g, must be %g", x, y, have, want)
					}
				}
			}
		}
	}
}

func TestHalfOfTheImagesAreMirrored(t *testing.T) {
	s := newSource(t, noise(200, 20, 20, 2), func() Options {
		o := options(200, params.Augment{Flip: true, Scale: 1, Aspect: 1})
		o.Height, o.Width, o.InputHeight, o.InputWidth = 20, 20, 18, 18
		return o
	}())
	images, targets := s.buffers()
	s.Batch(0, 0, images, targets)
	size, mirrored := 18*18*3, 0
	plain, mirror := make([]float32, size), make([]float32, size)
	for i, which := range s.orderOf(0) {
		pixels, o := s.images[which].Pixels, &s.options
		Centre(pixels, 20, 20, 18, 18, o.Mean, o.Std, false, plain)
		Centre(pixels, 20, 20, 18, 18, o.Mean, o.Std, true, mirror)
		for y := range 18 {
			for x := range 18 {
				if a, b := plain[(y*18+x)*3:], mirror[(y*18+17-x)*3:]; !slices.Equal(a[:3], b[:3]) {
					t.Fatalf("pixel %d,%d is not mirrored", x, y)
				}
			}
		}
		switch got := images[i*size : (i+1)*size]; {
		case slices.Equal(got, mirror):
			mirrored++
		case !slices.Equal(got, plain):
			t.Fatal("neither the image nor its mirror image")
		}
	}
	if mirrored < 65 || mirrored > 135 {
		t.Errorf("%d of 200 are mirrored", mirrored)
	}
}

func TestTargets(t *testing.T) {
	for _, a := range []params.Augment{nothing, everything, {Scale: 1, Aspect: 1, Cutmix: 1}} {
		o := options(9, a)
		o.Classes = 5
		s := newSource(t, noise(90, 72, 72, 5), o)
		images, targets := s.buffers()
		for index := range s.Steps() {
			s.Batch(0, index, images, targets)
			for i := range o.Batch {
				target := targets[i*5 : (i+1)*5]
				var sum float64
				for _, share := range target {
					sum += float64(share)
				}
				if math.Abs(sum-1) > 1e-6 {
					t.Fatalf("targets %v", target)
				}
				if class := s.images[s.orderOf(0)[index*9+i]].Class; a == nothing && target[class] != 1 {
					t.Fatalf("targets %v of class %d", target, class)
				}
			}
		}
	}
}

// Of two classes, black and white, the share of white in an input must be that
// of its target.
func TestTargetsOfCutBatchesAreTheSharesOfTheImages(t *testing.T) {
	images := []pack.Image{
		{Class: 0, Pixels: make([]byte, 72*72*3)},
		{Class: 1, Pixels: bytes.Repeat([]byte{255}, 72*72*3)},
	}
	o := options(2, params.Augment{Scale: 1, Aspect: 1, Cutmix: 1})
	s := newSource(t, images, o)
	inputs, targets := s.buffers()
	var least, most float32 = 1, 0
	for epoch := range 100 {
		s.Batch(epoch, 0, inputs, targets)
		for i := range 2 {
			var white float64
			for j, v := range inputs[i*64*64*3 : (i+1)*64*64*3] {
				white += float64(v*o.Std[j%3] + o.Mean[j%3])
			}
			if share := white / (64 * 64 * 3); math.Abs(share-float64(targets[i*2+1])) > 1e-4 {
				t.Errorf("%g is white, target %v", share, targets[i*2:i*2+2])
			}
			least, most = min(least, targets[i*2+1]), max(most, targets[i*2+1])
		}
	}
	if least > 0.1 || most < 0.9 {
		t.Errorf("shares from %g to %g", least, most)
	}
}

func TestShareOfBatchesThatAreCut(t *testing.T) {
	o := options(2, params.Augment{Scale: 1, Aspect: 1, Cutmix: 0.5})
	o.Height, o.Width, o.InputHeight, o.InputWidth = 8, 8, 8, 8
	s := newSource(t, noise(2, 8, 8, 2), o)
	images, targets := s.buffers()
	cut := 0
	for epoch := range 1000 {
		s.Batch(epoch, 0, images, targets)
		if targets[0] != 0 && targets[0] != 1 {
			cut++
		}
	}
	// A few cut rectangles of 8×8 pixels are empty.
	if cut < 420 || cut > 560 {
		t.Errorf("%d of 1000 batches are cut", cut)
	}
}

func TestTheSteadyStateAllocatesNothing(t *testing.T) {
	s := newSource(t, noise(64, 72, 72, 2), options(32, everything))
	images, targets := s.buffers()
	if n := testing.AllocsPerRun(10, func() { s.Batch(0, 1, images, targets) }); n > 0 {
		t.Errorf("%g allocations a batch", n)
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	for want, spoil := range map[string]func(*Options){
		"do not fill one batch of 65": func(o *Options) { o.Batch = 65 },
		"at least 1":                  func(o *Options) { o.InputWidth = 0 },
		"must be above 0":             func(o *Options) { o.Std[1] = 0 },
		"must be 72×71×3":             func(o *Options) { o.Width = 71 },
		"and below 1":                 func(o *Options) { o.Classes = 1 },
	} {
		o := options(8, nothing)
		spoil(&o)
		if _, err := New(noise(64, 72, 72, 2), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, must say %q", err, want)
		}
	}
}

func BenchmarkBatch(b *testing.B) {
	usual := params.Augment{Flip: true, Scale: 0.55, Aspect: 1.33, Brightness: 0.2}
	s := newSource(b, noise(256, 72, 72, 2), options(128, usual))
	images, targets := s.buffers()
	b.ReportAllocs()
	for b.Loop() {
		s.Batch(1, 1, images, targets)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*s.options.Batch), "µs/image")
}
