//go:build gpu

package gpu

import "catdog/pipeline/device"

// dense keeps its weights as rows, Out×(H·W·pitch).
type dense struct {
	device.DenseSpec
	device *Device
}

func (d *Device) NewDense(spec device.DenseSpec) (device.Dense, error) { return dense{spec, d}, nil }

// in is the length of a row.
func (d dense) in() int { return d.Height * d.Width * pitch(d.Channels) }

func (d dense) WeightsLen() int { return roundUp(d.Out*d.in(), device.Alignment) }

// places calls visit for each run of channels, with where it begins in a plain
// row-major matrix and in the padded one.
func (d dense) places(visit func(plain, padded int)) {
	for i := range d.Out * d.Height * d.Width {
		visit(i*d.Channels, i*pitch(d.Channels))
	}
}

func (d dense) Import(rows []float32, w device.Vector) {
	values := make([]float32, d.WeightsLen())
	d.places(func(i, j int) { copy(values[j:], rows[i:i+d.Channels]) })
	w.Slice(0, len(values)).Upload(values)
}

func (d dense) Export(w device.Vector, rows []float32) {
	values := make([]float32, d.WeightsLen())
	w.Slice(0, len(values)).Download(values)
	d.places(func(i, j int) { copy(rows[i:i+d.Channels], values[j:]) })
}

func (d dense) Forward(x device.Activation, w, bias device.Vector, y device.Vector) error {
	o := d.device.operands("dense forward")
	return o.submit(d.device.over(32*d.Batch*d.Out, "dense_forward",
		o.activation("input", x, d.Batch, d.Height, d.Width, d.Channels), o.vector("weights", w, d.WeightsLen()), o.vector("bias", bias, d.Out),
		o.vector("output", y, d.Batch*d.Out), d.Batch, d.in(), d.Out))
}

func (d dense) Backward(x device.Activation, w device.Vector, dy device.Vector, dx device.Activation, dw, dbias device.Vector) error {
	o := d.device.operands("dense backward")
	dout := o.vector("output's gradient", dy, d.Batch*d.Out)
	// A block takes sumChannels weights, or behind those as many outputs' bias
	// as it has warps.
	weights := launch{
		kernel: d.device.onElements("dense_backward_weights"), gridY: 1,
		gridX: roundUp(d.WeightsLen(), sumChannels)/sumChannels + roundUp(d.Out, warps)/warps,
		arguments: []any{
			o.activation("input", x, d.Batch, d.Height, d.Width, d.Channels), dout,
			o.vector("weights' gradient", dw, d.WeightsLen()), o.vector("bias' gradient", dbias, d.Out),
			d.Batch, d.in(), d.Out, d.WeightsLen(),
		},
	}
	return o.submit(weights,
		d.device.over(d.Batch*d.in()/octet, "dense_backward_input", dout, o.vector("weights", w, d.WeightsLen()),
			o.activation("input's gradient", dx, d.Batch, d.Height, d.Width, d.Channels), d.Batch, d.in(), d.Out))
}
