package report

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/artifact"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
	"catdog/pipeline/stage"
)

var update = flag.Bool("update", false, "write testdata/report.md anew")

// testJob is a job on the artifacts of testdata, copied to a folder of their
// own so that a test can change them.
func testJob(t *testing.T) *stage.Job {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata/artifacts")); err != nil {
		t.Fatal(err)
	}
	p, err := params.Load("../../params.yaml", "pets", "quick", nil)
	if err != nil {
		t.Fatal(err)
	}
	// Other values in params.yaml shall not change this test's report.
	p.Sections = params.Sections{Fetch: params.Fetch{From: []string{"/home/me/data.zip"}}}
	p.Resize.Mode, p.Train.Epochs, p.Train.Patience, p.Train.Batch = "stretch", 8, 1, 64
	p.Train.Optimizer.Name, p.Train.LearningRate = "adamw", params.LearningRate{Peak: 0.003, Schedule: "cosine"}
	p.Train.Network = params.Network{Height: 40, Width: 40, Channels: []int{16, 32, 64}}
	inputs := map[string]*stage.Input{
		"fetch": {Manifest: &artifact.Manifest{Digest: strings.Repeat("0a", 32), Origin: json.RawMessage(`{"drawn":false}`)}},
	}
	for _, name := range []string{"explore", "resize", "pack", "train", "evaluate"} {
		inputs[name] = &stage.Input{Folder: filepath.Join(folder, name), Manifest: &artifact.Manifest{}}
	}
	inputs["pack"].Manifest.Files = []artifact.File{{Path: "pack.arrow", SHA256: strings.Repeat("1b", 32)}}
	return &stage.Job{Params: p, Progress: progress.Discard(), Folder: t.TempDir(), Inputs: inputs}
}

