package source

import (
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArrange(t *testing.T) {
	for name, c := range map[string]struct {
		folders []string
		files   map[string]string // where they belong, by where they are
	}{
		"Kaggle's": {nil, map[string]string{
			"train/cat.0.jpg": "train/cat.0.jpg",
			"train/dog.0.jpg": "train/dog.0.jpg",
		}},
		"Kaggle's, wrapped": {nil, map[string]string{
			"dogs-vs-cats/train/cat.0.jpg": "train/cat.0.jpg",
			"dogs-vs-cats/train/Thumbs.db": "train/Thumbs.db",
			"dogs-vs-cats/test1/1.jpg":     "unclassed/dogs-vs-cats/test1/1.jpg",
			"dogs-vs-cats/readme.txt":      "dogs-vs-cats/readme.txt",
		}},
		"Kaggle's names at the top": {nil, map[string]string{
			"cat.0.jpg": "train/cat.0.jpg",
			"dog.0.jpg": "train/dog.0.jpg",
		}},
		"Kaggle's names in another folder": {nil, map[string]string{
			"photos/cat.0.jpg": "train/cat.0.jpg",
			"photos/dog.0.jpg": "train/dog.0.jpg",
		}},
		"Microsoft's": {[]string{"PetImages", "PetImages/Cat", "PetImages/Dog"}, map[string]string{
			"PetImages/Cat/0.jpg":     "Cat/0.jpg",
			"PetImages/Cat/Thumbs.db": "Cat/Thumbs.db",
			"PetImages/Dog/0.jpg":     "Dog/0.jpg",
			"readme[1].txt":           "readme[1].txt",
			"MSR-LA - 3467.docx":      "MSR-LA - 3467.docx",
		}},
		"Microsoft's, wrapped": {nil, map[string]string{
			"kagglecatsanddogs/PetImages/Cat/0.jpg": "Cat/0.jpg",
			"kagglecatsanddogs/PetImages/Dog/0.jpg": "Dog/0.jpg",
		}},
		"a folder a class": {[]string{"cat", "dog", "fox", ".git", "__MACOSX"}, map[string]string{
			"cat/a.jpg":      "cat/a.jpg",
			"dog/b.png":      "dog/b.png",
			"fox/c":          "fox/c",
			"cover.jpg":      "unclassed/cover.jpg",
			".git/x":         "unclassed/.git/x",
			"dog/.DS_Store":  "dog/.DS_Store",
			"__MACOSX/._cat": "__MACOSX/._cat",
		}},
		"one class of several archives": {nil, map[string]string{
			"Cat/0.jpg": "Cat/0.jpg",
		}},
		"one wrapped class of several archives": {nil, map[string]string{
			"PetImages/Cat/0.jpg": "Cat/0.jpg",
		}},
		"classes of several splits": {nil, map[string]string{
			"pets/train/cats/0.jpg": "train/cats/0.jpg",
			"pets/train/dogs/0.jpg": "train/dogs/0.jpg",
			"pets/valid/cats/0.jpg": "valid/cats/0.jpg",
		}},
	} {
		got, err := arrange(slices.Sorted(maps.Keys(c.files)), c.folders)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if difference := cmp.Diff(c.files, got); difference != "" {
			t.Errorf("%s: %s", name, difference)
		}
	}
}

func TestArrangeRefuses(t *testing.T) {
	for want, c := range map[string]struct{ files, folders []string }{
		`the class "dog" has no images: there is no photo in pets/Dog`: {
			[]string{"pets/Cat/0.jpg", "pets/Dog/Thumbs.db"}, []string{"pets", "pets/Cat", "pets/Dog"}},
		`the class "fox" has no images: there is no photo in fox`: {
			[]string{"cat/0.jpg", "dog/0.jpg"}, []string{"cat", "dog", "fox"}},
		"there are no photos in folders named for classes, nor photos named like cat.0.jpg": {
			[]string{"readme.txt"}, nil},
		"but there is train.zip: unpack what is around it": {
			[]string{"train.zip", "test1.zip"}, nil},
		"photos lie at different depths, in cat and in cat/persian": {
			[]string{"cat/0.jpg", "cat/persian/0.jpg", "dog/0.jpg"}, nil},
		"the photos in train tell no class": {
			[]string{"train/0.jpg", "plane/0.jpg"}, nil},
	} {
		if _, err := arrange(c.files, c.folders); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
}

// FuzzArrange: whatever files a source has, each gets a place of its own kind
// within the folder, from which its class is told in the way it was arranged.
func FuzzArrange(f *testing.F) {
	for _, names := range []string{
		"train/cat.0.jpg\ntrain/dog.0.jpg\ntrain/readme.txt", "PetImages/Cat/0.jpg\nPetImages/Dog/0.jpg\nPetImages/Dog/Thumbs.db",
		"a/b/c/0.jpg\na/b/d/0.jpg\nLICENSE", "cat.0.jpg\nx.jpg\n\xff/1.png", ".x/1.jpg\n__MACOSX/2.jpg\ncat/3.jpg\nunclassed/4.jpg", "-/-.-.-\n%/ \t.jpg",
	} {
		f.Add(names, "cat\ndog")
	}
	f.Fuzz(func(t *testing.T, names, more string) {
		clean := func(names string) (list []string) {
			for _, name := range strings.Split(names, "\n") {
				if name = path.Clean(name); filepath.IsLocal(name) && name != "." {
					list = append(list, name)
				}
			}
			slices.Sort(list)
			return slices.Compact(list)
		}
		files, folders := clean(names), clean(more)
		targets, err := arrange(files, folders)
		if err != nil {
			if len(targets) > 0 {
				t.Fatalf("%v and %v", targets, err)
			}
			return
		}
		for _, file := range files {
			target, ok := targets[file]
			if !ok || !filepath.IsLocal(target) || path.Base(target) != path.Base(file) {
				t.Fatalf("%q goes to %q", file, target)
			}
			if _, photo := Class(target); photo && !isPhoto(file) {
				t.Fatalf("%q, which is no photo, goes to %q and has a class", file, target)
			}
		}
	})
}
