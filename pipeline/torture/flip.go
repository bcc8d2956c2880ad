package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"catdog/pipeline/artifact"
	"catdog/pipeline/miniature"
	"catdog/pipeline/segment"
	"catdog/pipeline/stage"
)

// A target is a file whose every byte counts, and the artifact it belongs to.
type target struct {
	path     string // from the project
	folder   string // of the artifact, "" for a manifest or a pointer
	manifest *artifact.Manifest
}

// targets are all digested and published files of all artifacts, their
// manifests and the pointers to them.
func (t *torturer) targets() ([]target, error) {
	var list []target
	for i := range stage.All {
		definition := &stage.All[i]
		pointer := definition.Pointer("sample", miniature.Experiment)
		manifest, err := artifact.ReadManifest(t.project.Path(pointer))
		if err != nil {
			return nil, err
		}
		list = append(list, target{path: pointer})
		if definition.Name == "fetch" {
			continue
		}
		folder := filepath.Join(definition.Root("sample"), manifest.Key)
		list = append(list, target{path: filepath.Join(folder, artifact.ManifestName)})
		for _, file := range slices.Concat(manifest.Files, manifest.Informational) {
			if manifest.Find(file.Path) == nil || !slices.Contains(manifest.Files, file) && !artifact.Matches(file.Path, definition.Published) {
				continue
			}
			list = append(list, target{filepath.Join(folder, file.Path), folder, manifest})
		}
	}
	return list, nil
}

// flips changes single bytes, evenly over all files, and asks whether each is
// found by what every stage does before it uses a file.
func (t *torturer) flips() error {
	count := number("FLIPS", 10000)
	list, err := t.targets()
	if err != nil {
		return err
	}
	digests := artifact.OpenDigests(t.scratch + "/digests")
	// Half of the flips go to files by their size, half to all files alike.
	var total int64
	sizes := make([]int64, len(list))
	for i, target := range list {
		information, err := os.Stat(t.project.Path(target.path))
		if err != nil {
			return err
		}
		sizes[i] = information.Size()
		total += sizes[i]
	}
	var tried, found int
	for i, target := range list {
		share := int64(count)/2*sizes[i]/total + int64(count)/2/int64(len(list)) + 1
		share = min(share, sizes[i])
		for n := range share {
			offset := sizes[i] * n / share
			if err := t.flip(target.path, offset, byte(1)<<t.random.IntN(8), func() {
				tried++
				if named := t.finds(target, digests); named {
					found++
				} else {
					t.say("a flip at byte %d of %s was not found", offset, target.path)
				}
			}); err != nil {
				return err
			}
		}
	}
	stored, intact, err := t.flipStore(count / 20)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "torture   flips: %d of %d found; in the store %d of %d\n", found, tried, intact, stored)
	fmt.Fprintf(&t.report, "## Flipped\n\nOne bit of one byte of an artifact, a manifest or a pointer, sampled evenly over %d files.\n\n", len(list))
	t.report.WriteString("| what | flips | found before use, and named |\n|---|---:|---:|\n")
	fmt.Fprintf(&t.report, "| artifacts, manifests, pointers | %d | %d |\n| the store of photos' pixels and findings | %d | %d (no value was read that was not written) |\n\n", tried, found, stored, intact)
	return nil
}

