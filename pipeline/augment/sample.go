package augment

import "catdog/pipeline/device"

// newSample is a placement and what pixels become as a device's Sample.
func newSample(p placement, t *toInput, height, width, inputHeight, inputWidth, image, class int) device.Sample {
	level, part := p.fit(height, width, inputHeight, inputWidth)
	return device.Sample{
		X: p.x0, XRow: p.xy, Y: p.y0, YRow: p.yy,
		XColumn: int32(fixed(p.xx)), YColumn: int32(fixed(p.yx)),
		Left: int32(part.left), Top: int32(part.top), Columns: int32(part.right - part.left), Rows: int32(part.bottom - part.top),
		Level: int32(level), Image: int32(image), Class: int32(class),
		Scale: t.scale, Shift: t.shift,
	}
}

// Plan is what Batch would do for all batches of an epoch: a sample for each
// of their inputs, and each batch's mixing.
func (s *Source) Plan(epoch int) ([]device.Sample, []device.Mix) {
	o := &s.options
	samples, mixes := make([]device.Sample, s.Steps()*o.Batch), make([]device.Mix, s.Steps())
	for i, which := range s.orderOf(epoch)[:len(samples)] {
		v := draw(newStream(o.Seed, epoch, forView, int(which)), o)
		t := normalise(v.brightness, o.Mean, o.Std)
		samples[i] = newSample(v.place, &t, o.Height, o.Width, o.InputHeight, o.InputWidth, int(which), s.images[which].Class)
	}
	for index := range mixes {
		mixes[index], _ = drawMix(newStream(o.Seed, epoch, forMixing, index), o)
	}
	return samples, mixes
}

// CentreSample is what Centre does, without mirroring.
func CentreSample(height, width, inputHeight, inputWidth int, mean, std [3]float32, image, class int) device.Sample {
	t := normalise(1, mean, std)
	p := place(centre(height, width, inputHeight, inputWidth), 0, false, inputHeight, inputWidth)
	return newSample(p, &t, height, width, inputHeight, inputWidth, image, class)
}
