package train

import (
	"fmt"

	"catdog/pipeline/device"
	"catdog/pipeline/train/record"
)

// measure is how busy the device was from hold to the end of the last epoch's
// records and checkpoint, from the times of a step's and a prediction's single
// pieces of work. A step makes so many multiply-adds. It spoils the trainer.
func (h *held) measure(d device.Measurer, multiplyAdds int) (a record.Accelerator, err error) {
	wall := h.ended.Sub(h.begun).Seconds()
	step, err := h.training.Measure()
	if err != nil {
		return a, fmt.Errorf("measure a step: %w", err)
	}
	prediction, err := h.validation.Measure()
	if err != nil {
		return a, fmt.Errorf("measure a prediction: %w", err)
	}
	operations, bytes, err := d.Peaks()
	if err != nil {
		return a, err
	}
	rate := 2 * float64(multiplyAdds) / step.Seconds
	share := func(done, most float64) float64 {
		if most == 0 {
			return 0
		}
		return done / most
	}
	return record.Accelerator{
		BusyShare:   (float64(h.steps)*step.Seconds + float64(h.predictions)*prediction.Seconds) / wall,
		WallSeconds: wall,
		StepSeconds: step.Seconds, StepLaunches: step.Pieces, StepBytes: step.Bytes,
		PredictionSeconds: prediction.Seconds, PredictionLaunches: prediction.Pieces,
		TeraFLOPS:       rate / 1e12,
		ArithmeticShare: share(rate, operations), MemoryShare: share(float64(step.Bytes)/step.Seconds, bytes),
		MemoryBytes: d.Memory(),
	}, nil
}