// flip changes one byte of a file, calls while, and puts it back.
func (t *torturer) flip(path string, offset int64, mask byte, while func()) error {
	file, err := os.OpenFile(t.project.Path(path), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	one := make([]byte, 1)
	if _, err := file.ReadAt(one, offset); err != nil {
		return err
	}
	one[0] ^= mask
	if _, err := file.WriteAt(one, offset); err != nil {
		return err
	}
	while()
	one[0] ^= mask
	_, err = file.WriteAt(one, offset)
	return err
}

// finds says whether the check before use fails and names the file.
func (t *torturer) finds(target target, digests *artifact.Digests) bool {
	var err error
	if target.manifest == nil {
		_, err = artifact.ReadManifest(t.project.Path(target.path))
	} else {
		err = artifact.Verify(t.project.Path(target.folder), target.manifest, []string{"*", "figures/*"}, digests)
	}
	return errors.Is(err, artifact.ErrDamaged) && strings.Contains(err.Error(), target.path)
}

// flipStore flips bytes of the segments: every value that is read is one that
// was written.
func (t *torturer) flipStore(count int) (tried, intact int, err error) {
	folder := "data/interim/sample/store"
	segments, err := filepath.Glob(t.project.Path(folder + "/*.segment"))
	if err != nil || len(segments) == 0 {
		return 0, 0, fmt.Errorf("the store has no segments: %w", err)
	}
	keys, err := t.storeKeys()
	if err != nil {
		return 0, 0, err
	}
	read := func() (map[string][]byte, error) {
		store, err := segment.Open(t.project.Path(folder))
		if err != nil {
			return nil, err
		}
		defer store.Close()
		values := map[string][]byte{}
		for _, key := range keys {
			value, ok, err := store.Get(key)
			if err != nil && !errors.Is(err, segment.ErrDamaged) {
				return nil, err
			}
			if ok {
				values[key] = value
			}
		}
		return values, nil
	}
	before, err := read()
	if err != nil {
		return 0, 0, err
	}
	if len(before) < len(keys)/4 || len(before) == 0 {
		return 0, 0, fmt.Errorf("only %d of %d keys are in the store", len(before), len(keys))
	}
	information, err := os.Stat(segments[0])
	if err != nil {
		return 0, 0, err
	}
	path := filepath.Join(folder, filepath.Base(segments[0]))
	for range count {
		err := t.flip(path, t.random.Int64N(information.Size()), byte(1)<<t.random.IntN(8), func() {
			tried++
			values, err := read()
			same := err == nil && len(values) >= len(before)-1
			for key, value := range values {
				same = same && bytes.Equal(value, before[key])
			}
			if same {
				intact++
			} else {
				t.say("a flip in %s: %d of %d values, %v", path, len(values), len(before), err)
			}
		})
		if err != nil {
			return tried, intact, err
		}
	}
	return tried, intact, nil
}

// storeKeys are keys that the store may have: what the stages' tables name.
func (t *torturer) storeKeys() ([]string, error) {
	keys := map[string]bool{}
	for _, table := range []struct{ stage, file string }{{"explore", "catalogue.csv"}, {"resize", "index.csv"}} {
		definition := stage.Find(table.stage)
		manifest, err := artifact.ReadManifest(t.project.Path(definition.Pointer("sample", miniature.Experiment)))
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(t.project.Path(filepath.Join(definition.Root("sample"), manifest.Key, table.file)))
		if err != nil {
			return nil, err
		}
		for word := range strings.FieldsFuncSeq(string(content), func(r rune) bool { return r == ',' || r == '\n' }) {
			if len(word) == 64 {
				keys[word+"/"+manifest.StepKey()] = true
				keys[segment.ContentKey(word)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(keys)), nil
}

// mends flips bytes and has make mend them by computing again.
func (t *torturer) mends() error {
	count := number("MENDS", 200)
	list, err := t.targets()
	if err != nil {
		return err
	}
	// What is committed may be damaged too.
	for path := range t.reference.files {
		if strings.HasPrefix(path, "reports/") && !strings.HasSuffix(path, "/") {
			list = append(list, target{path: path})
		}
	}
	slices.SortFunc(list, func(a, b target) int { return strings.Compare(a.path, b.path) })
	var named, mended int
	for range count {
		target := list[t.random.IntN(len(list))]
		content, err := os.ReadFile(t.project.Path(target.path))
		if err != nil {
			return err
		}
		offset := t.random.IntN(len(content))
		content[offset] ^= byte(1) << t.random.IntN(8)
		if err := os.WriteFile(t.project.Path(target.path), content, 0o666); err != nil {
			return err
		}
		status := t.project.Run(t.project.Path("bin/track"), "status", "--json")
		var stages []struct{ Reasons []string }
		if err := json.Unmarshal([]byte(status.Output), &stages); err != nil {
			t.say("status of a flip at byte %d of %s: %s", offset, target.path, status.Errors)
		} else if strings.Contains(fmt.Sprint(stages), target.path) {
			named++
		} else {
			t.say("status does not name %s: %v", target.path, stages)
		}
		_, ok, err := t.recovers(fmt.Sprintf("a flip at byte %d of %s", offset, target.path))
		if err != nil {
			return err
		}
		if ok {
			mended++
		}
	}
	fmt.Fprintf(os.Stderr, "torture   mends: %d of %d named, %d mended\n", named, count, mended)
	fmt.Fprintf(&t.report, "Of %d random flips in artifacts, manifests, pointers and committed reports, `make status` named %d, and the next `make` mended %d to the same bytes.\n", count, named, mended)
	return nil
}
