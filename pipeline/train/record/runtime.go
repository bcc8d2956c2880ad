package record

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// A Phase is a part of training whose time is counted apart.
type Phase string

// The phases of an epoch.
const (
	DataWait   Phase = "data_wait"  // the step waited for its batch
	Step       Phase = "step"       // forward, backward, update
	Validation Phase = "validation" // predicting the validation split
	Checkpoint Phase = "checkpoint" // saving the state
	Plots      Phase = "plots"      // drawing and writing the records
)

// An EpochTime is where the time of an epoch went.
type EpochTime struct {
	Epoch   int               `json:"epoch"`
	Images  int               `json:"images"` // trained on
	Seconds map[Phase]float64 `json:"seconds"`
}

// ImagesPerSecond is the rate of training, waiting for data included,
// validation and the rest left out.
func (e EpochTime) ImagesPerSecond() float64 {
	return perSecond(e.Images, e.Seconds[DataWait]+e.Seconds[Step])
}

func perSecond(images int, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(images) / seconds
}

// An Accelerator is what is known of a device that goes through epochs by
// itself: how long its single pieces of work take, one at a time, and which
// share of the time they fill.
type Accelerator struct {
	// BusyShare is the time in which steps and predictions were under way (see
	// device.Effort) over WallSeconds, the time from when the data was given to
	// the device to the end of training, validation and checkpoints included,
	// since this process began.
	BusyShare          float64 `json:"busy_share"`
	WallSeconds        float64 `json:"wall_seconds"`
	StepSeconds        float64 `json:"step_kernel_seconds"` // a training batch
	StepLaunches       int     `json:"step_launches"`
	StepBytes          int64   `json:"step_least_bytes"`          // each operand of each operation once
	PredictionSeconds  float64 `json:"prediction_kernel_seconds"` // a validation batch
	PredictionLaunches int     `json:"prediction_launches"`
	TeraFLOPS          float64 `json:"teraflops"` // of convolutions and dense layers, while a step computes
	// Shares of what the device can do at most, while a step computes; 0 where
	// that is unknown. A step's memory share is of StepBytes.
	ArithmeticShare float64 `json:"arithmetic_share"`
	MemoryShare     float64 `json:"memory_share"`
	MemoryBytes     int64   `json:"memory_bytes"` // in use
}

// Accelerated sets runtime.json's entry gpu, and writes that file.
func (r *Recorder) Accelerated(a Accelerator) error {
	r.accelerator = &a
	return r.writeRuntime()
}

func (r *Recorder) writeRuntime() error {
	content, err := encodeRuntime(r.options.Device, r.accelerator, r.state)
	if err != nil {
		return fmt.Errorf("record runtime.json: %w", err)
	}
	return r.replace("runtime.json", content)
}

// runtimeFile is the content of runtime.json.
type runtimeFile struct {
	Device          string            `json:"device"`
	Threads         int               `json:"threads,omitempty"`
	ImagesPerSecond float64           `json:"images_per_second"` // images / (data_wait + step)
	DataWaitShare   float64           `json:"data_wait_share"`   // data_wait / (data_wait + step)
	PeakMemoryBytes int64             `json:"peak_memory_bytes"` // of the whole process, 0 where unknown
	TotalSeconds    float64           `json:"total_seconds"`
	Seconds         map[Phase]float64 `json:"seconds"`
	GPU             *Accelerator      `json:"gpu,omitempty"`
	Epochs          []epochFile       `json:"epochs"`
}

type epochFile struct {
	EpochTime
	ImagesPerSecond float64 `json:"images_per_second"`
}

// encodeRuntime is runtime.json; its seconds are rounded to milliseconds.
func encodeRuntime(device string, gpu *Accelerator, state State) ([]byte, error) {
	file := runtimeFile{Device: device, Threads: state.Threads, GPU: gpu, PeakMemoryBytes: peakMemory(), Seconds: map[Phase]float64{}, Epochs: []epochFile{}}
	images := 0
	for _, epoch := range state.Times {
		images += epoch.Images
		rounded := map[Phase]float64{}
		for phase, seconds := range epoch.Seconds {
			file.Seconds[phase] += seconds
			file.TotalSeconds += seconds
			rounded[phase] = milliseconds(seconds)
		}
		file.Epochs = append(file.Epochs, epochFile{
			EpochTime{epoch.Epoch, epoch.Images, rounded}, tenths(epoch.ImagesPerSecond())})
	}
	training := file.Seconds[DataWait] + file.Seconds[Step]
	file.ImagesPerSecond = tenths(perSecond(images, training))
	if training > 0 {
		file.DataWaitShare = math.Round(file.Seconds[DataWait]/training*1e4) / 1e4
	}
	file.TotalSeconds = milliseconds(file.TotalSeconds)
	for phase, seconds := range file.Seconds {
		file.Seconds[phase] = milliseconds(seconds)
	}
	content, err := json.MarshalIndent(file, "", "  ")
	return append(content, '\n'), err
}

func milliseconds(v float64) float64 { return math.Round(v*1e3) / 1e3 }
func tenths(v float64) float64       { return math.Round(v*10) / 10 }

// Spent adds time to a phase of the epoch under way; checkpoints and plots,
// which follow an epoch, count for the one that was added last.
func (r *Recorder) Spent(phase Phase, time time.Duration) {
	epoch := &r.state.Now
	if last := len(r.state.Times) - 1; last >= 0 && (phase == Checkpoint || phase == Plots) {
		epoch = &r.state.Times[last]
	}
	epoch.Seconds[phase] += time.Seconds()
}

// Trained counts images that the epoch under way has trained on.
func (r *Recorder) Trained(images int) { r.state.Now.Images += images }

// Pace is the epoch under way so far.
func (r *Recorder) Pace() EpochTime { return r.state.Now }

// ImagesPerSecond is the rate of training over all complete epochs.
func (r *Recorder) ImagesPerSecond() float64 {
	images, seconds := 0, 0.0
	for _, epoch := range r.state.Times {
		images += epoch.Images
		seconds += epoch.Seconds[DataWait] + epoch.Seconds[Step]
	}
	return perSecond(images, seconds)
}
