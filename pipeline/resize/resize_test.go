package resize

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"catdog/pipeline/artifact"
	"catdog/pipeline/catalogue"
	"catdog/pipeline/params"
	"catdog/pipeline/photo"
	"catdog/pipeline/progress"
	"catdog/pipeline/segment"
	"catdog/pipeline/stage"
)

func TestMain(m *testing.M) {
	photo.ServeIfWorker()
	os.Exit(m.Run())
}

// project is a folder of photos with the jobs over it.
type project struct {
	*testing.T
	raw, store string
	photos     []artifact.File
}

func newProject(t *testing.T) *project {
	return &project{T: t, raw: t.TempDir(), store: filepath.Join(t.TempDir(), "store")}
}

func (p *project) add(path string, data []byte) {
	p.Helper()
	name := filepath.Join(p.raw, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o666); err != nil {
		p.Fatal(err)
	}
	digest := sha256.Sum256(data)
	p.photos = append(p.photos, artifact.File{Path: path, Size: int64(len(data)), SHA256: hex.EncodeToString(digest[:])})
	slices.SortFunc(p.photos, func(a, b artifact.File) int { return strings.Compare(a.Path, b.Path) })
}

// job is resize's, after explore has run.
func (p *project) job() *stage.Job {
	p.Helper()
	job := &stage.Job{
		Params: &params.Params{}, Progress: progress.Discard(), Raw: p.raw, Photos: p.photos,
		Store: p.store, StepKey: "explore", Folder: p.TempDir(),
	}
	job.Params.Explore = params.Explore{MinimumSide: 8, MaximumMegapixels: 1, OutlierThreshold: 3.5}
	job.Params.Resize = params.Resize{Height: 24, Width: 32, Mode: "stretch", Background: []int{1, 2, 3}}
	if _, err := catalogue.Run(p.Context(), job); err != nil {
		p.Fatal(err)
	}
	job.Inputs = map[string]*stage.Input{"explore": {Folder: job.Folder}}
	job.StepKey, job.Folder = "resize", p.TempDir()
	return job
}

func (p *project) run(job *stage.Job) (summary string) {
	p.Helper()
	summary, err := Run(p.Context(), job)
	if err != nil {
		p.Fatal(err)
	}
	return summary
}

func (p *project) read(job *stage.Job, name string) string {
	p.Helper()
	text, err := os.ReadFile(filepath.Join(job.Folder, name))
	if err != nil {
		p.Fatal(err)
	}
	return string(text)
}

