package augment

import "catdog/pipeline/device"

// centre is the window that is evaluated, and trained on without random crops:
// as large as the input, pixel for pixel, but at least 5/6 of the stored
// image's sides and at most all of them.
func centre(height, width, inputHeight, inputWidth int) window {
	x, w := centreSide(width, inputWidth)
	y, h := centreSide(height, inputHeight)
	return window{x, y, w, h}
}

func centreSide(stored, input int) (middle, side float64) {
	if input <= stored && 6*input >= 5*stored {
		return float64((stored-input)/2) + float64(input)/2, float64(input)
	}
	return float64(stored) / 2, min(float64(stored), max(float64(input), float64(stored)*5/6))
}

// Centre writes the view of a stored image that is evaluated, (v/255 − mean)/std,
// into out, which holds inputHeight·inputWidth·3 values. The view is the middle
// of the image, pixel for pixel where the input's sides are at least 5/6 of the
// stored image's, else 5/6 of its sides, resampled.
func Centre(pixels []byte, height, width, inputHeight, inputWidth int, mean, std [3]float32, mirror bool, out []float32) {
	v := centre(height, width, inputHeight, inputWidth).view(inputHeight, inputWidth)
	if mirror {
		v.across.mirror(inputWidth)
	}
	s := v.sample(height, width, mean, std)
	r := takeRenderer()
	defer r.giveBack()
	r.render(pixels, height, width, &s, inputHeight, inputWidth, out)
}

// CentreSample is what Centre does, without mirroring.
func CentreSample(height, width, inputHeight, inputWidth int, mean, std [3]float32) device.Sample {
	return centre(height, width, inputHeight, inputWidth).view(inputHeight, inputWidth).sample(height, width, mean, std)
}

// CentreOffset is, along one side, the first of the stored image's pixels that
// Centre shows; false where Centre resamples the image.
func CentreOffset(stored, input int) (first int, exactly bool) {
	middle, side := centreSide(stored, input)
	return int(middle - side/2), side == float64(input)
}
