package artifact

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// committed makes an artifact of two files, one of them informational.
func committed(t *testing.T) (root string, manifest *Manifest, digests *Digests) {
	t.Helper()
	root = t.TempDir()
	partial := filepath.Join(root, "x.partial")
	writeFile(t, filepath.Join(partial, "weights"), "numbers")
	writeFile(t, filepath.Join(partial, "figures", "loss.png"), "picture")
	digests = OpenDigests(filepath.Join(root, "digests"))
	recipe := Recipe{Stage: "train", Parameters: map[string]string{"epochs": "3"}, Code: "c", Inputs: map[string]string{"pack": "p"}}
	manifest, err := Commit(partial, root, recipe, []string{"figures/*"}, nil, digests)
	if err != nil {
		t.Fatal(err)
	}
	return root, manifest, digests
}

func TestCommitIsWhole(t *testing.T) {
	root, manifest, digests := committed(t)
	folder := filepath.Join(root, manifest.Key)
	read, err := ReadManifest(filepath.Join(folder, ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(manifest, read); difference != "" {
		t.Errorf("read back: %s", difference)
	}
	if len(read.Files) != 1 || len(read.Informational) != 1 || read.Find("figures/loss.png") == nil {
		t.Errorf("files %v, informational %v", read.Files, read.Informational)
	}
	if err := Verify(folder, read, []string{"figures/*"}, digests.File); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(root, "x.partial")); err == nil {
		t.Error("the folder written into is still there")
	}
}

// TestEveryFlipIsFound flips every bit of every file of an artifact.
func TestEveryFlipIsFound(t *testing.T) {
	root, manifest, _ := committed(t)
	folder := filepath.Join(root, manifest.Key)
	for _, name := range []string{ManifestName, "weights", "figures/loss.png"} {
		path := filepath.Join(folder, name)
		sound, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(sound) * 8 {
			damaged := append([]byte{}, sound...)
			damaged[i/8] ^= 1 << (i % 8)
			writeFile(t, path, string(damaged))
			read, err := ReadManifest(filepath.Join(folder, ManifestName))
			if err == nil {
				err = Verify(folder, read, []string{"figures/*"}, OpenDigests(filepath.Join(root, "digests")).File)
			}
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("%s, bit %d: %v", name, i, err)
			}
		}
		writeFile(t, path, string(sound))
	}
}

// A disk that changes a byte leaves the file's times as they were: what is
// remembered does not show it, rereading does.
func TestChangeWithoutATraceIsFound(t *testing.T) {
	root, manifest, digests := committed(t)
	folder := filepath.Join(root, manifest.Key)
	path := filepath.Join(folder, "weights")
	sound, err := hash(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, strings.Repeat("x", int(sound.stamp.size)))
	if sound.stamp, err = stampOf(path); err != nil {
		t.Fatal(err)
	}
	digests.folders[folder] = map[string]entry{"weights": sound}
	if err := Verify(folder, manifest, nil, digests.File); err != nil {
		t.Errorf("what is remembered is not believed: %v", err)
	}
	if err := Verify(folder, manifest, nil, digests.Reread); !errors.Is(err, ErrDamaged) {
		t.Errorf("rereading: %v", err)
	}
}

func TestKeyDependsOnEverything(t *testing.T) {
	base := Recipe{Stage: "pack", Parameters: map[string]string{"a": "1"}, Code: "c", Engine: "e", Inputs: map[string]string{"resize": "d"}}
	keys := map[string]bool{base.Key(): true}
	for _, changed := range []Recipe{
		{"train", base.Parameters, "c", "e", base.Inputs},
		{"pack", map[string]string{"a": "2"}, "c", "e", base.Inputs},
		{"pack", map[string]string{"b": "1"}, "c", "e", base.Inputs},
		{"pack", base.Parameters, "d", "e", base.Inputs},
		{"pack", base.Parameters, "c", "f", base.Inputs},
		{"pack", base.Parameters, "c", "e", map[string]string{"resize": "e"}},
	} {
		keys[changed.Key()] = true
	}
	if len(keys) != 7 {
		t.Errorf("%d keys of 7 recipes", len(keys))
	}
	other := base
	other.Inputs = map[string]string{"resize": "other"}
	if base.StepKey() != other.StepKey() {
		t.Error("the key of one step depends on the inputs")
	}
}

// FuzzDecodeManifest: whatever text is taken for a manifest is what Encode
// writes of it.
func FuzzDecodeManifest(f *testing.F) {
	sound := &Manifest{
		Recipe:        Recipe{Stage: "train", Parameters: map[string]string{"epochs": "3"}, Code: "c", Engine: "cpu", Inputs: map[string]string{"pack": "p"}},
		Digest:        "d",
		Files:         []File{{"weights", 7, "w"}},
		Informational: []File{{"figures/loss.png", 7, "p"}},
		Accepted:      "a",
		Origin:        json.RawMessage(`{"drawn": true}`),
	}
	sound.Key = sound.Recipe.Key()
	f.Add(sound.Encode())
	f.Add((&Manifest{}).Encode())
	f.Add([]byte(`{"origin":[1e999,null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		manifest := new(Manifest)
		if err := json.Unmarshal(text, manifest); err != nil {
			if _, err := DecodeManifest(text); !errors.Is(err, ErrDamaged) {
				t.Fatalf("what is not JSON: %v", err)
			}
			return
		}
		// As it stands the check is nearly always wrong; with the right one all
		// that follows is read.
		encoded := manifest.Encode()
		read, err := DecodeManifest(encoded)
		if err != nil {
			t.Fatalf("%s is not read again: %v", encoded, err)
		}
		if again := read.Encode(); !bytes.Equal(encoded, again) {
			t.Fatalf("%s comes back as %s", encoded, again)
		}
		if read.Recipe.Key() != manifest.Recipe.Key() {
			t.Fatal("the key differs")
		}
	})
}
