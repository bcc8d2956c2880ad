package source

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/params"
	"catdog/pipeline/progress"
	"catdog/pipeline/stage"
)

// fetch runs the stage on the given sources and returns the raw folder.
func fetch(t *testing.T, limits params.Limits, from ...string) (string, error) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "pets")
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	p := &params.Params{Dataset: "pets"}
	p.Fetch = params.Fetch{From: from, Drawn: params.Drawn{Images: 60, Seed: 1}, Limits: limits}
	_, err := Run(context.Background(), &stage.Job{Params: p, Progress: progress.Discard(), Folder: folder})
	return folder, err
}

// nothing shows no progress.
var nothing = progress.Discard()

var usual = params.Limits{Files: 1000, Megabytes: 100, Ratio: 200}

// contents are the files in a folder.
func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, _ := filepath.Rel(folder, path)
		data, err := os.ReadFile(path)
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func readRecord(t *testing.T, folder string) *Record {
	t.Helper()
	text, err := os.ReadFile(RecordPath(folder))
	if err != nil {
		t.Fatal(err)
	}
	var record Record
	if err := json.Unmarshal(text, &record); err != nil {
		t.Fatal(err)
	}
	return &record
}

func TestDrawn(t *testing.T) {
	folder, err := fetch(t, usual, "drawn")
	if err != nil {
		t.Fatal(err)
	}
	want := &Record{Drawn: true, Files: 60, Classes: map[string]int{"cat": 30, "dog": 30}}
	if difference := cmp.Diff(want, readRecord(t, folder)); difference != "" {
		t.Error(difference)
	}
	counts := map[string]int{}
	for name := range contents(t, folder) {
		class, _ := Class(name)
		counts[class]++
	}
	if difference := cmp.Diff(want.Classes, counts); difference != "" {
		t.Error(difference)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(folder), "pets.planted.csv")); err != nil {
		t.Error(err)
	}
}
