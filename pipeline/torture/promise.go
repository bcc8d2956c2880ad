package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"catdog/pipeline/artifact"
	"catdog/pipeline/miniature"
	"catdog/pipeline/stage"
	"catdog/pipeline/torture/disk"
	"catdog/pipeline/torture/tracer"
)

// promises follow what a run has promised to survive a loss of power.
type promises struct {
	dataset string
	watched []*watched
	// photos are the raw ones when fetch said that it was done.
	photos map[string][]byte
	sums   map[*byte]string // of contents
}

// watched is a file that is replaced as a whole. Once the folder is synced that it
// is in, that version of it, or a later one, must be there.
type watched struct {
	// pattern is its path; a training's checkpoint may be in one of two folders.
	pattern  string
	versions [][]byte // nil for none
	promised int      // index of the version
}

// find is the file as it lies in a tree, nil if it does not.
func (w *watched) find(tree disk.Tree) (name string, content []byte) {
	if content, ok := tree[w.pattern]; ok {
		return w.pattern, content
	}
	if strings.Contains(w.pattern, "*") {
		for name, content := range tree {
			if ok, _ := path.Match(w.pattern, name); ok {
				return name, content
			}
		}
	}
	return "", nil
}

func newPromises(dataset string, before disk.Tree) *promises {
	p := &promises{dataset: dataset, sums: map[*byte]string{}}
	for i := range stage.All {
		p.watch(stage.All[i].Pointer(dataset, miniature.Experiment))
	}
	p.watch("models/" + dataset + "/*/" + checkpointName)
	p.note(tracer.Operation{Kind: tracer.SyncAll}, before)
	return p
}

func (p *promises) watch(pattern string) {
	p.watched = append(p.watched, &watched{pattern: pattern, versions: [][]byte{nil}})
}

// note takes an operation's effect on what programs see.
func (p *promises) note(o tracer.Operation, now disk.Tree) {
	for _, w := range p.watched {
		name, content := w.find(now)
		if last := len(w.versions) - 1; !bytes.Equal(w.versions[last], content) || (w.versions[last] == nil) != (content == nil) {
			w.versions = append(w.versions, content)
		}
		if o.Kind == tracer.SyncAll || o.Kind == tracer.Sync && name != "" && path.Dir(name) == o.Path {
			w.promised = len(w.versions) - 1
			if w.pattern == stage.Find("fetch").Pointer(p.dataset, "") && content != nil {
				p.photos = map[string][]byte{}
				for name, content := range now {
					if strings.HasPrefix(name, "data/raw/"+p.dataset+"/") {
						p.photos[name] = content
					}
				}
			}
		}
	}
}

// broken says which promises a tree does not hold.
func (p *promises) broken(tree disk.Tree) []string {
	var lines []string
	for _, w := range p.watched {
		_, content := w.find(tree)
		held := slices.ContainsFunc(w.versions[w.promised:], func(version []byte) bool {
			return bytes.Equal(version, content) && (version == nil) == (content == nil)
		})
		if !held {
			lines = append(lines, w.pattern+" is not one that was promised, or a later one")
		}
	}
	for name, want := range p.photos {
		if got, ok := tree[name]; !ok || !bytes.Equal(got, want) {
			lines = append(lines, "the raw photo "+name+" is lost")
		}
	}
	for i := range stage.All {
		definition := &stage.All[i]
		pointer := definition.Pointer(p.dataset, miniature.Experiment)
		if content, ok := tree[pointer]; ok && definition.Name != "fetch" {
			lines = append(lines, p.incomplete(tree, definition, pointer, content)...)
		}
	}
	return lines
}

// incomplete says what is missing of an artifact that a pointer names.
func (p *promises) incomplete(tree disk.Tree, definition *stage.Definition, pointer string, content []byte) []string {
	manifest, err := artifact.DecodeManifest(content)
	if err != nil {
		return []string{pointer + " is damaged"}
	}
	for _, file := range slices.Concat(manifest.Files, manifest.Informational) {
		name := filepath.Join(definition.Root(p.dataset), manifest.Key, file.Path)
		if content, ok := tree[name]; !ok || p.sum(content) != file.SHA256 {
			return []string{fmt.Sprintf("%s is there without %s", pointer, file.Path)}
		}
	}
	return nil
}

// sum is the SHA-256 of a file's content. Contents that did not change are the
// same memory.
func (p *promises) sum(content []byte) string {
	if len(content) == 0 {
		sum := sha256.Sum256(nil)
		return hex.EncodeToString(sum[:])
	}
	known, ok := p.sums[&content[0]]
	if !ok {
		if len(p.sums) > 1000 { // they hold on to the contents
			clear(p.sums)
		}
		sum := sha256.Sum256(content)
		known = hex.EncodeToString(sum[:])
		p.sums[&content[0]] = known
	}
	return known
}
