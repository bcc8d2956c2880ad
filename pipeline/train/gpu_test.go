//go:build gpu

package train

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/device"
	"catdog/pipeline/device/gpu"
	"catdog/pipeline/device/reference"
	"catdog/pipeline/pack"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
	"catdog/pipeline/train/record"
)

// fed hides that a GPU can hold data, so that the host feeds it.
type fed struct{ device.Device }

// onGPU trains in a folder on the machine's GPU, or on the stand-in where
// LD_LIBRARY_PATH has one.
func onGPU(t *testing.T, ctx context.Context, folder, precision string, data *dataset, p params.Train, hide bool) error {
	t.Helper()
	o := gpu.Options{Precision: precision}
	if _, err := gpu.Describe(o); err != nil {
		t.Skip(err)
	}
	var d device.Device
	d, err := gpu.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	if hide {
		d = fed{d}
	}
	_, err = run{parameters: p, folder: folder, reporter: progress.Discard()}.train(ctx, data, d)
	return err
}

func cutting() params.Train {
	p := smallParameters()
	p.Augment.Cutmix = 0.3
	return p
}

// Replayed steps on data that the GPU holds leave the bytes that single steps
// on data from the host leave.
func TestGPUReplaysTheStepsOfTheHost(t *testing.T) {
	data := drawnPack(t, 35, 12)
	for _, precision := range []string{"float32", "bfloat16"} {
		held, single := t.TempDir(), t.TempDir()
		if err := errors.Join(onGPU(t, t.Context(), held, precision, data, cutting(), false), onGPU(t, t.Context(), single, precision, data, cutting(), true)); err != nil {
			t.Fatal(err)
		}
		a, b := outputs(t, held), outputs(t, single)
		for _, name := range []string{bestName, finalName, "history.csv"} {
			if diff := cmp.Diff(a[name], b[name]); diff != "" {
				t.Errorf("%s: %s differs (-held +single):\n%.1000s", precision, name, diff)
			}
		}
	}
}

// Where the GPU has no room for the images beside all else that a run needs they
// stay in the host's memory, and the run leaves the same bytes. Without a byte
// less they are on the GPU, so that all else was asked for before.
func TestGPUHasRoomForAllButTheImages(t *testing.T) {
	data := drawnPack(t, 35, 12)
	var want map[string]string
	images := 0
	for _, split := range []pack.Split{pack.Train, pack.Validation} {
		for _, image := range data.Images(split) {
			images += len(image.Pixels)
		}
	}
	all := 0
	for _, less := range []int{0, 1, images, images + 1, images + 1<<12, images + 1<<14, images + 1<<16} {
		if all > 0 {
			t.Setenv("STANDIN_MEMORY", strconv.Itoa(all-less))
		}
		folder := t.TempDir()
		said, err := os.Create(filepath.Join(t.TempDir(), "said"))
		if err != nil {
			t.Fatal(err)
		}
		d, err := gpu.New(gpu.Options{Precision: "bfloat16"})
		if err != nil {
			t.Skip(err)
		}
		_, err = run{parameters: cutting(), folder: folder, reporter: progress.New("train", said)}.train(t.Context(), data, d)
		memory := int(d.Memory())
		if err = errors.Join(err, d.Close()); err != nil {
			t.Fatalf("%d bytes less than %d: %v", less, all, err)
		}
		if text, err := os.ReadFile(said.Name()); err != nil || strings.Contains(string(text), "from the host") != (less > images) {
			t.Errorf("%d bytes less than %d: %s %v", less, all, text, err)
		}
		if all == 0 {
			all, want = memory, outputs(t, folder)
			continue
		}
		if diff := cmp.Diff(want, outputs(t, folder)); diff != "" {
			t.Errorf("%d bytes less than %d: outputs differ (-roomy +tight):\n%.1000s", less, all, diff)
		}
	}
}