// jpegOf is a photo of one colour.
func jpegOf(t *testing.T, width, height int, shade uint8) []byte {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := 0; i < len(picture.Pix); i += 4 {
		copy(picture.Pix[i:], []byte{shade, 255 - shade, 40, 255})
	}
	picture.SetRGBA(width/2, height/2, color.RGBA{A: 255})
	var out bytes.Buffer
	if err := jpeg.Encode(&out, picture, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRun(t *testing.T) {
	p := newProject(t)
	p.add("cat/1.jpg", jpegOf(t, 60, 40, 10))
	p.add("cat/copy of 1.jpg", jpegOf(t, 60, 40, 10))
	p.add("cat/cut.jpg", jpegOf(t, 60, 40, 20)[:300])
	p.add("dog/1.jpg", jpegOf(t, 20, 90, 30))
	job := p.job()
	if summary := p.run(job); summary != "3 photos at 32×24 (stretch), 2 resized now" {
		t.Error(summary)
	}
	records, err := catalogue.ReadCSV(filepath.Join(job.Folder, "index.csv"), []string{"path", "class", "photo", "pixels"})
	if err != nil {
		t.Fatal(err)
	}
	store, err := segment.Open(p.store)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var paths []string
	for _, record := range records {
		paths = append(paths, record[0])
		pixels, ok, err := store.Get(segment.ContentKey(record[3]))
		if !ok || err != nil || len(pixels) != 24*32*3 || digestOf(pixels) != record[3] {
			t.Errorf("%s: %d bytes, %v, %v", record[0], len(pixels), ok, err)
		}
	}
	if want := []string{"cat/1.jpg", "cat/copy of 1.jpg", "dog/1.jpg"}; !slices.Equal(paths, want) {
		t.Error(paths)
	}
	if rejected := p.read(job, "rejected.csv"); !strings.Contains(rejected, "cat/cut.jpg,truncated,") {
		t.Error(rejected)
	}
	for _, part := range []string{`"height": 24`, `"width": 32`, `"mode": "stretch"`} {
		if settings := p.read(job, "resize.json"); !strings.Contains(settings, part) {
			t.Errorf("%s lacks %s", settings, part)
		}
	}
}

func TestOnlyNewPhotosAreResized(t *testing.T) {
	p := newProject(t)
	p.add("cat/1.jpg", jpegOf(t, 60, 40, 10))
	p.add("dog/1.jpg", jpegOf(t, 20, 90, 30))
	p.run(p.job())
	p.add("cat/2.jpg", jpegOf(t, 50, 50, 50))
	job := p.job()
	if summary := p.run(job); !strings.HasSuffix(summary, "3 photos at 32×24 (stretch), 1 resized now") {
		t.Error(summary)
	}

	// Step by step or at once: the same bytes.
	p.store = filepath.Join(t.TempDir(), "other")
	anew := p.job()
	p.run(anew)
	for _, name := range []string{"index.csv", "rejected.csv", "resize.json"} {
		if p.read(job, name) != p.read(anew, name) {
			t.Errorf("%s differs", name)
		}
	}
}

// A catalogue that calls a file good does not make it so: it is rejected and
// the others go on. This is remembered.
func TestUndecodablePhotoIsRejected(t *testing.T) {
	p := newProject(t)
	p.add("cat/1.jpg", jpegOf(t, 60, 40, 10))
	p.add("dog/1.jpg", []byte("\x89PNG\r\n\x1a\nnothing behind it"))
	job := p.job()
	catalogueFile := job.Input("explore").Path("catalogue.csv")
	text, err := os.ReadFile(catalogueFile)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte(",truncated\n"), []byte(",\n"))
	text = bytes.ReplaceAll(text, []byte(",corrupt\n"), []byte(",\n"))
	if err := os.WriteFile(catalogueFile, text, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 photos at 32×24 (stretch), 2 resized now, 1 could not be decoded", "1 photos at 32×24 (stretch), 0 resized now, 1 could not be decoded"} {
		job.Folder = t.TempDir()
		if summary := p.run(job); summary != want {
			t.Error(summary)
		}
		if rejected := p.read(job, "rejected.csv"); strings.Count(rejected, "dog/1.jpg,") != 2 {
			t.Error(rejected)
		}
	}
}

func TestDamagedPixelsAreMadeAgain(t *testing.T) {
	p := newProject(t)
	p.add("cat/1.jpg", jpegOf(t, 60, 40, 10))
	p.add("dog/1.jpg", jpegOf(t, 20, 90, 30))
	job := p.job()
	p.run(job)
	want := p.read(job, "index.csv")
	name := filepath.Join(p.store, "000001.segment")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{len(whole) - 1, len(whole) - 2000, len(whole) - 24*32*3 - 10} {
		damaged := slices.Clone(whole)
		damaged[at] ^= 1
		if err := os.WriteFile(name, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		job.Folder = t.TempDir()
		if summary := p.run(job); !strings.Contains(summary, "1 resized now") {
			t.Error(summary)
		}
		if p.read(job, "index.csv") != want {
			t.Error("the index differs")
		}
	}
}

func TestCancelled(t *testing.T) {
	p := newProject(t)
	p.add("cat/1.jpg", jpegOf(t, 60, 40, 10))
	job := p.job()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, job); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
