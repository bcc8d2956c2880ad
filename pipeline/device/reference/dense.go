package reference

import "catdog/pipeline/device"

// dense keeps its weights as rows: Out×(H·W·C).
type dense struct{ device.DenseSpec }

func (reference) NewDense(spec device.DenseSpec) (device.Dense, error) { return dense{spec}, nil }

func (d dense) in() int { return d.Height * d.Width * d.Channels }

func (d dense) WeightsLen() int { return aligned(d.Out * d.in()) }

func (d dense) Import(rows []float32, w device.Vector) {
	values := w.(vector)
	clear(values[copy(values, rows[:d.Out*d.in()]):d.WeightsLen()])
}

func (d dense) Export(w device.Vector, rows []float32) { copy(rows[:d.Out*d.in()], w.(vector)) }

func (d dense) Forward(x device.Activation, w, bias device.Vector, y device.Vector) error {
	if err := checkShape("dense: input", x, d.Batch, d.Height, d.Width, d.Channels); err != nil {
		return err
	}
	values, weights, biases, logits := data(x), w.(vector), bias.(vector), y.(vector)
	for n := range d.Batch {
		for out := range d.Out {
			sum := float64(biases[out])
			for in := range d.in() {
				sum += float64(values[n*d.in()+in]) * float64(weights[out*d.in()+in])
			}
			logits[n*d.Out+out] = float32(sum)
		}
	}
	return nil
}

func (d dense) Backward(x device.Activation, w device.Vector, dy device.Vector, dx device.Activation, dw, dbias device.Vector) error {
	if err := checkShape("dense: input", x, d.Batch, d.Height, d.Width, d.Channels); err != nil {
		return err
	}
	values, weights, gradients := data(x), w.(vector), dy.(vector)
	for n := range d.Batch {
		for in := range d.in() {
			sum := 0.0
			for out := range d.Out {
				sum += float64(gradients[n*d.Out+out]) * float64(weights[out*d.in()+in])
			}
			data(dx)[n*d.in()+in] = float32(sum)
		}
	}
	clear(dw.(vector)[:d.WeightsLen()])
	for out := range d.Out {
		for in := range d.in() {
			sum := 0.0
			for n := range d.Batch {
				sum += float64(gradients[n*d.Out+out]) * float64(values[n*d.in()+in])
			}
			dw.(vector)[out*d.in()+in] = float32(sum)
		}
		sum := 0.0
		for n := range d.Batch {
			sum += float64(gradients[n*d.Out+out])
		}
		dbias.(vector)[out] = float32(sum)
	}
	return nil
}
