package augment

import (
	"math"

	"catdog/pipeline/device"
)

// What a batch's random numbers decide.
const (
	drawWhether = iota
	drawSize
	drawCutX
	drawCutY
)

// drawCut is the rectangle of CutMix (Yun et al., "CutMix: Regularization
// Strategy to Train Strong Classifiers with Localizable Features", 2019), in a
// share of the batches: a share of the image, uniform in (0, 1], about a uniform
// point, less what lies outside.
func drawCut(random stream, o *Options) device.Cut {
	if random.uniform(drawWhether) >= o.Augment.Cutmix {
		return device.Cut{}
	}
	side := math.Sqrt(1 - random.uniform(drawSize))
	width, height := int(side*float64(o.InputWidth)), int(side*float64(o.InputHeight))
	left, top := random.below(drawCutX, o.InputWidth)-width/2, random.below(drawCutY, o.InputHeight)-height/2
	right, bottom := min(left+width, o.InputWidth), min(top+height, o.InputHeight)
	left, top = max(left, 0), max(top, 0)
	return device.Cut{
		Left: int32(left), Top: int32(top), Right: int32(right), Bottom: int32(bottom),
		Share: float32((right-left)*(bottom-top)) / float32(o.InputHeight*o.InputWidth),
	}
}

// cutOf is what a batch of an epoch exchanges.
func (s *Source) cutOf(epoch, index int) device.Cut {
	return drawCut(newStream(s.options.Seed, epoch, forCut, index), &s.options)
}

// cut lets the inputs and the targets of a batch exchange what c says.
func (s *Source) cut(c device.Cut, images, targets []float32) {
	if c.Share == 0 {
		return
	}
	s.pairs(images, func(a, b []float32) { exchange(a, b, c, s.options.InputWidth) })
	s.pairs(targets, func(a, b []float32) { blend(a, b, c.Share) })
}

// pairs calls work for each pair of a batch's rows.
func (s *Source) pairs(rows []float32, work func(a, b []float32)) {
	batch := s.options.Batch
	size := len(rows) / batch
	for i := range batch / 2 {
		j := batch - 1 - i
		work(rows[i*size:(i+1)*size], rows[j*size:(j+1)*size])
	}
}

// exchange swaps a rectangle of two inputs.
func exchange(a, b []float32, c device.Cut, width int) {
	for y := int(c.Top); y < int(c.Bottom); y++ {
		first, end := (y*width+int(c.Left))*3, (y*width+int(c.Right))*3
		own, other := a[first:end], b[first:end]
		for i := range own {
			own[i], other[i] = other[i], own[i]
		}
	}
}

// blend gives each of two targets a share of the other.
func blend(a, b []float32, share float32) {
	for i, own := range a {
		other := b[i]
		a[i] = float32((1-share)*own) + float32(share*other)
		b[i] = float32((1-share)*other) + float32(share*own)
	}
}
