package augment

import "math"

// What a batch's random numbers decide.
const (
	drawMixing = iota
	drawLambda
	drawMixX
	drawMixY
)

// mix blends the images of some batches in pairs, the first with the last and
// so on (in an odd batch the middle one stays as it is), and their targets
// accordingly. Lambda, what is left of the own image, is uniform in [0, 1).
func (s *Source) mix(random stream, images, targets []float32) {
	lambda := random.uniform(drawLambda)
	switch kind := random.uniform(drawMixing); {
	case kind < s.options.Augment.Mixup:
		s.pairs(images, func(a, b []float32) { blend(a, b, float32(lambda)) })
	case kind < s.options.Augment.Mixup+s.options.Augment.Cutmix:
		r := cut(random, lambda, s.options.InputHeight, s.options.InputWidth)
		lambda = 1 - float64(r.area())/float64(s.options.InputHeight*s.options.InputWidth)
		s.pairs(images, func(a, b []float32) { exchange(a, b, r, s.options.InputWidth) })
	default:
		return
	}
	s.pairs(targets, func(a, b []float32) { blend(a, b, float32(lambda)) })
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
