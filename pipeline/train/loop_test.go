package train

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/engine"
	"catdog/pipeline/model"
	"catdog/pipeline/network"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
	"catdog/pipeline/train/record"
)

var classes = []string{"cat", "dog"}

func fakeParameters() params.Train {
	return params.Train{
		Epochs: 4, Batch: 6, AverageDecay: 0.9, Seed: 3,
		Network:      params.Network{Height: 8, Width: 8, Channels: []int{2}, Residuals: []int{0}, Pools: []int{2}, Head: "average"},
		LearningRate: params.LearningRate{Peak: 0.05, Warmup: 0.2, Schedule: "cosine"},
	}
}

// attempt runs the fake trainer in a folder, from what is there to the end.
func attempt(ctx context.Context, t testing.TB, folder string, p params.Train, trainer *fakeTrainer) (*loop, error) {
	t.Helper()
	return attemptWith(ctx, t, folder, p, trainer, func(*loop) {})
}

// attemptWith lets change what is attempted before it begins.
func attemptWith(ctx context.Context, t testing.TB, folder string, p params.Train, trainer *fakeTrainer, change func(*loop)) (*loop, error) {
	t.Helper()
	description, err := network.New(p.Network, classes)
	if err != nil {
		t.Fatal(err)
	}
	trainer.classes = len(classes)
	source := fakeBatches{steps: 5, batch: p.Batch, inputs: 4, classes: len(classes)}
	r := run{parameters: p, folder: folder, models: filepath.Dir(filepath.Dir(folder)), reporter: progress.Discard()}
	l := &loop{parameters: p, classes: len(classes), trainer: trainer, source: source,
		validate: source.validate(trainer, kept(p)), reporter: r.reporter,
		checkpoint: filepath.Join(folder, checkpointName), at: progressState{Epoch: 1}}
	l.recorder = record.New(record.Options{Folder: folder, Device: "fake",
		Best:  func(record.Row) error { return l.keepBest() },
		Final: func() error { return l.writeFinal(folder) }})
	change(l)
	if err := r.begin(l, description); err != nil {
		return l, err
	}
	if err := l.run(ctx); err != nil {
		return l, err
	}
	info := model.Info{Classes: classes, Stored: model.Stored{Height: 10, Width: 10, Mode: "stretch", Background: []int{1, 2, 3}},
		Input: model.Input{Height: 8, Width: 8, Std: [3]float32{1, 1, 1}}, Network: model.Network(p.Network), Weights: bestName, Average: kept(p) == engine.Average}
	return l, r.finish(l, description, info, "fake")
}

// outputs are a folder's files but those that hold times: runtime.json, and the
// checkpoint, which is there until the artifact is.
func outputs(t testing.TB, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() == "runtime.json" || entry.Name() == checkpointName {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = string(content)
	}
	return files
}

func TestOutputs(t *testing.T) {
	folder := t.TempDir()
	l, err := attempt(t.Context(), t, folder, fakeParameters(), &fakeTrainer{})
	if err != nil {
		t.Fatal(err)
	}
	files := outputs(t, folder)
	for _, name := range []string{"best.safetensors", "final.safetensors", "model.json", "hyperparameters.json", "history.csv", "summary.txt", "network.svg", "loss.png", "accuracy.png"} {
		if len(files[name]) == 0 {
			t.Errorf("%s is missing", name)
		}
	}
	if len(files) != 9 {
		t.Errorf("%d files", len(files))
	}
	m, err := model.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	best, _ := l.recorder.Best()
	if m.BestEpoch != best.Epoch || !m.Average || !cmp.Equal(m.Tensors, l.best) {
		t.Errorf("model %+v", m.Info)
	}
	rows := l.recorder.Rows()
	if len(rows) != 4 || rows[3].ValidationLoss >= rows[0].ValidationLoss {
		t.Errorf("nothing was learnt: %+v", rows)
	}
	if !strings.HasPrefix(l.summary(), "best validation accuracy ") || !strings.Contains(l.summary(), " of 4, ") {
		t.Errorf("summary %q", l.summary())
	}
}

