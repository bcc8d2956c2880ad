package network

// ParameterCount is the number of learnt values.
func (d *Description) ParameterCount() int {
	learnt, _ := d.Count(-1)
	return learnt
}

// Count is the number of learnt values and of other values of a layer, or of
// all (-1).
func (d *Description) Count(layer int) (learnt, statistics int) {
	for _, p := range d.Parameters() {
		switch {
		case layer >= 0 && p.Layer != layer:
		case p.Role.Learnt():
			learnt += p.Elements()
		default:
			statistics += p.Elements()
		}
	}
	return learnt, statistics
}

// MultiplyAdds of one image's way forward through a convolution or a dense
// layer; the few operations of the other layers are not counted.
func (l Layer) MultiplyAdds() int {
	switch l.Kind {
	case Convolution:
		return l.Out.Elements() * l.In.Channels * l.Kernel * l.Kernel
	case Dense:
		return l.Out.Elements() * l.In.Elements()
	}
	return 0
}

// MultiplyAdds of one image's way forward through the network.
func (d *Description) MultiplyAdds() int {
	total := 0
	for _, layer := range d.Layers {
		total += layer.MultiplyAdds()
	}
	return total
}
