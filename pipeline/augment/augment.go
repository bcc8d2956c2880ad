// Package augment makes a network's inputs from a pack's images: normalised,
// and for training shuffled and varied at random. A batch is a function of
// seed, epoch and its index in the epoch alone, so that neither threads nor
// going on in the middle of an epoch change a training.
package augment

import (
	"fmt"
	"sync"

	"catdog/pipeline/pack"
	"catdog/pipeline/params"
)

// Options fix a Source.
type Options struct {
	Height, Width           int // of the stored images, pixels
	InputHeight, InputWidth int // of the network's input, pixels
	Classes                 int
	Batch                   int // images a batch
	Seed                    int
	// Mean and Std of red, green and blue in 0…1 normalise inputs.
	Mean, Std [3]float32
	Augment   params.Augment
}

// A Source makes batches. Its methods may be called from several goroutines.
type Source struct {
	images  []pack.Image
	options Options

	mutex sync.Mutex
	epoch int
	order []int32 // of epoch; nil before the first

	spare chan *ring
}

// New checks the options against the images.
func New(images []pack.Image, o Options) (*Source, error) {
	if o.Height < 1 || o.Width < 1 || o.InputHeight < 1 || o.InputWidth < 1 || o.Classes < 1 || o.Batch < 1 {
		return nil, fmt.Errorf("augment: sizes, classes and batch must be at least 1: %+v", o)
	}
	if len(images) < o.Batch {
		return nil, fmt.Errorf("augment: %d training images do not fill one batch of %d", len(images), o.Batch)
	}
	for c := range 3 {
		if !(o.Std[c] > 0) {
			return nil, fmt.Errorf("augment: std %v must be above 0", o.Std)
		}
	}
	for _, image := range images {
		if len(image.Pixels) != o.Height*o.Width*3 || image.Class < 0 || image.Class >= o.Classes {
			return nil, fmt.Errorf("augment: %s: %d bytes and class %d, must be %d×%d×3 and below %d",
				image.Path, len(image.Pixels), image.Class, o.Height, o.Width, o.Classes)
		}
	}
	return &Source{images: images, options: o, spare: make(chan *ring, 1)}, nil
}

// Steps is the number of batches in an epoch. All are whole: each epoch leaves
// out the few images that do not fill one, others each time.
func (s *Source) Steps() int { return len(s.images) / s.options.Batch }

// orderOf is the order of the images in an epoch.
func (s *Source) orderOf(epoch int) []int32 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.order == nil || s.epoch != epoch {
		s.order, s.epoch = make([]int32, len(s.images)), epoch
		newStream(s.options.Seed, epoch, forOrder, 0).shuffle(s.order)
	}
	return s.order
}

// Batch writes the inputs and targets of a batch: images holds Batch inputs,
// NHWC, normalised as (v/255 − mean)/std; targets holds Classes probabilities
// for each of them. Index counts from 0 to before Steps.
func (s *Source) Batch(epoch, index int, images, targets []float32) {
	o := &s.options
	order := s.orderOf(epoch)[index*o.Batch : (index+1)*o.Batch]
	size := o.InputHeight * o.InputWidth * 3
	r := takeRenderer()
	defer r.giveBack()
	for i, which := range order {
		sample := s.sample(epoch, which)
		r.render(s.images[which].Pixels, o.Height, o.Width, &sample, o.InputHeight, o.InputWidth, images[i*size:(i+1)*size])
		target := targets[i*o.Classes : (i+1)*o.Classes]
		clear(target)
		target[sample.Class] = 1
	}
	s.cut(s.cutOf(epoch, index), images[:o.Batch*size], targets[:o.Batch*o.Classes])
}