// TestInterrupted: runs that are stopped at random steps, by Ctrl-C or
// without warning, and gone on with end with the bytes of an undisturbed one.
func TestInterrupted(t *testing.T) {
	p := fakeParameters()
	folder := t.TempDir()
	if _, err := attempt(t.Context(), t, folder, p, &fakeTrainer{}); err != nil {
		t.Fatal(err)
	}
	want := outputs(t, folder)
	killed := errors.New("killed")
	random := rand.New(rand.NewPCG(1, 2))
	for range 4 {
		folder := t.TempDir()
		interruptedAt := 0 // steps of a run that Ctrl-C ended, so that they are in the checkpoint
		for attempts := 0; ; attempts++ {
			ctx, cancel := context.WithCancel(t.Context())
			stop, kill := random.IntN(14), random.IntN(2) == 0
			trainer := &fakeTrainer{before: func(steps int) {
				if steps == stop && !kill {
					cancel()
				}
			}}
			trainer.fail = func(int) error {
				if kill && trainer.steps == stop+1 && attempts < 10 {
					return killed
				}
				return nil
			}
			l, err := attempt(ctx, t, folder, p, trainer)
			cancel()
			if err == nil {
				if interruptedAt > 0 && trainer.steps == 20 {
					t.Fatal("the last run began anew")
				}
				break
			}
			var interrupted Interrupted
			switch {
			case errors.Is(err, killed):
			case errors.As(err, &interrupted):
				interruptedAt += stop
				if err.Error() != (Interrupted{l.at.Epoch, 4}).Error() || !errors.Is(err, context.Canceled) {
					t.Fatalf("error %v in epoch %d", err, l.at.Epoch)
				}
			default:
				t.Fatal(err)
			}
			// What a killed write leaves behind must not become an output.
			if err := os.WriteFile(filepath.Join(folder, ".history.csv123"), []byte("half"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, outputs(t, folder)); diff != "" {
			t.Fatalf("outputs differ (-undisturbed +interrupted):\n%.2000s", diff)
		}
	}
}

func TestInterruptedMessage(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	trainer := &fakeTrainer{before: func(steps int) {
		if steps == 7 {
			cancel()
		}
	}}
	folder := t.TempDir()
	_, err := attempt(ctx, t, folder, fakeParameters(), trainer)
	if err == nil || err.Error() != "interrupted in epoch 2 of 4; run make again to go on" {
		t.Errorf("error %v", err)
	}
	c, err := loadCheckpoint(filepath.Join(folder, checkpointName))
	if err != nil || c.Epoch != 2 || c.Step != 3 {
		t.Errorf("checkpoint in epoch %d, step %d: %v", c.Epoch, c.Step, err)
	}
}

func TestDiverges(t *testing.T) {
	folder := t.TempDir()
	_, err := attempt(t.Context(), t, folder, fakeParameters(), &fakeTrainer{diverges: 13})
	path := filepath.Join(folder, checkpointName)
	if want := "the loss is NaN in epoch 3 of 4, step 3 of 5; the state that was saved last is kept in " + path + "; a lower train.learning_rate.peak may help"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	c, err := loadCheckpoint(path)
	if err != nil || c.Epoch != 3 || c.Step != 0 || len(c.best) == 0 {
		t.Errorf("checkpoint in epoch %d, step %d: %v", c.Epoch, c.Step, err)
	}
	if _, err := attempt(t.Context(), t, t.TempDir(), fakeParameters(), &fakeTrainer{diverges: 1}); err == nil || !strings.Contains(err.Error(), "step 1 of 5; no state was saved before;") {
		t.Errorf("error %v", err)
	}
}

func TestPatience(t *testing.T) {
	p := fakeParameters()
	p.Epochs, p.Patience = 30, 2
	p.LearningRate = params.LearningRate{Peak: 3, Schedule: "constant"} // far too much
	folder := t.TempDir()
	l, err := attempt(t.Context(), t, folder, p, &fakeTrainer{})
	if err != nil {
		t.Fatal(err)
	}
	rows := l.recorder.Rows()
	if len(rows) == 30 || l.recorder.Stalled() != 2 {
		t.Errorf("%d epochs, %d without a lower loss", len(rows), l.recorder.Stalled())
	}
	if !strings.Contains(l.summary(), "(stopped early, 30 were planned)") {
		t.Errorf("summary %q", l.summary())
	}
}

func TestScore(t *testing.T) {
	logits := []float32{2, 1, 0, 0, 3, 1}
	targets := []float32{0.3, 0.6, 0.1, 0.05, 0.9, 0.05} // a mixture's label is its larger part
	loss, correct := score(logits, targets, 3)
	want := model.CrossEntropy(logits[:3], 1) + model.CrossEntropy(logits[3:], 1)
	if loss != want || correct != 1 {
		t.Errorf("loss %g, %d correct, want %g, 1", loss, correct, want)
	}
}
