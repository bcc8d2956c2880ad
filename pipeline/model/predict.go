package model

import (
	"fmt"

	"catdog/pipeline/device"
	"catdog/pipeline/engine"
)

// On puts the model on a device, to predict at most batch images at a time (at
// least 1), large ones fewer. Closing the Predictor leaves the device open.
func (m *Model) On(d device.Device, batch int) (*Predictor, error) {
	batch = batchFor(m.Input.Height, m.Input.Width, batch)
	trainer, err := engine.New(m.Description, d, engine.Options{Batch: batch, Inference: true})
	if err != nil {
		return nil, fmt.Errorf("put the model on %s: %w", d.Describe(), err)
	}
	if err := trainer.SetWeights(m.Tensors); err != nil {
		trainer.Close()
		return nil, fmt.Errorf("put the model on %s: %w", d.Describe(), err)
	}
	return NewPredictor(trainer, engine.Raw, m.View(), len(m.Classes), batch), nil
}

// batchFor is how many images of a size are predicted at a time: at most so
// many, and no more pixels than 128 images of 256×256 have.
func batchFor(height, width, most int) int {
	return max(1, min(most, 128*256*256/(height*width)))
}

// Close frees the network, not the device that it is on.
func (p *Predictor) Close() error { return p.trainer.Close() }
