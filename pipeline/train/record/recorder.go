// Package record keeps the records of a training run: a row of history.csv for
// each epoch, the plots loss.png and accuracy.png, and where the time went in
// runtime.json. It knows which epoch's model is the best so far
// and has the program keep it. It depends on no network, engine or data, so
// that any training loop can use it.
package record

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"
)

// Options fix a Recorder.
type Options struct {
	Folder string // where the files go; it must exist
	// What computes, and with how many threads of the processor (0: it is not the
	// processor), for runtime.json.
	Device  string
	Threads int
	// Best is called when the epoch just added is the best so far, to keep its
	// model. May be nil.
	Best func(Row) error
	// Final is called by Finish, to keep the model as it is in the end. May be
	// nil.
	Final func() error
}

// A Recorder keeps the records of one run. It is used from one goroutine.
type Recorder struct {
	options     Options
	state       State
	accelerator *Accelerator // nil until Accelerated
}

// A State is all that a Recorder knows, for a checkpoint: it can be written as
// JSON and comes back without loss.
type State struct {
	Rows  []Row       `json:"rows"`
	Times []EpochTime `json:"times"` // of the rows' epochs
	Now   EpochTime   `json:"now"`   // of the epoch under way
	// How many threads computed; 0 where it is not the processor, or not always
	// the same number.
	Threads int `json:"threads"`
}

func (s State) clone() State {
	s.Rows, s.Times = slices.Clone(s.Rows), slices.Clone(s.Times)
	for i := range s.Times {
		s.Times[i].Seconds = maps.Clone(s.Times[i].Seconds)
	}
	s.Now.Seconds = maps.Clone(s.Now.Seconds)
	return s
}

// New begins the records of a run.
func New(options Options) *Recorder {
	return &Recorder{options: options, state: State{Threads: options.Threads, Now: EpochTime{Epoch: 1, Seconds: map[Phase]float64{}}}}
}

// State is what Restore needs to go on from here.
func (r *Recorder) State() State {
	return r.state.clone()
}

// Restore goes on with the records of an interrupted run.
func (r *Recorder) Restore(state State) error {
	for i, row := range state.Rows {
		if row.Epoch != i+1 {
			return fmt.Errorf("the history's row %d is of epoch %d", i+1, row.Epoch)
		}
	}
	if len(state.Times) != len(state.Rows) {
		return fmt.Errorf("times of %d epochs for a history of %d", len(state.Times), len(state.Rows))
	}
	state = state.clone()
	epochs := []*EpochTime{&state.Now}
	for i := range state.Times {
		epochs = append(epochs, &state.Times[i])
	}
	for _, epoch := range epochs {
		if epoch.Seconds == nil {
			epoch.Seconds = map[Phase]float64{}
		}
	}
	if state.Threads != r.options.Threads {
		state.Threads = 0
	}
	r.state = state
	return nil
}

// Add ends an epoch: its row joins the history, Best is called if it is the
// best so far, and all files are written anew.
func (r *Recorder) Add(row Row) error {
	if err := r.Append(row); err != nil {
		return err
	}
	return r.Write()
}

// Append is Add without writing: the files are those of before until Write.
func (r *Recorder) Append(row Row) error {
	if row.Epoch != len(r.state.Rows)+1 {
		return fmt.Errorf("record epoch %d: %d epochs are recorded", row.Epoch, len(r.state.Rows))
	}
	for _, v := range []float64{row.LearningRate, row.TrainLoss, row.TrainAccuracy, row.ValidationLoss, row.ValidationAccuracy} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("record epoch %d: %v is no number to compare with", row.Epoch, v)
		}
	}
	best, found := r.Best()
	r.state.Rows = append(r.state.Rows, row)
	r.state.Times = append(r.state.Times, r.state.Now)
	r.state.Now = EpochTime{Epoch: row.Epoch + 1, Seconds: map[Phase]float64{}}
	if (!found || row.Better(best)) && r.options.Best != nil {
		if err := r.options.Best(row); err != nil {
			return fmt.Errorf("keep the model of epoch %d: %w", row.Epoch, err)
		}
	}
	return nil
}

// Copy is another Recorder of what is recorded so far, which may be written in
// another goroutine.
func (r *Recorder) Copy() *Recorder {
	return &Recorder{r.options, r.state.clone(), r.accelerator}
}

// Rows are the epochs so far.
func (r *Recorder) Rows() []Row { return slices.Clone(r.state.Rows) }

// Best is the best row so far, see Row.Better; false before the first.
func (r *Recorder) Best() (Row, bool) {
	if len(r.state.Rows) == 0 {
		return Row{}, false
	}
	best := r.state.Rows[0]
	for _, row := range r.state.Rows[1:] {
		if row.Better(best) {
			best = row
		}
	}
	return best, true
}

// Stalled is how many epochs have passed since the one with the lowest
// validation loss (the first of equals), for early stopping.
func (r *Recorder) Stalled() int {
	lowest := 0
	for i, row := range r.state.Rows {
		if row.ValidationLoss < r.state.Rows[lowest].ValidationLoss {
			lowest = i
		}
	}
	return max(len(r.state.Rows)-1-lowest, 0)
}

// Finish ends the run: Final is called and all files are written a last time.
func (r *Recorder) Finish() error {
	if r.options.Final != nil {
		if err := r.options.Final(); err != nil {
			return fmt.Errorf("keep the final model: %w", err)
		}
	}
	return r.Write()
}

// Write replaces the files, each at once.
func (r *Recorder) Write() error {
	started := time.Now()
	if err := r.replace("history.csv", encodeHistory(r.state.Rows)); err != nil {
		return err
	}
	for name, draw := range map[string]func(string, []Row) error{"loss.png": DrawLoss, "accuracy.png": DrawAccuracy} {
		if err := draw(filepath.Join(r.options.Folder, name), r.state.Rows); err != nil {
			return fmt.Errorf("record %s: %w", name, err)
		}
	}
	r.Spent(Plots, time.Since(started))
	return r.writeRuntime()
}

func (r *Recorder) replace(name string, content []byte) error {
	if err := renameio.WriteFile(filepath.Join(r.options.Folder, name), content, 0o644, renameio.WithTempDir(r.options.Folder)); err != nil {
		return fmt.Errorf("record %s: %w", name, err)
	}
	return nil
}
