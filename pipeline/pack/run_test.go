package pack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catdog/pipeline/artifact"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
	"catdog/pipeline/segment"
	"catdog/pipeline/stage"
)

var usual = params.Pack{Seed: 0, Validation: 0.1, Test: 0.1}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// indexed is n photos of two classes, no two alike, sorted by path.
func indexed(first, n int) []entry {
	var entries []entry
	for i := first; i < first+n; i++ {
		class := []string{"cat", "dog"}[i%2]
		entries = append(entries, entry{fmt.Sprintf("%s/%06d.jpg", class, i), class,
			digest(fmt.Sprintf("photo %d", i)), digest(fmt.Sprintf("pixels %d", i))})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	return entries
}

func splitsOf(t interface{ Fatal(...any) }, entries []entry, p params.Pack) map[string]Split {
	plan, err := divide(entries, p)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Split{}
	for _, row := range plan.rows {
		found[row.Path] = row.Split
	}
	return found
}

func TestSharesOfSplits(t *testing.T) {
	const n = 20000
	counts := map[string]int{}
	for path, split := range splitsOf(t, indexed(0, n), params.Pack{Seed: 3, Validation: 0.1, Test: 0.2}) {
		counts[path[:3]+" "+split.String()]++
	}
	for key, want := range map[string]float64{"train": 0.7, "validation": 0.1, "test": 0.2} {
		for _, class := range []string{"cat", "dog"} {
			// Five standard deviations of a binomial variable.
			if share := float64(counts[class+" "+key]) / (n / 2); share < want-0.02 || share > want+0.02 {
				t.Errorf("%s %s: share %g, must be %g", class, key, share, want)
			}
		}
	}
}

func TestAddingPhotosMovesNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(300, 600).Draw(t, "photos")
		p := params.Pack{Seed: rapid.IntRange(0, 9).Draw(t, "seed"), Validation: 0.2, Test: 0.2}
		all := splitsOf(t, indexed(0, n), p)
		for path, split := range splitsOf(t, indexed(50, n-50), p) {
			if all[path] != split {
				t.Fatalf("%s was %v, is %v", path, split, all[path])
			}
		}
	})
}

func TestAnotherSeedSplitsOtherwise(t *testing.T) {
	one, moved := splitsOf(t, indexed(0, 500), usual), 0
	for path, split := range splitsOf(t, indexed(0, 500), params.Pack{Seed: 1, Validation: 0.1, Test: 0.1}) {
		if one[path] != split {
			moved++
		}
	}
	if moved < 50 {
		t.Errorf("%d of 500 moved", moved)
	}
}

func TestCopiesShareASplit(t *testing.T) {
	entries := indexed(0, 400)
	for i := range 100 {
		file, pixels := entries[i], entries[i]
		file.path = "cat/copy of " + filepath.Base(entries[i].path)
		pixels.path, pixels.photo = "cat/saved again "+filepath.Base(entries[i].path), digest("other metadata"+entries[i].path)
		entries = append(entries, file, pixels)
	}
	found := splitsOf(t, entries, usual)
	for i := range 100 {
		name := filepath.Base(entries[i].path)
		if original := found[entries[i].path]; found["cat/copy of "+name] != original || found["cat/saved again "+name] != original {
			t.Errorf("copies of %s straddle", name)
		}
	}
	if len(found) != 600 {
		t.Errorf("%d of 600 are packed", len(found))
	}
}

func TestCopiesWithTwoLabelsAreLeftOut(t *testing.T) {
	entries := indexed(0, 400)
	wrong := entries[7]
	wrong.path, wrong.class = "dog/wrong.jpg", "dog"
	plan, err := divide(append(entries, wrong), usual)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(plan.conflicts, []entry{entries[7], wrong}) || len(plan.rows) != 399 {
		t.Errorf("%d rows, conflicts %v", len(plan.rows), plan.conflicts)
	}
}

func TestAClassMissingFromASplitIsNamed(t *testing.T) {
	entries := append(indexed(0, 400), entry{"zebra/1.jpg", "zebra", digest("zebra"), digest("stripes")})
	_, err := divide(entries, usual)
	if err == nil || !strings.HasPrefix(err.Error(), "class zebra: none of its 1 images is in the ") {
		t.Error(err)
	}
	if _, err := divide(nil, usual); err == nil {
		t.Error("no images, no error")
	}
}

