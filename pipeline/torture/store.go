package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"catdog/pipeline/artifact"
	"catdog/pipeline/miniature"
	"catdog/pipeline/segment"
	"catdog/pipeline/stage"
)

// flipStore flips bytes of the segments: every value that is read is one that
// was written.
func (p *place) flipStore(random *rand.Rand, count int) (tried, intact int, err error) {
	folder := "data/interim/sample/store"
	segments, err := filepath.Glob(p.project.Path(folder + "/*.segment"))
	if err != nil || len(segments) == 0 {
		return 0, 0, fmt.Errorf("the store has no segments: %w", err)
	}
	keys, err := p.storeKeys()
	if err != nil {
		return 0, 0, err
	}
	read := func() (map[string][]byte, error) {
		store, err := segment.Open(p.project.Path(folder))
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
		err := p.flip(path, random.Int64N(information.Size()), byte(1)<<random.IntN(8), func() {
			tried++
			values, err := read()
			same := err == nil && len(values) >= len(before)-1
			for key, value := range values {
				same = same && bytes.Equal(value, before[key])
			}
			if same {
				intact++
			} else {
				p.say("a flip in %s: %d of %d values, %v", path, len(values), len(before), err)
			}
		})
		if err != nil {
			return tried, intact, err
		}
	}
	return tried, intact, nil
}

// storeKeys are keys that the store may have: what the stages' tables name.
func (p *place) storeKeys() ([]string, error) {
	keys := map[string]bool{}
	for _, table := range []struct{ stage, file string }{{"explore", "catalogue.csv"}, {"resize", "index.csv"}} {
		definition := stage.Find(table.stage)
		manifest, err := artifact.ReadManifest(p.project.Path(definition.Pointer(sample, miniature.Experiment)))
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(p.project.Path(filepath.Join(definition.Root(sample), manifest.Key, table.file)))
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
