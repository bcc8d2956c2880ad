package catalogue

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/crc32"
	"image"
	"image/png"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/artifact"
	"catdog/pipeline/params"
	"catdog/pipeline/photo"
	"catdog/pipeline/progress"
	"catdog/pipeline/source/drawn"
	"catdog/pipeline/stage"
)

func TestMain(m *testing.M) {
	photo.ServeIfWorker()
	os.Exit(m.Run())
}

// newJob is a job over the photos in raw.
func newJob(t *testing.T, raw string) *stage.Job {
	t.Helper()
	job := &stage.Job{
		Params: &params.Params{}, Progress: progress.Discard(), Raw: raw, StepKey: "step",
		Store: filepath.Join(t.TempDir(), "store"), Folder: t.TempDir(),
	}
	job.Params.Explore = params.Explore{MinimumSide: 8, MaximumMegapixels: 100, OutlierThreshold: 3.5}
	job.Photos = list(t, raw)
	return job
}

// list is what the harness gives to a job.
func list(t *testing.T, raw string) (files []artifact.File) {
	t.Helper()
	err := filepath.WalkDir(raw, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		path, err := filepath.Rel(raw, name)
		digest := sha256.Sum256(data)
		files = append(files, artifact.File{Path: filepath.ToSlash(path), Size: int64(len(data)), SHA256: hex.EncodeToString(digest[:])})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// outputs are the files that a job has written.
func outputs(t *testing.T, job *stage.Job) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, file := range list(t, job.Folder) {
		text, err := os.ReadFile(filepath.Join(job.Folder, file.Path))
		if err != nil {
			t.Fatal(err)
		}
		texts[file.Path] = string(text)
	}
	return texts
}

func run(t *testing.T, job *stage.Job) string {
	t.Helper()
	summary, err := Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

func records(t *testing.T, job *stage.Job, name string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(job.Folder, name))
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return records[1:]
}

// The catalogue of the drawn sample finds exactly what is planted in it.
func TestFindsWhatIsPlanted(t *testing.T) {
	const seed, images = 1, 120
	raw := t.TempDir()
	if err := drawn.Draw(t.Context(), raw, seed, images, func() {}); err != nil {
		t.Fatal(err)
	}
	job := newJob(t, raw)
	run(t, job)
	rows, err := Read(filepath.Join(job.Folder, "catalogue.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != images {
		t.Errorf("%d rows for %d files", len(rows), images)
	}

	wantRejected, wantOutliers, wantCopies := map[string]string{}, map[string]string{}, map[string]bool{}
	for _, planted := range drawn.List(seed, images) {
		if planted.Problem != "" {
			wantRejected[planted.Path] = planted.Problem
		}
		switch planted.Kind {
		case drawn.SizeOutlier:
			wantOutliers[planted.Path] = "area"
		case drawn.AspectOutlier:
			wantOutliers[planted.Path] = "aspect"
		case drawn.Copy:
			wantCopies[planted.Path], wantCopies[planted.Detail] = false, false
		case drawn.CopyAcross:
			wantCopies[planted.Path], wantCopies[planted.Detail] = true, true
		}
	}
	rejected := map[string]string{}
	for _, row := range rows {
		if !row.Good() {
			rejected[row.Path] = string(row.Problem)
		}
	}
	if diff := cmp.Diff(wantRejected, rejected); diff != "" {
		t.Errorf("rejected (-planted +found):\n%s", diff)
	}
	outliers := map[string]string{}
	for _, record := range records(t, job, "outliers.csv") {
		outliers[record[0]] = record[4]
	}
	if diff := cmp.Diff(wantOutliers, outliers); diff != "" {
		t.Errorf("outliers (-planted +found):\n%s", diff)
	}
	copies := map[string]bool{}
	for _, record := range records(t, job, "copies.csv") {
		copies[record[4]] = strings.Contains(record[2], "+")
	}
	if diff := cmp.Diff(wantCopies, copies); diff != "" {
		t.Errorf("copies, true those across classes (-planted +found):\n%s", diff)
	}

	t.Run("again from the store", func(t *testing.T) {
		again := *job
		again.Folder, again.Raw = t.TempDir(), "/nowhere" // nothing needs to be read
		run(t, &again)
		if diff := cmp.Diff(outputs(t, job), outputs(t, &again)); diff != "" {
			t.Error(diff)
		}
	})
}

// writePhoto writes a PNG file of one colour, which depends on its path.
func writePhoto(t *testing.T, raw, path string, width, height int) {
	t.Helper()
	name := filepath.Join(raw, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	picture := image.NewGray(image.Rect(0, 0, width, height))
	for i := range picture.Pix {
		picture.Pix[i] = byte(crc32.ChecksumIEEE([]byte(path)))
	}
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := png.Encode(file, picture); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyNewPhotosAreRead(t *testing.T) {
	raw := t.TempDir()
	for _, path := range []string{"cat/1.png", "cat/2.png", "dog/1.png"} {
		writePhoto(t, raw, path, 30, 20)
	}
	job := newJob(t, raw)
	run(t, job)
	// What is known is not read again: it may even be gone.
	for _, path := range []string{"cat/1.png", "dog/1.png"} {
		if err := os.Remove(filepath.Join(raw, path)); err != nil {
			t.Fatal(err)
		}
	}
	writePhoto(t, raw, "dog/2.png", 40, 20)
	for _, file := range list(t, raw) {
		if file.Path == "dog/2.png" {
			job.Photos = append(job.Photos, file)
		}
	}
	job.Folder = t.TempDir()
	run(t, job)
	if rows := records(t, job, "catalogue.csv"); len(rows) != 4 || rows[3][5] != "40" {
		t.Error(rows)
	}
}

func TestChangedPhotoIsNoticed(t *testing.T) {
	raw := t.TempDir()
	writePhoto(t, raw, "cat/1.png", 30, 20)
	job := newJob(t, raw)
	writePhoto(t, raw, "cat/1.png", 31, 20)
	if _, err := Run(t.Context(), job); err == nil || !strings.Contains(err.Error(), "cat/1.png") {
		t.Error(err)
	}
}

func TestDamagedStoreIsMended(t *testing.T) {
	raw := t.TempDir()
	writePhoto(t, raw, "cat/1.png", 30, 20)
	job := newJob(t, raw)
	run(t, job)
	want := outputs(t, job)
	name := filepath.Join(job.Store, "000001.segment")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(whole); at += 41 {
		damaged := slices.Clone(whole)
		damaged[at] ^= 0x10
		if err := os.WriteFile(name, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		job.Folder = t.TempDir()
		run(t, job)
		if diff := cmp.Diff(want, outputs(t, job)); diff != "" {
			t.Fatalf("byte %d: %s", at, diff)
		}
	}
}

func TestCancelled(t *testing.T) {
	raw := t.TempDir()
	writePhoto(t, raw, "cat/1.png", 30, 20)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, newJob(t, raw)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOddNames(t *testing.T) {
	raw := t.TempDir()
	names := []string{"a\nb.png", "$(touch x).png", "-rf.png", "quote\"'`.png", "bad\xff\xfe.png", "100%.png", ".png", strings.Repeat("n", 251) + ".png"}
	for i, name := range names {
		writePhoto(t, raw, "cat/"+name, 30+i, 20)
	}
	job := newJob(t, raw)
	run(t, job)
	rows, err := Read(filepath.Join(job.Folder, "catalogue.csv"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, row := range rows {
		found[strings.TrimPrefix(row.Path, "cat/")] = row.Good() && row.Class == "cat"
	}
	for _, name := range names {
		if !found[name] && name != ".png" {
			t.Errorf("%q is not in the catalogue, or not good", name)
		}
	}
	if len(rows) != len(names) {
		t.Errorf("%d rows", len(rows))
	}
}

func TestExploration(t *testing.T) {
	row := func(class string, width, height int) Row {
		return Row{Path: class, Class: class, Bytes: 1000, Width: width, Height: height, Format: "jpeg"}
	}
	rows := []Row{row("dog", 100, 100), row("dog", 400, 200), row("cat", 300, 400), {Path: "x", Problem: photo.Truncated}}
	e := explore(rows, nil, nil, 3.5)
	if e.Files != 4 || e.Photos != 3 || e.Rejected[photo.Truncated] != 1 {
		t.Errorf("%+v", e)
	}
	if got := []string{e.Classes[0].Class, e.Classes[1].Class}; !slices.Equal(got, []string{"cat", "dog"}) {
		t.Error(got)
	}
	want := Quartiles{100, 200, 300, 350, 400}
	if e.All.Width != want {
		t.Errorf("%+v, want %+v", e.All.Width, want)
	}
	// The median image, 300×200, is made square.
	if got := e.Input.Fits[0].MedianImage; got != (Effect{Stretch: 0.5, Crop: 0.3333, Pad: 0.3333}) {
		t.Errorf("%+v", got)
	}
	if size := e.Input.Sizes[4]; size.Side != 128 || size.Enlarged != 0.3333 || size.Kept != round(128.0*128/300/200) {
		t.Errorf("%+v", size)
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"files", "photos", "rejected", "all", "classes", "copies", "outliers", "input"} {
		if _, ok := fields[key]; !ok {
			t.Errorf("exploration.json lacks %s: %v", key, slices.Sorted(maps.Keys(fields)))
		}
	}
}

func TestModifiedZScores(t *testing.T) {
	// Median 3.5, deviations 2.5 1.5 0.5 0.5 1.5 96.5: their median is 1.5, below
	// the median and above it too.
	values := []float64{1, 2, 3, 4, 5, 100}
	for i, score := range modifiedZScores(values) {
		if want := 0.6745 * (values[i] - 3.5) / 1.5; math.Abs(score-want) > 1e-9 {
			t.Errorf("the score of %g is %g, want %g", values[i], score, want)
		}
	}
	if scores := modifiedZScores([]float64{5, 5, 5, 5}); slices.Max(scores) != 0 || slices.Min(scores) != 0 {
		t.Error("equal values have outliers:", scores)
	}
	// More than half are equal: the mean deviation counts.
	many := make([]float64, 100)
	many[0] = 9
	if scores := modifiedZScores(many); scores[0] < 3.5 || scores[1] != 0 {
		t.Error(scores[:2])
	}
	// A long tail on one side makes no outliers of itself.
	var skewed []float64
	for i := range 100 {
		skewed = append(skewed, -math.Abs(float64(i-50))*0.1*float64(i%2))
	}
	if scores := modifiedZScores(skewed); slices.Min(scores) < -3.5 {
		t.Error(slices.Min(scores))
	}
}

func TestQuantile(t *testing.T) {
	values := []float64{1, 2, 3, 10}
	for p, want := range map[float64]float64{0: 1, 0.25: 1.75, 0.5: 2.5, 0.75: 4.75, 1: 10} {
		if got := quantile(values, p); got != want {
			t.Errorf("quantile(%v) = %v, want %v", p, got, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	name := filepath.Join(t.TempDir(), "catalogue.csv")
	head := strings.Join(columns, ",") + "\n"
	for _, text := range []string{"", "a,b\n", head + "a,b\n", head + "p,c,x,d,jpeg,1,1,\n", head + "%zz,c,1,d,jpeg,1,1,\n", head + "\"p,c\n"} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(name); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// FuzzRead: a catalogue.csv of any content gives an error of one line or rows
// that are written and read to the same.
func FuzzRead(f *testing.F) {
	head := strings.Join(columns, ",") + "\n"
	for _, text := range []string{
		"", head, head + "train/cat.1.jpg,cat,123,ab,jpeg,20,30,\n" + "Thumbs.db,,4,cd,,0,0,not-an-image\n",
		head + "%0A%FF%25,\"a,\"\"b\",1,d,jpeg,-1,1,\n", head + "%zz,c,1,d,jpeg,1,1,\n", head + "\"p,c\n",
	} {
		f.Add([]byte(text))
	}
	name := filepath.Join(f.TempDir(), "catalogue.csv")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(name, text, 0o666); err != nil {
			t.Fatal(err)
		}
		rows, err := Read(name)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("more than one line: %v", err)
			}
			return
		}
		if err := writeRows(name, rows); err != nil {
			t.Fatal(err)
		}
		again, err := Read(name)
		if err != nil {
			t.Fatal(err)
		}
		if difference := cmp.Diff(rows, again); difference != "" {
			t.Fatal(difference)
		}
	})
}
