package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"catdog/pipeline/artifact"
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/plot"
	"catdog/pipeline/stage"
	"catdog/pipeline/train/record"
)

var accuracyPart = part{
	name: "accuracy", title: "Accuracy against time",
	about: "Minutes of training, validation and checkpoints included, until the validation split is told right to so many per cent for the first time, " +
		"by the current model of `DATASET` and each `EXPERIMENT` as its own history.csv and runtime.json say, if this CPU made it with all its cores. " +
		"The peer trains the same network from the same pack with the same schedule, optimiser, moving average and augmentation, channels-last, compiled where a few steps are faster so, " +
		"for its first two epochs; from there on it is taken to need as many epochs as ours, each as long as those two, validation left out. Ours is as fast as the machine was on the day of the training, the peer as it is now. " +
		"`make bench ONLY=accuracy DATASET=dogs-vs-cats EXPERIMENT=\"64px-fast 64px\"` measures two.",
	measure: measureAccuracy,
}

// accuracyFigure lies beside the report.
const accuracyFigure = "accuracy.svg"

// milestones are validation accuracies.
var milestones = []float64{0.90, 0.93, 0.95, 0.96}

// A moment is how good a training was when, in minutes.
type moment struct{ minutes, accuracy float64 }

func measureAccuracy(s *session) (rows []Row, err error) {
	experiments := strings.Fields(os.Getenv("EXPERIMENT"))
	if len(experiments) == 0 {
		experiments = []string{""} // the data set's usual one
	}
	var curves []plot.Series
	for _, experiment := range experiments {
		run, err := currentTraining(experiment)
		if errors.Is(err, errNothingToShow) {
			s.note("%v", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := s.needPython("peers", "requirements.txt"); err != nil {
			return nil, err
		}
		s.Reporter.Say("trains %s for two epochs by PyTorch", run.name)
		measured, setting, err := s.torchTraining(run)
		if err != nil {
			return nil, err
		}
		more, lines := s.besideTorch(run, setting, measured)
		rows, curves = append(rows, more...), append(curves, lines...)
	}
	if len(curves) == 0 {
		return nil, nil
	}
	axes := plot.Axes{Title: "Accuracy against time", X: "minutes", Y: "validation accuracy", YPercent: true}
	s.figure = accuracyFigure
	return rows, plot.Lines(filepath.Join(s.Reports, accuracyFigure), axes, curves...)
}

// besideTorch sets a training beside the peer's first epochs, and beside what
// those make of the rest.
func (s *session) besideTorch(run *training, setting string, measured []moment) (rows []Row, curves []plot.Series) {
	last := measured[len(measured)-1]
	perEpoch := last.minutes / float64(len(measured))
	rest := []moment{last}
	for epoch := len(measured); epoch < len(run.moments); epoch++ {
		rest = append(rest, moment{perEpoch * float64(epoch+1), run.moments[epoch].accuracy})
	}
	expected := append(measured[:len(measured):len(measured)], rest[1:]...)
	for _, milestone := range milestones {
		one, other := reached(run.moments, milestone), reached(expected, milestone)
		if one == 0 || other == 0 {
			s.note("%s never reaches %.0f %% of the validation split", run.name, 100*milestone)
			continue
		}
		rows = append(rows, less(fmt.Sprintf("%s, %.0f %% told right", run.name, 100*milestone), "min", sample{one}, "PyTorch, taken on", sample{other}))
	}
	rows = append(rows, more(run.name+", epochs", "1/h", sample{60 / run.perEpoch}, setting, sample{60 / perEpoch}))
	taken := series(run.name+": PyTorch, at its pace and with our accuracy", rest)
	taken.Dashed = true
	return rows, []plot.Series{series(run.name+": ours", run.moments), series(run.name+": "+setting, measured), taken}
}

func series(name string, moments []moment) plot.Series {
	s := plot.Series{Name: name}
	for _, m := range moments {
		s.X, s.Y = append(s.X, m.minutes), append(s.Y, m.accuracy)
	}
	return s
}

// reached is the minute in which an accuracy was first reached, 0 for never.
func reached(moments []moment, accuracy float64) float64 {
	for _, m := range moments {
		if m.accuracy >= accuracy {
			return m.minutes
		}
	}
	return 0
}

// A training is what the stage train left behind.
type training struct {
	name         string // data set and experiment
	folder, pack string
	moments      []moment // after each epoch
	perEpoch     float64  // minutes, validation left out
	threads      int      // that computed
}

// errNothingToShow is why a training cannot be set beside a peer's.
var errNothingToShow = errors.New("there is no training to show")

// currentTraining is that of an experiment on the environment's data set.
func currentTraining(experiment string) (*training, error) {
	project, err := stage.OpenVariant(nil, cmp.Or(os.Getenv("DATASET"), "sample"), experiment, "")
	if err != nil {
		return nil, err
	}
	run := &training{name: project.Params.Dataset + ", " + project.Params.Experiment}
	manifests := map[string]*artifact.Manifest{}
	folders := map[string]string{}
	for _, name := range []string{"pack", "train"} {
		definition := stage.Find(name)
		manifest, err := artifact.ReadManifest(project.Pointer(definition))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: nobody has trained %s yet", errNothingToShow, run.name)
		}
		if err != nil {
			return nil, err
		}
		manifests[name], folders[name] = manifest, definition.Folder(project.Params.Dataset, manifest.Key)
	}
	run.folder, run.pack = folders["train"], filepath.Join(folders["pack"], "pack.arrow")
	if manifests["train"].Inputs["pack"] != manifests["pack"].Digest {
		return nil, fmt.Errorf("%w: %s was trained on another pack than the current one", errNothingToShow, run.name)
	}
	here := isa.Detect().Describe(0, "float32", isa.Winograd)
	if engine := manifests["train"].Engine; engine != here {
		return nil, fmt.Errorf("%w: %s was trained by %s, this is %s", errNothingToShow, run.name, engine, here)
	}
	if err := run.read(); err != nil {
		return nil, err
	}
	if run.threads != runtime.NumCPU() {
		return nil, fmt.Errorf("%w: %s was trained with %d threads, here are %d processors; without %s, make trains it anew", errNothingToShow, run.name, run.threads, runtime.NumCPU(), run.folder)
	}
	return run, nil
}

// read fills in the times and accuracies.
func (t *training) read() error {
	rows, err := record.ReadHistory(filepath.Join(t.folder, "history.csv"))
	if err != nil {
		return err
	}
	threads, times, err := readEpochTimes(t.folder)
	if err != nil {
		return err
	}
	t.threads = threads
	if len(times) != len(rows) || len(rows) == 0 {
		return fmt.Errorf("%s: %d epochs in history.csv and %d in runtime.json", t.folder, len(rows), len(times))
	}
	whole, learning := 0.0, 0.0
	for i, row := range rows {
		for phase, seconds := range times[i].Seconds {
			whole += seconds / 60
			if phase != record.Validation {
				learning += seconds / 60
			}
		}
		t.moments = append(t.moments, moment{whole, row.ValidationAccuracy})
	}
	t.perEpoch = learning / float64(len(rows))
	return nil
}

// readEpochTimes is with how many threads a run of the stage computed, and where
// the time of each epoch went.
func readEpochTimes(folder string) (threads int, times []record.EpochTime, err error) {
	text, err := os.ReadFile(filepath.Join(folder, "runtime.json"))
	if err != nil {
		return 0, nil, err
	}
	var run struct {
		Threads int                `json:"threads"`
		Epochs  []record.EpochTime `json:"epochs"`
	}
	if err := json.Unmarshal(text, &run); err != nil {
		return 0, nil, fmt.Errorf("read %s: %w", filepath.Join(folder, "runtime.json"), err)
	}
	return run.Threads, run.Epochs, nil
}

// torchTraining is the peer's first epochs, and the setting in which it was fast.
func (s *session) torchTraining(run *training) (moments []moment, setting string, err error) {
	command, err := s.script("peers", "accuracy.py", run.pack, filepath.Join(run.folder, "hyperparameters.json"), "2")
	if err != nil {
		return nil, "", err
	}
	errorsOf := &tail{}
	command.Stderr = errorsOf
	out, err := command.Output()
	if err != nil {
		return nil, "", errors.Join(s.Err(), fmt.Errorf("train by PyTorch: %w: %s", err, errorsOf.last()))
	}
	minutes := 0.0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var epoch struct {
			Versions map[string]string `json:"versions"`
			Compiled *bool             `json:"compiled"`
			Seconds  float64           `json:"seconds"`
			Accuracy float64           `json:"accuracy"`
		}
		if !strings.HasPrefix(lines.Text(), "{") {
			continue // libraries print lines of their own
		}
		if err := json.Unmarshal(lines.Bytes(), &epoch); err != nil {
			return nil, "", fmt.Errorf("train by PyTorch: %w", err)
		}
		for name, version := range epoch.Versions {
			s.versions[name] = version
		}
		if epoch.Compiled != nil {
			setting = map[bool]string{true: compiled, false: channelsLast}[*epoch.Compiled]
		}
		if epoch.Seconds > 0 {
			minutes += epoch.Seconds / 60
			moments = append(moments, moment{minutes, epoch.Accuracy})
		}
	}
	if len(moments) == 0 || setting == "" {
		return nil, "", errors.New("train by PyTorch: it says nothing of an epoch or of its setting")
	}
	return moments, setting, nil
}
