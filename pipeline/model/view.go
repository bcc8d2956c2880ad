package model

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"

	"catdog/pipeline/augment"
	"catdog/pipeline/engine"
)

// View is how stored images become the network's input.
type View struct {
	Height, Width           int // of stored images
	InputHeight, InputWidth int
	Mean, Std               [3]float32
}

// View is how the model's stored images become its input.
func (i Info) View() View {
	return View{i.Stored.Height, i.Stored.Width, i.Input.Height, i.Input.Width, i.Input.Mean, i.Input.Std}
}

// A Predictor gives a trainer's network stored images, in batches of which the
// next is prepared while the last is computed.
type Predictor struct {
	trainer engine.Trainer
	weights engine.Weights
	view    View
	classes int
	batch   int
	buffers [2][]float32
}

// NewPredictor predicts with one set of the trainer's weights.
func NewPredictor(trainer engine.Trainer, weights engine.Weights, view View, classes, batch int) *Predictor {
	p := &Predictor{trainer: trainer, weights: weights, view: view, classes: classes, batch: batch}
	for i := range p.buffers {
		p.buffers[i] = make([]float32, batch*p.inputLen())
	}
	return p
}

// preparers is how many goroutines prepare images: few beside a network that
// computes on all cores, more where there are more of them than it needs.
var preparers = max(1, runtime.NumCPU()/4)

// prepareAll prepares images, one after the other in the buffer.
func (p *Predictor) prepareAll(images [][]byte, mirror bool, buffer []float32) {
	var sharers sync.WaitGroup
	for first := range preparers {
		sharers.Go(func() {
			for i := first; i < len(images); i += preparers {
				p.prepare(images[i], mirror, buffer[i*p.inputLen():(i+1)*p.inputLen()])
			}
		})
	}
	sharers.Wait()
}

func (p *Predictor) inputLen() int { return p.view.InputHeight * p.view.InputWidth * 3 }

// Logits returns a row of logits for each of the images (H·W·3 RGB bytes of
// the stored size), for their mirror images if asked.
func (p *Predictor) Logits(ctx context.Context, images [][]byte, mirror bool) ([][]float32, error) {
	for i, pixels := range images {
		if want := p.view.Height * p.view.Width * 3; len(pixels) != want {
			return nil, fmt.Errorf("predict image %d: %d bytes of pixels in place of %d", i, len(pixels), want)
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	free, ready := make(chan []float32, len(p.buffers)), make(chan []float32)
	for _, buffer := range p.buffers {
		free <- buffer
	}
	finished := make(chan struct{})
	defer func() { stop(); <-finished }()
	go func() {
		defer close(finished)
		for first := 0; first < len(images); first += p.batch {
			var buffer []float32
			select {
			case buffer = <-free:
			case <-ctx.Done():
				return
			}
			part := images[first:min(first+p.batch, len(images))]
			p.prepareAll(part, mirror, buffer)
			select {
			case ready <- buffer:
			case <-ctx.Done():
				return
			}
		}
	}()

	values := make([]float32, len(images)*p.classes)
	for first := 0; first < len(images); first += p.batch {
		count := min(p.batch, len(images)-first)
		select {
		case buffer := <-ready:
			if err := p.trainer.Predict(p.weights, buffer[:count*p.inputLen()], values[first*p.classes:(first+count)*p.classes]); err != nil {
				return nil, fmt.Errorf("predict: %w", err)
			}
			free <- buffer
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	rows := make([][]float32, len(images))
	for i := range rows {
		rows[i] = values[i*p.classes : (i+1)*p.classes : (i+1)*p.classes]
	}
	return rows, nil
}

func (p *Predictor) prepare(pixels []byte, mirror bool, out []float32) {
	v := p.view
	augment.Centre(pixels, v.Height, v.Width, v.InputHeight, v.InputWidth, v.Mean, v.Std, mirror, out)
}

// Probabilities returns a row of class probabilities for each of the images;
// with mirror the mean of an image's and its mirror image's.
func (p *Predictor) Probabilities(ctx context.Context, images [][]byte, mirror bool) ([][]float64, error) {
	logits, err := p.Logits(ctx, images, false)
	if err != nil {
		return nil, err
	}
	rows := make([][]float64, len(images))
	for i := range rows {
		rows[i] = Softmax(logits[i])
	}
	if !mirror {
		return rows, nil
	}
	if logits, err = p.Logits(ctx, images, true); err != nil {
		return nil, err
	}
	for i := range rows {
		for class, probability := range Softmax(logits[i]) {
			rows[i][class] = (rows[i][class] + probability) / 2
		}
	}
	return rows, nil
}

// Softmax is exp(logit)/Σ exp(logits), without overflow.
func Softmax(logits []float32) []float64 {
	highest := math.Inf(-1)
	for _, v := range logits {
		highest = max(highest, float64(v))
	}
	out, sum := make([]float64, len(logits)), 0.0
	for i, v := range logits {
		out[i] = math.Exp(float64(v) - highest)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// CrossEntropy is −log softmax(logits)[class], in nats.
func CrossEntropy(logits []float32, class int) float64 {
	highest := math.Inf(-1)
	for _, v := range logits {
		highest = max(highest, float64(v))
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - highest)
	}
	return math.Log(sum) + highest - float64(logits[class])
}
