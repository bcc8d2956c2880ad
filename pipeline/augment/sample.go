package augment

import (
	"math"

	"catdog/pipeline/device"
)

// sample is a view of stored images as a device's Sample, of none yet. Inputs
// are (v/255·brightness − mean)/std. Where the view shrinks the image twice or
// more, bilinear sampling would skip pixels; then it samples the image shrunk
// by averaging 2×2, 4×4, … pixels, the largest such square with which it still
// shrinks or keeps the size.
func (v view) sample(height, width int, mean, std [3]float32) (s device.Sample) {
	shrinking := math.Sqrt(math.Abs(v.across.step * v.down.step))
	for ; shrinking >= 2 && s.Level < 6 && min(height, width)>>(s.Level+1) > 0; s.Level++ {
		shrinking /= 2
		v.across.halve()
		v.down.halve()
	}
	const half = unit / steps / 2 // so that rounding down is rounding to the nearest
	s.X, s.XStep = fixed(v.across.start)+half, fixed(v.across.step)
	s.Y, s.YStep = fixed(v.down.start)+half, fixed(v.down.step)
	for c := range 3 {
		s.Scale[c] = float32(v.brightness / float64(std[c]) / (255 * one))
		s.Shift[c] = float32(-float64(mean[c]) / float64(std[c]))
	}
	return s
}

// fixed is a position in whole units.
func fixed(v float64) int32 { return int32(math.Round(v * unit)) }

// sample is how an image is varied in an epoch.
func (s *Source) sample(epoch int, image int32) device.Sample {
	o := &s.options
	v := draw(newStream(o.Seed, epoch, forView, int(image)), o)
	sample := v.sample(o.Height, o.Width, o.Mean, o.Std)
	sample.Image, sample.Class = image, int32(s.images[image].Class)
	return sample
}

// Plan is what Batch does for all batches of an epoch: a sample for each of
// their inputs, and each batch's cut.
func (s *Source) Plan(epoch int) ([]device.Sample, []device.Cut) {
	o := &s.options
	samples, cuts := make([]device.Sample, s.Steps()*o.Batch), make([]device.Cut, s.Steps())
	for i, image := range s.orderOf(epoch)[:len(samples)] {
		samples[i] = s.sample(epoch, image)
	}
	for index := range cuts {
		cuts[index] = s.cutOf(epoch, index)
	}
	return samples, cuts
}
