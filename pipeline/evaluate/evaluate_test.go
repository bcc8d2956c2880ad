package evaluate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catdog/pipeline/artifact"
	"catdog/pipeline/model"
	"catdog/pipeline/network"
	"catdog/pipeline/pack"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
	"catdog/pipeline/stage"
	"catdog/pipeline/weights"
)

var threeClasses = []string{"cat", "dog", "fox"}

// newJob is a pack of three classes and an untrained network that tells them
// apart all the same: the classes are plain colours, and the dense layer looks
// at what the first convolution makes of them.
func newJob(t *testing.T) *stage.Job {
	t.Helper()
	folder := t.TempDir()
	parameters := params.Train{Device: "cpu", Precision: "float32", Threads: 1, Network: params.Network{
		Height: 8, Width: 8, Channels: []int{3}, Residuals: []int{0}, Pools: []int{1}, Head: "average",
	}}

	const images = 90
	table := pack.Table{Classes: threeClasses, Height: 10, Width: 10, Origin: "test"}
	for i := range images {
		table.Rows = append(table.Rows, pack.Row{Path: fmt.Sprintf("a/%03d.jpg", i), Class: i % 3, Split: pack.Split(i / 3 % 3)})
	}
	table.Pixels = func(row int) ([]byte, error) {
		pixels := make([]byte, 10*10*3)
		colour := row % 3
		if row == 80 { // of the test split: looks like another class
			colour = (colour + 1) % 3
		}
		for i := colour; i < len(pixels); i += 3 {
			pixels[i] = byte(150 + row)
		}
		return pixels, nil
	}
	packFile := filepath.Join(folder, "pack.arrow")
	if _, err := pack.Write(packFile, table); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(packFile)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(content)

	description, err := network.New(parameters.Network, threeClasses)
	if err != nil {
		t.Fatal(err)
	}
	tensors := description.Initial(0)
	for _, tensor := range tensors {
		switch tensor.Name {
		case "block1.conv.weight", "head.dense.weight":
			size := len(tensor.Values) / 9 // of each channel's window
			for i := range tensor.Values {
				tensor.Values[i] = 0
			}
			for channel := range 3 {
				tensor.Values[(channel*3+channel)*size+size/2] = 2
			}
		}
	}
	trained := filepath.Join(folder, "model")
	if err := os.Mkdir(trained, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := weights.Write(filepath.Join(trained, "best.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	err = model.Write(trained, model.Info{
		Classes: threeClasses,
		Stored:  model.Stored{Height: 10, Width: 10, Mode: "stretch", Background: []int{0, 0, 0}},
		Input:   model.Input{Height: 8, Width: 8, Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.25, 0.25, 0.25}},
		Network: model.Network(parameters.Network),
		Weights: "best.safetensors", BestEpoch: 3,
	})
	if err != nil {
		t.Fatal(err)
	}

	output := filepath.Join(folder, "output")
	if err := os.Mkdir(output, 0o777); err != nil {
		t.Fatal(err)
	}
	return &stage.Job{
		Params: &params.Params{Dataset: "colours", Experiment: "quick", Sections: params.Sections{
			Train:    parameters,
			Evaluate: params.Evaluate{Mirror: true, Bins: 10, Mistakes: 5},
		}},
		Progress: progress.Discard(),
		Folder:   output,
		Inputs: map[string]*stage.Input{
			"pack": {Folder: folder, Manifest: &artifact.Manifest{
				Files: []artifact.File{{Path: "pack.arrow", Size: int64(len(content)), SHA256: hex.EncodeToString(digest[:])}},
			}},
			"train": {Folder: trained, Manifest: &artifact.Manifest{}},
		},
	}
}

func TestRun(t *testing.T) {
	job := newJob(t)
	summary, err := Run(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(summary, "test accuracy 96.67 % (95 % interval 83.33–99.41) on 30 images") {
		t.Errorf("summary %q", summary)
	}
	first := contents(t, job.Folder)
	var metrics Metrics
	if err := json.Unmarshal([]byte(first["metrics.json"]), &metrics); err != nil {
		t.Fatal(err)
	}
	splits := metrics.Splits
	if splits.Train.N != 30 || splits.Validation.N != 30 || splits.Test.N != 30 || splits.Train.Accuracy != 1 {
		t.Errorf("splits %+v", splits)
	}
	if metrics.Model.Parameters != 3*3*9+2*3+3*3+3 || metrics.Model.BestEpoch != 3 || len(metrics.Model.Digest) != 64 {
		t.Errorf("model %+v", metrics.Model)
	}
	if got := strings.Count(first["predictions.csv"], "\n"); got != 31 {
		t.Errorf("predictions.csv has %d lines", got)
	}
	if got := first["mistakes.csv"]; !strings.HasPrefix(got, "path,class,predicted,probability\na/080.jpg,fox,cat,0.") || strings.Count(got, "\n") != 2 {
		t.Errorf("mistakes.csv is\n%s", got)
	}
	for _, name := range []string{"confusion", "roc", "reliability"} {
		if figure := first["figures/"+name+".svg"]; !strings.Contains(figure, "</svg>") {
			t.Errorf("%s.svg is %q", name, figure)
		}
	}
	if len(first) != 6 {
		t.Errorf("%d files", len(first))
	}

	again := newJob(t)
	if _, err := Run(context.Background(), again); err != nil {
		t.Fatal(err)
	}
	for name, content := range contents(t, again.Folder) {
		if content != first[name] {
			t.Errorf("%s differs when made again", name)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for want, spoil := range map[string]func(*stage.Job){
		"lists no pack.arrow": func(job *stage.Job) { job.Inputs["pack"].Manifest.Files = nil },
		"pack.arrow":          func(job *stage.Job) { job.Inputs["pack"].Manifest.Files[0].SHA256 = strings.Repeat("0", 64) },
		"best.safetensors": func(job *stage.Job) {
			os.WriteFile(filepath.Join(job.Inputs["train"].Folder, "best.safetensors"), nil, 0o644)
		},
		"the pack has [cat dog fox] in 10×10": func(job *stage.Job) {
			name := filepath.Join(job.Inputs["train"].Folder, "model.json")
			text, _ := os.ReadFile(name)
			os.WriteFile(name, []byte(strings.Replace(string(text), `"fox"`, `"ape"`, 1)), 0o644)
		},
	} {
		job := newJob(t)
		spoil(job)
		if _, err := Run(context.Background(), job); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, newJob(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

// contents are the files of a folder by their slash-separated path.
func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(folder, path)
		files[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
