package classify

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/h2non/bimg"
	"golang.org/x/sys/unix"

	"catdog/pipeline/artifact"
	"catdog/pipeline/model"
	"catdog/pipeline/network"
	"catdog/pipeline/params"
	"catdog/pipeline/photo"
	"catdog/pipeline/progress"
	"catdog/pipeline/stage"
	"catdog/pipeline/weights"
)

func TestMain(m *testing.M) {
	photo.ServeIfWorker()
	os.Exit(m.Run())
}

// plain is a photo of one colour.
func plain(t *testing.T, format string, c color.Color) []byte {
	t.Helper()
	canvas := image.NewRGBA(image.Rect(0, 0, 40, 30))
	for i := range 40 * 30 {
		canvas.Set(i%40, i/40, c)
	}
	var out bytes.Buffer
	var err error
	if format == "png" {
		err = png.Encode(&out, canvas)
	} else {
		err = jpeg.Encode(&out, canvas, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func put(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

func archive(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := zip.NewWriter(&out)
	for name, content := range files {
		entry, err := writer.Create(name)
		if err == nil {
			_, err = entry.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// putModel writes a network that tells red, green and blue apart, and returns
// the digest of its weights.
func putModel(t *testing.T, folder string) string {
	t.Helper()
	input := params.Network{Height: 8, Width: 8, Channels: []int{3}, Residuals: []int{0}, Pools: []int{1}, Head: "average"}
	classes := []string{"red", "green", "blue"}
	description, err := network.New(input, classes)
	if err != nil {
		t.Fatal(err)
	}
	tensors := description.Initial(0)
	for _, tensor := range tensors {
		if strings.HasSuffix(tensor.Name, ".weight") {
			window := len(tensor.Values) / 9 // of each channel
			clear(tensor.Values)
			for channel := range 3 {
				tensor.Values[(channel*3+channel)*window+window/2] = 2
			}
		}
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := weights.Write(filepath.Join(folder, "best.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	info := model.Info{
		Classes: classes,
		Stored:  model.Stored{Height: 10, Width: 10, Mode: "pad", Background: []int{128, 128, 128}},
		Input:   model.Input{Height: 8, Width: 8, Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.5, 0.5, 0.5}},
		Network: model.Network(input), Weights: "best.safetensors", BestEpoch: 1,
	}
	if err := model.Write(folder, info); err != nil {
		t.Fatal(err)
	}
	m, err := model.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	return m.SHA256
}

// newProject is a project's folder with parameters and a published model; the
// test runs in it.
func newProject(t *testing.T) *stage.Project {
	t.Helper()
	text, err := os.ReadFile("../../params.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	put(t, "params.yaml", text)
	putModel(t, "models/published/colours")
	project, err := stage.OpenProject(nil)
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestRun(t *testing.T) {
	project := newProject(t)
	red := plain(t, "jpeg", color.RGBA{230, 20, 20, 255})
	put(t, "photos/b/red.jpg", red)
	put(t, "photos/blue.png", plain(t, "png", color.RGBA{10, 10, 240, 255}))
	put(t, "photos/cut off.jpg", red[:len(red)/2])
	put(t, "photos/empty.jpg", nil)
	put(t, "photos/.hidden/red.jpg", red)
	put(t, "photos/notes\n.txt", []byte("These are words.\n"))
	put(t, "more.zip", archive(t, map[string][]byte{
		"x/bomb.jpg": make([]byte, 1<<20), "x/green.jpg": plain(t, "jpeg", color.RGBA{20, 220, 20, 255}), "__MACOSX/x/._green.jpg": {0}, "../../etc/red.jpg": red,
	}))

	var out strings.Builder
	options := Options{Photos: []string{"photos", "more.zip"}, CSV: "data/external/result.csv", Project: project}
	if err := Run(context.Background(), options, &out, progress.Discard()); err != nil {
		t.Fatal(err)
	}
	table := strings.Split(out.String(), "\n")
	for i, want := range []string{
		"model models/published/colours: red or green or blue, input 8×8, test accuracy not known",
		"",
		"photo                 predicted  probability",
		"photos/b/red.jpg      red        ",
		"photos/blue.png       blue       ",
		"photos/cut off.jpg    -          left out, truncated",
		"photos/empty.jpg      -          left out, empty",
		"photos/notes%0A.txt   -          left out, not-an-image",
		"more.zip/etc/red.jpg  red        ",
		`more.zip/x/bomb.jpg   -          left out, entry "x/bomb.jpg" unpacks from `,
		"more.zip/x/green.jpg  green      ",
		"8 photos: 2 red, 1 green, 1 blue, 4 left out",
		"",
	} {
		if i >= len(table) || !strings.HasPrefix(table[i], want) {
			t.Fatalf("line %d is not %q in\n%s", i, want, out.String())
		}
	}
	text, err := os.ReadFile("data/external/result.csv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 5 || lines[0] != "path,predicted,probability,p_red,p_green,p_blue" || !strings.HasPrefix(lines[1], "photos/b/red.jpg,red,0.") {
		t.Errorf("result.csv is\n%s", text)
	}
}

// TestHEIF holds that a photo as telephones take them is let in here.
func TestHEIF(t *testing.T) {
	project := newProject(t)
	heif, err := bimg.Resize(plain(t, "jpeg", color.RGBA{230, 20, 20, 255}), bimg.Options{Type: bimg.AVIF})
	if err != nil {
		t.Skip("libvips writes no AVIF here")
	}
	put(t, "red.avif", heif)
	var out strings.Builder
	if err := Run(context.Background(), Options{Photos: []string{"red.avif"}, Project: project}, &out, progress.Discard()); err != nil || !strings.Contains(out.String(), "red.avif  red ") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestRunRefuses(t *testing.T) {
	project := newProject(t)
	put(t, "words.txt", []byte("words"))
	put(t, "broken.zip", []byte("words"))
	if err := errors.Join(os.Mkdir("nothing", 0o777), unix.Mkfifo("pipe", 0o666)); err != nil {
		t.Fatal(err)
	}
	for want, options := range map[string]Options{
		"none of the photos could be classified": {Photos: []string{"words.txt"}},
		"no photos in nothing":                   {Photos: []string{"nothing"}},
		"open broken.zip: zip":                   {Photos: []string{"broken.zip"}},
		"pipe is neither a file, a folder":       {Photos: []string{"pipe"}},
		"look for photos: stat absent.jpg":       {Photos: []string{"absent.jpg"}},
		"read model: open nowhere/model.json":    {Photos: []string{"words.txt"}, Model: "nowhere"},
	} {
		options.Project = project
		var out strings.Builder
		if err := Run(context.Background(), options, &out, progress.Discard()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestLocate(t *testing.T) {
	project := newProject(t)
	check := func(named string, dataset bool, want string) {
		t.Helper()
		if got, err := Locate(named, dataset, project); err != nil || got != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	check("elsewhere/", true, "elsewhere")
	check("elsewhere/model.json", true, "elsewhere")
	check("", true, "models/published/colours")
	check("", false, "models/published/colours")
	putModel(t, "models/published/sample")
	check("", true, "models/published/sample")
	check("", false, "models/published/colours")
	put(t, "models/published/sample/metrics.json", []byte(`{"splits": {"test": {"accuracy": 0.9}}}`))
	check("", false, "models/published/sample")

	// A trained model comes first where its data set is named.
	putModel(t, "models/sample/run.partial")
	recipe := artifact.Recipe{Stage: "train"}
	manifest, err := artifact.Commit("models/sample/run.partial", "models/sample", recipe, nil, nil, artifact.OpenDigests("digests"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, "models/sample/quick.json", manifest.Encode())
	folder := filepath.Join("models/sample", manifest.Key)
	check("", true, folder)
	check("", false, "models/published/sample")

	put(t, filepath.Join(folder, "model.json"), []byte("{}"))
	if _, err := Locate("", true, project); err == nil || !strings.Contains(err.Error(), "model.json is damaged") {
		t.Errorf("a changed model.json: error %v", err)
	}

	if err := os.RemoveAll("models"); err != nil {
		t.Fatal(err)
	}
	if _, err := Locate("", true, project); err == nil || !strings.Contains(err.Error(), "there is no model of sample yet") {
		t.Errorf("no model: error %v", err)
	}
}

// TestMeasured finds the metrics of the model's own weights, and no others.
func TestMeasured(t *testing.T) {
	newProject(t)
	folder := "models/published/colours"
	m, err := model.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	metrics := map[string]any{
		"dataset": "colours", "experiment": "quick", "model": map[string]any{"digest": "another"},
		"splits": map[string]any{"test": map[string]any{"n": 2250, "accuracy": 0.9612, "accuracy_low": 0.95, "accuracy_high": 0.97, "auc": nil}},
	}
	write := func(name string) {
		text, err := json.Marshal(metrics)
		if err != nil {
			t.Fatal(err)
		}
		put(t, name, text)
	}
	write(folder + "/metrics.json")
	if got := measured(folder, m); got != nil {
		t.Errorf("metrics of other weights: %v", got)
	}
	metrics["model"] = map[string]any{"digest": m.SHA256}
	write("reports/colours/quick/metrics.json")
	want := "model models/published/colours: red or green or blue, input 8×8\n" +
		"test accuracy 96.12 % (95 % interval 95.00–97.00) on 2,250 images of colours, experiment quick"
	if diff := cmp.Diff(want, describe(folder, m, measured(folder, m))); diff != "" {
		t.Error(diff)
	}
}

// TestCompany: a photo's probabilities are the same whatever other photos there
// are.
func TestCompany(t *testing.T) {
	project := newProject(t)
	put(t, "a.png", plain(t, "png", color.RGBA{200, 100, 90, 255}))
	for i := range 70 {
		put(t, filepath.Join("many", string(rune('A'+i))+".png"), plain(t, "png", color.RGBA{uint8(3 * i), 100, 90, 255}))
	}
	probability := func(photos ...string) string {
		options := Options{Photos: photos, CSV: "out.csv", Project: project}
		if err := Run(context.Background(), options, &strings.Builder{}, progress.Discard()); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile("out.csv")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "a.png,") {
				return line
			}
		}
		t.Fatalf("a.png is not in\n%s", text)
		return ""
	}
	if alone, among := probability("a.png"), probability("many", "a.png"); alone != among {
		t.Errorf("alone %s, among others %s", alone, among)
	}
}
