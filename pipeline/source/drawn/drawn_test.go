package drawn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
)

// digest is a hash of all names and contents in a folder.
func digest(t *testing.T, folder string) string {
	t.Helper()
	hash := sha256.New()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, _ := filepath.Rel(folder, path)
		data, err := os.ReadFile(path)
		hash.Write([]byte(name + "\x00"))
		content := sha256.Sum256(data)
		hash.Write(content[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

func sample(t *testing.T, seed, images int) string {
	t.Helper()
	folder := t.TempDir()
	var count atomic.Int64
	if err := Draw(context.Background(), folder, seed, images, func() { count.Add(1) }); err != nil {
		t.Fatal(err)
	}
	if count.Load() != int64(images) {
		t.Errorf("%d files were counted, not %d", count.Load(), images)
	}
	return folder
}

// TestGolden holds that one seed gives the same bytes everywhere and forever.
func TestGolden(t *testing.T) {
	const golden = "a952a639db854993ab7babc04a361715563ce8782d441036664a3869cee6a77c"
	if got := digest(t, sample(t, 1, 60)); got != golden {
		t.Errorf("the sample of seed 1 has the digest %s, not %s", got, golden)
	}
}

func TestBytesDoNotDependOnWorkers(t *testing.T) {
	before := digest(t, sample(t, 2, 60))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if digest(t, sample(t, 2, 60)) != before {
		t.Error("one worker draws other bytes than several")
	}
}
