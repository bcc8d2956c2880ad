package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestChangesAreSeen changes a file in ways that keep as much of its stamp as
// an ordinary program can.
func TestChangesAreSeen(t *testing.T) {
	folder := t.TempDir()
	name, cache := filepath.Join(folder, "photo"), filepath.Join(folder, "cache", "digests")
	digest := func() string {
		t.Helper()
		digests := OpenDigests(cache)
		file, err := digests.File(folder, "photo")
		if err != nil {
			t.Fatal(err)
		}
		if err := digests.Save(); err != nil {
			t.Fatal(err)
		}
		return file.SHA256
	}
	writeFile(t, name, "one")
	seen := map[string]bool{digest(): true}
	for i, content := range []string{"two", "six", "ten"} {
		// At once: within the clock's tick, the size the same.
		writeFile(t, name, content)
		if d := digest(); seen[d] {
			t.Errorf("change %d at once was not seen", i)
		} else {
			seen[d] = true
		}
	}
	time.Sleep(50 * time.Millisecond)
	settled := digest()
	information, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, name, "odd")
	if err := os.Chtimes(name, information.ModTime(), information.ModTime()); err != nil {
		t.Fatal(err)
	}
	if digest() == settled {
		t.Error("a change behind a modification time put back was not seen")
	}
}

func TestDigestsAreRememberedAndMoved(t *testing.T) {
	folder := t.TempDir()
	cache := filepath.Join(folder, "digests")
	writeFile(t, filepath.Join(folder, "a", "photo"), "one")
	time.Sleep(50 * time.Millisecond)
	digests := OpenDigests(cache)
	files, err := digests.Scan(filepath.Join(folder, "a"))
	if err != nil || len(files) != 1 || files[0].Path != "photo" || files[0].Size != 3 {
		t.Fatalf("%v %v", files, err)
	}
	if err := os.Rename(filepath.Join(folder, "a"), filepath.Join(folder, "b")); err != nil {
		t.Fatal(err)
	}
	digests.Moved(filepath.Join(folder, "a"), filepath.Join(folder, "b"))
	if err := digests.Save(); err != nil {
		t.Fatal(err)
	}
	remembered := OpenDigests(cache)
	if _, known := remembered.folders[filepath.Join(folder, "b")]["photo"]; !known {
		t.Error("the renamed folder's file was forgotten")
	}
	again, err := remembered.Scan(filepath.Join(folder, "b"))
	if err != nil || JointDigest(again) != JointDigest(files) {
		t.Errorf("%v, %v", again, err)
	}
	if remembered.changed {
		t.Error("a remembered file was read again")
	}
}

func TestDamagedCacheIsThrownAway(t *testing.T) {
	folder := t.TempDir()
	cache := filepath.Join(folder, "digests")
	writeFile(t, filepath.Join(folder, "a", "photo"), "one")
	time.Sleep(50 * time.Millisecond)
	digests := OpenDigests(cache)
	if _, err := digests.Scan(filepath.Join(folder, "a")); err != nil {
		t.Fatal(err)
	}
	if err := digests.Save(); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(cache)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sound {
		damaged := append([]byte{}, sound...)
		damaged[i] ^= 1
		writeFile(t, cache, string(damaged))
		if n := len(OpenDigests(cache).folders); n != 0 {
			t.Fatalf("byte %d flipped: %d folders believed", i, n)
		}
		writeFile(t, cache, string(sound[:i]))
		if n := len(OpenDigests(cache).folders); n != 0 {
			t.Fatalf("cut at %d: %d folders believed", i, n)
		}
	}
}

func TestScanRefusesLinks(t *testing.T) {
	folder := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(folder, "cat.1.jpg")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDigests(filepath.Join(folder, "digests")).Scan(folder); err == nil || !strings.Contains(err.Error(), "neither a file nor a folder") {
		t.Errorf("a link: %v", err)
	}
}

// What lies in a folder is the same however deep, and what is gone is forgotten.
func TestScan(t *testing.T) {
	folder := t.TempDir()
	cache, raw := filepath.Join(folder, "digests"), filepath.Join(folder, "raw")
	for _, path := range []string{"b/c/4.jpg", "a.jpg", "b/3.jpg", "b.jpg", "b/2.jpg", "other/5.jpg"} {
		writeFile(t, filepath.Join(raw, path), path)
	}
	time.Sleep(50 * time.Millisecond)
	scan := func(wants ...string) {
		t.Helper()
		digests := OpenDigests(cache)
		files, err := digests.Scan(raw)
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, file := range files {
			paths = append(paths, file.Path)
			want, err := digests.File(raw, file.Path)
			sum := sha256.Sum256([]byte(file.Path))
			if err != nil || file != want || file.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("scanned %+v, alone %+v, %v", file, want, err)
			}
		}
		if !slices.Equal(paths, wants) {
			t.Errorf("%q, want %q", paths, wants)
		}
		if err := digests.Save(); err != nil {
			t.Fatal(err)
		}
		entries := 0
		for _, names := range OpenDigests(cache).folders {
			entries += len(names)
		}
		if entries != len(wants) {
			t.Errorf("%d files are remembered, want %d", entries, len(wants))
		}
	}
	scan("a.jpg", "b.jpg", "b/2.jpg", "b/3.jpg", "b/c/4.jpg", "other/5.jpg")
	for _, path := range []string{"other", "b/2.jpg"} {
		if err := os.RemoveAll(filepath.Join(raw, path)); err != nil {
			t.Fatal(err)
		}
	}
	scan("a.jpg", "b.jpg", "b/3.jpg", "b/c/4.jpg")
}

// FuzzDecodeDigests: a cache of any content, even with the right checksum, is
// read as entries that are written and read to the same.
func FuzzDecodeDigests(f *testing.F) {
	whole := encodeDigests(map[string]map[string]entry{
		"data/raw/sample": {"cat.1.jpg": {stamp: stamp{1, 2, 3, 4}}, "": {}}, "": {},
	})
	body := whole[len(digestsMagic) : len(whole)-sha256.Size]
	f.Add(body)
	f.Add(body[:len(body)-1])
	f.Add(append([]byte{0xff, 0xff}, body[2:]...))
	f.Fuzz(func(t *testing.T, body []byte) {
		text := append(append([]byte{}, digestsMagic...), body...)
		sum := sha256.Sum256(text)
		folders := decodeDigests(append(text, sum[:]...))
		again := decodeDigests(encodeDigests(folders))
		if !maps.EqualFunc(folders, again, maps.Equal[map[string]entry]) {
			t.Fatalf("%v comes back as %v", folders, again)
		}
	})
}