// job is a pack stage's job on n images of 8×6 pixels, as resize leaves them.
func job(t *testing.T, n int) *stage.Job {
	t.Helper()
	folder := t.TempDir()
	job := &stage.Job{
		Params:   &params.Params{Sections: params.Sections{Pack: usual}},
		Progress: progress.Discard(),
		Folder:   filepath.Join(folder, "pack"),
		Store:    filepath.Join(folder, "store"),
		Inputs: map[string]*stage.Input{"resize": {
			Folder: filepath.Join(folder, "resize"), Manifest: &artifact.Manifest{Digest: "the digest of resize"}}},
	}
	for _, path := range []string{job.Folder, job.Input("resize").Folder} {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	store, err := segment.Open(job.Store)
	if err != nil {
		t.Fatal(err)
	}
	entries, random := indexed(0, n), rand.New(rand.NewPCG(7, 8))
	for i := range entries {
		pixels := make([]byte, 8*6*channels)
		for j := range pixels {
			pixels[j] = byte(random.Uint32())
		}
		entries[i].pixels = digest(string(pixels))
		if err := store.Put(segment.ContentKey(entries[i].pixels), pixels); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := writeEntries(job.Input("resize").Path("index.csv"), entries); err != nil {
		t.Fatal(err)
	}
	text := `{"height": 8, "width": 6, "mode": "stretch", "background": [1, 2, 3]}`
	if err := os.WriteFile(job.Input("resize").Path("resize.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return job
}

func TestRun(t *testing.T) {
	job := job(t, 200)
	summary, err := Run(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	if want := "200 images of 2 classes: "; !strings.HasPrefix(summary, want) {
		t.Errorf("summary %q", summary)
	}
	path := filepath.Join(job.Folder, "pack.arrow")
	p, err := Open(path, digestOf(t, path))
	if err != nil {
		t.Fatal(err)
	}
	if p.Height != 8 || p.Width != 6 || p.Mode != "stretch" || !slices.Equal(p.Background, []int{1, 2, 3}) || len(p.Origin) != 64 {
		t.Errorf("%d×%d, %s over %v, origin %q", p.Height, p.Width, p.Mode, p.Background, p.Origin)
	}
	for split := range splits {
		for _, image := range p.Images(split) {
			if image.Path[:3] != p.Classes[image.Class] {
				t.Errorf("%s is a %s", image.Path, p.Classes[image.Class])
			}
		}
	}
	var said struct {
		Images map[string]map[string]int
		Mean   [channels]float32
	}
	text, err := os.ReadFile(filepath.Join(job.Folder, "pack.json"))
	if err == nil {
		err = json.Unmarshal(text, &said)
	}
	if err != nil {
		t.Fatal(err)
	}
	if said.Mean != p.Mean || said.Images["cat"]["test"]+said.Images["dog"]["test"] != len(p.Images(Test)) {
		t.Errorf("pack.json says %s", text)
	}
}

func TestRunStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, job(t, 200)); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Error(err)
	}
}

func TestPixelsThatAreNotThoseOfTheIndexAreFound(t *testing.T) {
	job := job(t, 200)
	index, err := readIndex(job.Input("resize").Path("index.csv"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := segment.Open(job.Store)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(segment.ContentKey(digest("other")), make([]byte, 8*6*3)); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pixels := range []string{"unknown", "other"} {
		spoilt := slices.Clone(index.entries)
		spoilt[11].pixels = digest(pixels)
		if err := writeEntries(job.Input("resize").Path("index.csv"), spoilt); err != nil {
			t.Fatal(err)
		}
		_, err := Run(context.Background(), job)
		if !errors.Is(err, artifact.ErrDamaged) || !strings.Contains(err.Error(), index.entries[11].path) {
			t.Errorf("%s pixels: %v", pixels, err)
		}
	}
}

// FuzzReadIndex: an index.csv of any content gives an error of one line or
// entries that are divided, or refused, and written and read to the same.
func FuzzReadIndex(f *testing.F) {
	head := strings.Join(indexHeader, ",") + "\n"
	whole := head
	for i := range 30 {
		whole += fmt.Sprintf("train/cat.%d.jpg,cat,%s,p%d\ntrain/dog.%d.jpg,dog,%s,q%d\n", i, digest(fmt.Sprint(i)), i, i, digest(fmt.Sprint(-i)), i)
	}
	for _, text := range []string{"", head, whole, whole[:len(whole)/2], head + "a,b\n", head + "a,,c,d\n", head + "\"a\n\",b,c,d\nb,c,c,d\n"} {
		f.Add([]byte(text))
	}
	name := filepath.Join(f.TempDir(), "index.csv")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(name, text, 0o666); err != nil {
			t.Fatal(err)
		}
		read, err := readIndex(name)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("more than one line: %v", err)
			}
			return
		}
		if d, err := divide(read.entries, params.Pack{Validation: 0.2, Test: 0.2}); err == nil && len(d.entries)+len(d.conflicts) != len(read.entries) {
			t.Fatalf("of %d entries, %d are packed and %d in conflict", len(read.entries), len(d.entries), len(d.conflicts))
		}
		if err := writeEntries(name, read.entries); err != nil {
			t.Fatal(err)
		}
		again, err := readIndex(name)
		if err != nil || !slices.Equal(again.entries, read.entries) {
			t.Fatalf("%v comes back as %v, %v", read.entries, again, err)
		}
	})
}