// A run that is stopped over and over ends with the same bytes.
func TestGPUGoesOnWithTheSameBytes(t *testing.T) {
	data := drawnPack(t, 35, 12)
	whole, parts := t.TempDir(), t.TempDir()
	if err := onGPU(t, t.Context(), whole, "bfloat16", data, cutting(), false); err != nil {
		t.Fatal(err)
	}
	stops, random := 0, rand.New(rand.NewPCG(1, 1))
	for {
		err := onGPU(t, &countdown{Context: t.Context(), left: 2 + random.IntN(9), done: make(chan struct{})}, parts, "bfloat16", data, cutting(), false)
		if err == nil {
			break
		}
		if !errors.As(err, new(Interrupted)) {
			t.Fatal(err)
		}
		if stops++; stops > 100 {
			t.Fatal("it never ends")
		}
	}
	if stops < 2 {
		t.Errorf("stopped %d times", stops)
	}
	if diff := cmp.Diff(outputs(t, whole), outputs(t, parts)); diff != "" {
		t.Errorf("outputs differ (-undisturbed +interrupted):\n%.2000s", diff)
	}
}

// Each epoch's losses, in nats, agree with the reference's. In bfloat16 they
// part as two trainings with other seeds do, only less.
func TestGPUTrainsAsTheReferenceDoes(t *testing.T) {
	data := drawnPack(t, 35, 12)
	d := reference.New()
	defer d.Close()
	want := t.TempDir()
	if _, err := (run{parameters: cutting(), folder: want, reporter: progress.Discard()}).train(t.Context(), data, d); err != nil {
		t.Fatal(err)
	}
	for precision, tolerance := range map[string]float64{"float32": 1e-3, "bfloat16": 0.08} {
		got := t.TempDir()
		if err := onGPU(t, t.Context(), got, precision, data, cutting(), false); err != nil {
			t.Fatal(err)
		}
		theirs, ours := losses(t, want), losses(t, got)
		if len(ours) != len(theirs) || len(ours) != 2*cutting().Epochs {
			t.Fatalf("%d and %d losses", len(ours), len(theirs))
		}
		for i := range ours {
			if off := math.Abs(ours[i] - theirs[i]); !(off <= tolerance) {
				t.Errorf("%s: losses %g, of the reference %g", precision, ours, theirs)
				break
			}
		}
	}
}

// losses are those of training and validation in history.csv.
func losses(t *testing.T, folder string) (values []float64) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "history.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	head := strings.Split(lines[0], ",")
	for _, line := range lines[1:] {
		for i, cell := range strings.Split(line, ",") {
			if strings.HasSuffix(head[i], "loss") {
				value, err := strconv.ParseFloat(cell, 64)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, value)
			}
		}
	}
	return values
}

// A batch that is too large is found out before training starts, with what was
// needed and a batch that fits. (The stand-in has 1 GiB: of 8×8 pixels the
// outputs do not fit, of 6×6 their gradients.)
func TestGPUOutOfMemorySaysWhatFits(t *testing.T) {
	for _, side := range []int{6, 8} {
		p := smallParameters()
		p.Batch = 2048
		p.Network = params.Network{Height: side, Width: side, Channels: []int{4096}, Residuals: []int{0}, Pools: []int{2}, Head: "average"}
		testOutOfMemory(t, p)
	}
}

func testOutOfMemory(t *testing.T, p params.Train) {
	t.Helper()
	folder := t.TempDir()
	err := onGPU(t, t.Context(), folder, "bfloat16", drawnPack(t, 2050, 12), p, false)
	if err == nil {
		t.Skip("this GPU has room for it")
	}
	for _, want := range []string{"train.batch: 2048 images a step need ", " GB free; ", " would fit"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if files, _ := os.ReadDir(folder); len(files) > 0 {
		t.Errorf("it left %v", files)
	}
	t.Log(err)
}

// runtime.json says how busy the GPU was.
func TestGPUSaysHowBusyItWas(t *testing.T) {
	folder := t.TempDir()
	p := smallParameters()
	p.Epochs = 2
	if err := onGPU(t, t.Context(), folder, "bfloat16", drawnPack(t, 20, 4), p, false); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(folder, "runtime.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ GPU record.Accelerator }
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	a := file.GPU
	if !(a.BusyShare > 0 && a.StepSeconds > 0 && a.PredictionSeconds > 0 && a.TeraFLOPS > 0 && a.ArithmeticShare > 0 && a.MemoryShare > 0) || a.MemoryBytes <= 0 || a.StepLaunches <= a.PredictionLaunches {
		t.Errorf("%+v", a)
	}
	t.Logf("a step of the small network: %d launches", a.StepLaunches)
}
