package source

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/params"
)

// tree makes files, each with its name as its content.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range names {
		name = filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(filepath.Base(name)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestFolder(t *testing.T) {
	from := tree(t, "pets/Cat/0.jpg", "pets/Cat/Thumbs.db", "pets/Dog/1.jpg", "pets/Dog/k\xe4.jpg", ".git/config", "readme.md")
	folder, err := fetch(t, params.Limits{Files: 1, Megabytes: 1, Ratio: 1}, from) // limits are for archives
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"Cat/0.jpg": "0.jpg", "Cat/Thumbs.db": "Thumbs.db", "Dog/1.jpg": "1.jpg", "Dog/k\xe4.jpg": "k\xe4.jpg", "readme.md": "readme.md"}
	if difference := cmp.Diff(want, contents(t, folder)); difference != "" {
		t.Error(difference)
	}
	record := readRecord(t, folder)
	if len(record.Folders) != 1 || record.Folders[0].Files != 5 || record.Folders[0].Name != "" || len(record.Folders[0].SHA256) != 64 {
		t.Errorf("%+v", record)
	}

	// The originals may change afterwards.
	if err := os.WriteFile(filepath.Join(from, "pets/Cat/0.jpg"), []byte("changed"), 0o666); err != nil {
		t.Fatal(err)
	}
	if contents(t, folder)["Cat/0.jpg"] != "0.jpg" {
		t.Error("the copy changed with the original")
	}
}

// TestRecordIsByContent holds that the same photos elsewhere give the same record.
func TestRecordIsByContent(t *testing.T) {
	names := []string{"Cat/0.jpg", "Dog/1.jpg"}
	one, err := fetch(t, usual, tree(t, names...))
	if err != nil {
		t.Fatal(err)
	}
	other, err := fetch(t, usual, tree(t, names...))
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(readRecord(t, one), readRecord(t, other)); difference != "" {
		t.Error(difference)
	}
}

func TestFoldersRefused(t *testing.T) {
	link := tree(t, "cat/0.jpg", "dog/0.jpg")
	if err := os.Symlink("/etc/passwd", filepath.Join(link, "cat/1.jpg")); err != nil {
		t.Fatal(err)
	}
	pipe := tree(t, "cat/0.jpg", "dog/0.jpg")
	if err := syscall.Mkfifo(filepath.Join(pipe, "cat/1.jpg"), 0o666); err != nil {
		t.Fatal(err)
	}
	empty := tree(t, "cat/0.jpg", "dog/0.jpg")
	if err := os.Mkdir(filepath.Join(empty, "fox"), 0o777); err != nil {
		t.Fatal(err)
	}
	for want, from := range map[string][]string{
		"cat/1.jpg is a link":                {link},
		"cat/1.jpg is not a regular file":    {pipe},
		`the class "fox" has no images`:      {empty},
		"all photos are of one class, cat":   {tree(t, "cat/0.jpg")},
		"there are no photos in folders":     {tree(t)},
		"no such file":                       {"/nowhere/pets.zip"},
		"neither a folder nor a zip":         {"/dev/null"},
		"nobody said where the photos":       {},
		"drawn photos and others do not go ": {"drawn", link},
	} {
		if _, err := fetch(t, usual, from...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, not %s", from, err, want)
		}
	}
}

func TestFolderAroundTheRawFolder(t *testing.T) {
	from := tree(t, "cat/0.jpg", "dog/0.jpg")
	if _, err := readFolder(from, filepath.Join(from, "data/raw/pets")); err == nil || !strings.Contains(err.Error(), "own folder lies in it") {
		t.Error(err)
	}
}