// written runs the stage and returns a file of it.
func written(t *testing.T, job *stage.Job, name string) string {
	t.Helper()
	if _, err := Run(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(job.Folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestGoldenReport(t *testing.T) {
	got := written(t, testJob(t), "report.md")
	golden := filepath.Join("testdata", "report.md")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("report.md differs (-want +got; look at it and run with -update):\n%s", diff)
	}
	if strings.Contains(got, "/home/me") {
		t.Error("the report says where somebody keeps photos")
	}
}

func TestReportIsTheSameTwice(t *testing.T) {
	a, b := testJob(t), testJob(t)
	for _, job := range []*stage.Job{a, b} {
		if _, err := Run(context.Background(), job); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(a.Folder, "*"))
	figures, _ := filepath.Glob(filepath.Join(a.Folder, "figures", "*"))
	if len(figures) != 3 {
		t.Errorf("figures %v, want loss, accuracy and network", figures)
	}
	for _, file := range append(files, figures...) {
		relative, _ := filepath.Rel(a.Folder, file)
		one, _ := os.ReadFile(file)
		two, _ := os.ReadFile(filepath.Join(b.Folder, relative))
		if !bytes.Equal(one, two) {
			t.Errorf("%s differs", relative)
		}
	}
}

// The page stands alone: its figures are within it, and nothing of Markdown is
// left over.
func TestPage(t *testing.T) {
	page := written(t, testJob(t), "report.html")
	if count := strings.Count(page, "<svg "); count != 8 {
		t.Errorf("%d figures in the page, want 8", count)
	}
	for _, bad := range []string{"<img", "data:", "<?xml", "<script", "src=", "|---"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q in the page", bad)
		}
	}
	if !strings.Contains(page, "<code>train/dog.8|`x`.jpg</code>") {
		t.Error("a path with signs of Markdown is not shown as it is")
	}
}

// Whatever a file's name is, it stays a word: no tag in it becomes one of the
// page's.
func TestNamesAreNoMarkup(t *testing.T) {
	const tag = "<img src=x onerror=alert(1)>"
	for _, around := range []string{"", "`", "``", "```", "````", "` ``", "|", "`|`", "\\`", "\n", "\r\n\r\n"} {
		name := "cat/" + around + tag + around + ".jpg"
		var d document
		d.table("l", []string{"photo"}, [][]string{{code(name)}})
		d.paragraph("Left out: %s", code(name))
		d.paragraph("Classes: %s", plain(name))
		html, err := page("names", d.Bytes(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(html), "<img") {
			t.Errorf("%q is markup:\n%s", name, html)
		}
	}
}

// Every file but metrics.json may be missing; the report says so and is
// written all the same.
func TestMissingFiles(t *testing.T) {
	for _, name := range []string{
		"explore/exploration.json", "explore/outliers.csv", "explore/rejected.csv", "resize/rejected.csv",
		"pack/pack.json", "pack/conflicts.csv", "train/history.csv", "train/hyperparameters.json", "train/summary.txt", "train/network.svg",
		"evaluate/mistakes.csv", "evaluate/figures/roc.svg",
	} {
		job := testJob(t)
		of, file, _ := strings.Cut(name, "/")
		if err := os.Remove(job.Input(of).Path(file)); err != nil {
			t.Fatal(err)
		}
		text := written(t, job, "report.md")
		if !strings.Contains(text, of+" left no `"+file+"`") {
			t.Errorf("the report does not say that %s is missing", name)
		}
	}
	job := testJob(t)
	if err := os.Remove(job.Input("evaluate").Path("metrics.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), job); err == nil || !strings.Contains(err.Error(), "metrics.json") {
		t.Errorf("error %v, want one that names metrics.json", err)
	}
}

func TestDamagedFiles(t *testing.T) {
	for name, content := range map[string]string{
		"explore/exploration.json": "{", "explore/outliers.csv": "path\nx\n", "explore/rejected.csv": "a,b,c\n\"",
		"pack/pack.json": "[]", "train/history.csv": "epoch\n1\n", "train/hyperparameters.json": "[]", "evaluate/metrics.json": "7", "evaluate/mistakes.csv": "",
	} {
		job := testJob(t)
		of, file, _ := strings.Cut(name, "/")
		if err := os.WriteFile(job.Input(of).Path(file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Run(context.Background(), job)
		if err == nil || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s damaged: error %v, want one line that names it", name, err)
		}
	}
}

func TestWordsAreNoMarkdown(t *testing.T) {
	page, err := page("<b>", []byte("# "+plain("a*b*_c_ <i> [x](y) `z` | ~~q~~ & \\")+"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile(`<h1>(.*)</h1>`).FindSubmatch(page)
	if want := "a*b*_c_ &lt;i&gt; [x](y) `z` | ~~q~~ &amp; \\"; heading == nil || string(heading[1]) != want {
		t.Errorf("heading %s, want %s", heading, want)
	}
	if !bytes.Contains(page, []byte("<title>&lt;b&gt;</title>")) {
		t.Error("the title is not escaped")
	}
}

// Photos are shown if the program drew them, and never else.
func TestSheet(t *testing.T) {
	for _, drawn := range []bool{true, false} {
		job := testJob(t)
		raw := job.Input("fetch")
		raw.Folder = t.TempDir()
		raw.Manifest.Origin = fmt.Appendf(nil, `{"drawn":%t}`, drawn)
		predictions := "path,class,predicted,probability,p_cat,p_dog\n"
		for i := range 20 {
			name := fmt.Sprintf("cat.%d.png", i)
			predictions += name + ",cat,cat,0.9,0.9,0.1\n"
			var photo bytes.Buffer
			if err := png.Encode(&photo, image.NewGray(image.Rect(0, 0, 20, 10))); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(raw.Path(name), photo.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(job.Input("evaluate").Path("predictions.csv"), []byte(predictions), 0o644); err != nil {
			t.Fatal(err)
		}
		text := written(t, job, "report.md")
		_, err := os.Stat(filepath.Join(job.Folder, "figures", "photos.jpg"))
		if shown := err == nil; shown != drawn || strings.Contains(text, "figures/photos.jpg") != drawn {
			t.Errorf("drawn %t: photos in the report: %t", drawn, shown)
		}
	}
}
