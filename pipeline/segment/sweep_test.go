package segment

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSweep(t *testing.T) {
	defer func(size int64) { segmentSize = size }(segmentSize)
	segmentSize = 1000
	folder := t.TempDir()
	store := open(t, folder)
	content := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 100) }
	for i := range 40 { // of the first 20 values none, of the others half are kept
		put(t, store, fmt.Sprint("key", i), content(i))
	}
	put(t, store, "twice", []byte("old"))
	put(t, store, "twice", []byte("new"))
	store.Close()
	keep := func(key string) bool {
		i := 0
		n, _ := fmt.Sscanf(key, "key%d", &i)
		return n == 0 || i >= 20 && i%2 == 0
	}
	before := size(t, folder)
	promised, err := Sweep(folder, keep, true)
	if err != nil || size(t, folder) != before {
		t.Fatalf("a dry run: %d of %d bytes left, %v", size(t, folder), before, err)
	}
	freed, err := Sweep(folder, keep, false)
	if err != nil || freed != promised || size(t, folder) != before-freed {
		t.Fatalf("freed %d, promised %d, %d of %d bytes left, %v", freed, promised, size(t, folder), before, err)
	}
	store = open(t, folder)
	for i := range 40 {
		key := fmt.Sprint("key", i)
		got, ok, err := store.Get(key)
		if ok != keep(key) || err != nil || ok && !bytes.Equal(got, content(i)) {
			t.Errorf("%s: %v, %v", key, ok, err)
		}
	}
	if got, _, err := store.Get("twice"); string(got) != "new" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	store.Close()
	if freed, err := Sweep(folder, keep, false); freed != 0 || err != nil {
		t.Errorf("the second sweep frees %d, %v", freed, err)
	}
	if freed, err := Sweep(folder, func(string) bool { return false }, false); freed != before-promised || err != nil || size(t, folder) != 0 {
		t.Errorf("removing all frees %d and leaves %d, %v", freed, size(t, folder), err)
	}
}

// size is that of all segments in a folder.
func size(t *testing.T, folder string) (bytes int64) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil {
			t.Fatal(err)
		} else if strings.HasSuffix(entry.Name(), suffix) {
			bytes += info.Size()
		}
	}
	return bytes
}

func TestSweepOfNothing(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "store")
	if freed, err := Sweep(folder, nil, false); freed != 0 || err != nil {
		t.Error(freed, err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Error("sweeping created the folder")
	}
}

func TestSweepWaitsForNoWriter(t *testing.T) {
	folder := t.TempDir()
	store := open(t, folder)
	put(t, store, "a", []byte("1"))
	if _, err := Sweep(folder, func(string) bool { return false }, false); !errors.Is(err, ErrInUse) {
		t.Error(err)
	}
}
