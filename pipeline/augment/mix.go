package augment

import (
	"math"

	"catdog/pipeline/device"
)

// What a batch's random numbers decide.
const (
	drawMixing = iota
	drawLambda
	drawMixX
	drawMixY
)

// A rectangle holds the pixels with left ≤ x < right and top ≤ y < bottom.
type rectangle struct{ left, top, right, bottom int }

func (r rectangle) area() int { return (r.right - r.left) * (r.bottom - r.top) }

func (r rectangle) exported() device.Part {
	return device.Part{Left: int32(r.left), Top: int32(r.top), Right: int32(r.right), Bottom: int32(r.bottom)}
}

// drawMix decides how a batch is mixed. Lambda is uniform in [0, 1), for cutmix
// what is left after cutting the rectangle at the image's edge.
func drawMix(random stream, o *Options) (device.Mix, rectangle) {
	lambda := random.uniform(drawLambda)
	switch kind := random.uniform(drawMixing); {
	case kind < o.Augment.Mixup:
		return device.Mix{Kind: device.Mixup, Lambda: float32(lambda)}, rectangle{}
	case kind < o.Augment.Mixup+o.Augment.Cutmix:
		r := cut(random, lambda, o.InputHeight, o.InputWidth)
		lambda = 1 - float64(r.area())/float64(o.InputHeight*o.InputWidth)
		return device.Mix{Kind: device.Cutmix, Lambda: float32(lambda), Part: r.exported()}, r
	}
	return device.Mix{}, rectangle{}
}

// mix blends the images of some batches in pairs, and their targets
// accordingly.
func (s *Source) mix(random stream, images, targets []float32) {
	m, r := drawMix(random, &s.options)
	switch m.Kind {
	case device.Mixup:
		s.pairs(images, func(a, b []float32) { blend(a, b, m.Lambda) })
	case device.Cutmix:
		s.pairs(images, func(a, b []float32) { exchange(a, b, r, s.options.InputWidth) })
	default:
		return
	}
	s.pairs(targets, func(a, b []float32) { blend(a, b, m.Lambda) })
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

// blend is mixup (Zhang et al., "mixup: Beyond Empirical Risk Minimization",
// 2017): each becomes lambda of itself and the rest of the other.
func blend(a, b []float32, lambda float32) {
	b = b[:len(a)]
	for i, own := range a {
		other := b[i]
		a[i] = float32(lambda*own) + float32((1-lambda)*other)
		b[i] = float32(lambda*other) + float32((1-lambda)*own)
	}
}

// cut is the rectangle of CutMix (Yun et al., "CutMix", 2019): a share of
// 1−lambda of the image about a uniform point, less what lies outside.
func cut(random stream, lambda float64, height, width int) rectangle {
	share := math.Sqrt(1 - lambda)
	w, h := int(share*float64(width)), int(share*float64(height))
	left, top := random.below(drawMixX, width)-w/2, random.below(drawMixY, height)-h/2
	return rectangle{max(left, 0), max(top, 0), min(left+w, width), min(top+h, height)}
}

// exchange swaps a rectangle of two inputs.
func exchange(a, b []float32, r rectangle, width int) {
	for y := r.top; y < r.bottom; y++ {
		first, end := (y*width+r.left)*3, (y*width+r.right)*3
		own, other := a[first:end], b[first:end]
		for i := range own {
			own[i], other[i] = other[i], own[i]
		}
	}
}
