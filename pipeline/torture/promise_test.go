package main

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"catdog/pipeline/artifact"
	"catdog/pipeline/torture/disk"
	"catdog/pipeline/torture/tracer"
)

func TestMain(m *testing.M) {
	tracer.ExecIfTracee()
	os.Exit(m.Run())
}

// TestPromises: a tree that lacks what was promised is found out, and one that
// has it, or what came later, is not.
func TestPromises(t *testing.T) {
	pixels := []byte("pixels")
	sum := sha256.Sum256(pixels)
	manifest := &artifact.Manifest{Recipe: artifact.Recipe{Stage: "pack"}, Files: []artifact.File{{Path: "pack.arrow", Size: 6, SHA256: hex.EncodeToString(sum[:])}}}
	manifest.Key = manifest.Recipe.Key()
	pack := "data/processed/sample/" + manifest.Key + "/pack.arrow"
	const (
		pointer    = "data/processed/sample/64px.json"
		photo      = "data/raw/sample/train/cat.1.jpg"
		checkpoint = "models/sample/0123.partial/checkpoint.safetensors"
	)
	now := disk.Tree{
		"data/raw/sample.json": []byte("{}"), photo: []byte("photo"), pack: pixels, pointer: manifest.Encode(), checkpoint: []byte("epoch 1"),
	}
	p := newPromises(sample, disk.Tree{})
	p.note(tracer.Operation{Kind: tracer.Write, Path: pointer}, now)
	if lines := p.broken(disk.Tree{}); len(lines) > 0 {
		t.Errorf("before any sync: %q", lines)
	}
	for _, folder := range []string{"data/raw", "data/processed/sample", "models/sample/0123.partial"} {
		p.note(tracer.Operation{Kind: tracer.Sync, Path: folder}, now)
	}
	later := maps.Clone(now)
	later[checkpoint] = []byte("epoch 2")
	p.note(tracer.Operation{Kind: tracer.Rename, Path: "x", To: checkpoint}, later)
	for _, test := range []struct {
		name   string
		change func(tree disk.Tree)
		want   string // in the only line, "" for none
	}{
		{"all there", func(disk.Tree) {}, ""},
		{"a later checkpoint", func(tree disk.Tree) { tree[checkpoint] = []byte("epoch 2") }, ""},
		{"a checkpoint lost", func(tree disk.Tree) { delete(tree, checkpoint) }, "checkpoint.safetensors is not one that was promised"},
		{"a checkpoint torn", func(tree disk.Tree) { tree[checkpoint] = []byte("epoch") }, "checkpoint.safetensors is not one that was promised"},
		{"a pointer lost", func(tree disk.Tree) { delete(tree, pointer) }, pointer + " is not one that was promised"},
		{"a pack lost", func(tree disk.Tree) { delete(tree, pack) }, pointer + " is there without pack.arrow"},
		{"a pack of zeros", func(tree disk.Tree) { tree[pack] = make([]byte, 6) }, pointer + " is there without pack.arrow"},
		{"a photo lost", func(tree disk.Tree) { delete(tree, photo) }, "the raw photo " + photo + " is lost"},
		{"a photo empty", func(tree disk.Tree) { tree[photo] = nil }, "the raw photo " + photo + " is lost"},
	} {
		tree := maps.Clone(now)
		test.change(tree)
		lines := p.broken(tree)
		if test.want == "" && len(lines) == 0 || len(lines) == 1 && test.want != "" && strings.Contains(lines[0], test.want) {
			continue
		}
		t.Errorf("%s: %q, want %q", test.name, lines, test.want)
	}
}

// TestPoints: a run is killed before each operation and in each write that can be
// torn; of many points an even choice is left.
func TestPoints(t *testing.T) {
	points := pointsOf([]tracer.Operation{{Kind: tracer.Create}, {Kind: tracer.Write, Size: 1}, {Kind: tracer.Write, Size: 2}})
	if want := []point{{0, tracer.Kill}, {1, tracer.Kill}, {2, tracer.Kill}, {2, tracer.Tear}}; !slices.Equal(points, want) {
		t.Errorf("%v, want %v", points, want)
	}
	if got := evenly([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 4); !slices.Equal(got, []int{0, 2, 5, 7}) {
		t.Errorf("%v", got)
	}
	if got := evenly([]int{0, 1}, 4); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("%v", got)
	}
}
