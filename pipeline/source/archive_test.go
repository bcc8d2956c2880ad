package source

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/params"
)

// writeZip makes an archive in a new folder and returns its path.
func writeZip(t testing.TB, name string, data []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

// zipped is an archive of two good photos and what add adds.
func zipped(t testing.TB, add func(*zip.Writer)) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range []string{"train/cat.0.jpg", "train/dog.0.jpg"} {
		put(t, w, &zip.FileHeader{Name: name, Method: zip.Deflate}, "photo "+name)
	}
	if add != nil {
		add(w)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func put(t testing.TB, w *zip.Writer, header *zip.FileHeader, content string) {
	t.Helper()
	f, err := w.CreateHeader(header)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
}

func TestZip(t *testing.T) {
	name := writeZip(t, "a.zip", zipped(t, func(w *zip.Writer) {
		put(t, w, &zip.FileHeader{Name: "train/"}, "")
		put(t, w, &zip.FileHeader{Name: "./train/cat.1\xff.0.jpg", NonUTF8: true}, "any bytes")
		put(t, w, &zip.FileHeader{Name: "train/cat.2.jpg"}, "")
		put(t, w, &zip.FileHeader{Name: "train/dog.0.jpg"}, "photo train/dog.0.jpg") // once more, the same
	}))
	folder, err := fetch(t, usual, name)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"train/cat.0.jpg":                 "photo train/cat.0.jpg",
		"train/dog.0.jpg":                 "photo train/dog.0.jpg",
		"unclassed/train/cat.1\xff.0.jpg": "any bytes",
		"train/cat.2.jpg":                 "",
	}
	if difference := cmp.Diff(want, contents(t, folder)); difference != "" {
		t.Error(difference)
	}
	data, _ := os.ReadFile(name)
	digest, _ := sha256Of(bytes.NewReader(data))
	record := &Record{Files: 4, Classes: map[string]int{"cat": 2, "dog": 1}, Archives: []Origin{{"a.zip", digest, 5}}}
	if difference := cmp.Diff(record, readRecord(t, folder)); difference != "" {
		t.Error(difference)
	}
}

func TestWindowsZip(t *testing.T) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range []string{`pets\Cat\0.jpg`, `pets\Dog\0.jpg`} {
		put(t, w, &zip.FileHeader{Name: name}, name)
	}
	w.Close()
	folder, err := fetch(t, usual, writeZip(t, "a.zip", out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(map[string]string{"Cat/0.jpg": `pets\Cat\0.jpg`, "Dog/0.jpg": `pets\Dog\0.jpg`}, contents(t, folder)); difference != "" {
		t.Error(difference)
	}
}

// patch changes bytes of the central directory's entry of a file.
func patch(t *testing.T, data []byte, name string, offset int, value []byte) []byte {
	t.Helper()
	at := bytes.LastIndex(data, []byte(name)) - 46
	if at < 0 || string(data[at:at+4]) != "PK\x01\x02" {
		t.Fatalf("no entry %s", name)
	}
	copy(data[at+offset:], value)
	return data
}

func TestHostileZips(t *testing.T) {
	named := func(name string) func() []byte {
		return func() []byte {
			return zipped(t, func(w *zip.Writer) { put(t, w, &zip.FileHeader{Name: name}, "x") })
		}
	}
	mode := func(mode fs.FileMode) func() []byte {
		return func() []byte {
			return zipped(t, func(w *zip.Writer) {
				header := &zip.FileHeader{Name: "train/cat.1.jpg"}
				header.SetMode(mode)
				put(t, w, header, "/etc/passwd")
			})
		}
	}
	flagged := func(flags byte, high byte) func() []byte {
		return func() []byte {
			return patch(t, zipped(t, nil), "train/dog.0.jpg", 8, []byte{flags, high})
		}
	}
	endAt := func(data []byte) int { return len(data) - 22 }
	for name, c := range map[string]struct {
		make func() []byte
		want string
	}{
		"traversal":           {named("../train/cat.1.jpg"), "leads out of the folder"},
		"traversal, inside":   {named("train/../../cat.1.jpg"), "leads out of the folder"},
		"traversal, Windows":  {named(`train\..\..\cat.1.jpg`), "leads out of the folder"},
		"absolute":            {named("/etc/cat.1.jpg"), "absolute path"},
		"absolute, Windows":   {named(`C:\cat.1.jpg`), "absolute path"},
		"absolute, share":     {named(`\\server\cat.1.jpg`), "absolute path"},
		"zero byte":           {named("train/cat.1.jpg\x00.txt"), "zero byte"},
		"link":                {mode(fs.ModeSymlink | 0o777), `entry "train/cat.1.jpg" is a link`},
		"device":              {mode(fs.ModeDevice | 0o666), "not a regular file"},
		"pipe":                {mode(fs.ModeNamedPipe | 0o666), "not a regular file"},
		"encrypted":           {flagged(1, 0), `entry "train/dog.0.jpg" is encrypted`},
		"strongly encrypted":  {flagged(0x41, 0), "is encrypted"},
		"encrypted directory": {flagged(0, 0x20), "is encrypted"},
		"split, last part": {func() []byte {
			data := zipped(t, nil)
			copy(data[endAt(data)+4:], []byte{2, 0})
			return data
		}, "one part of a split archive"},
		"split, entries elsewhere": {func() []byte {
			data := zipped(t, nil)
			copy(data[endAt(data)+8:], []byte{1, 0})
			return data
		}, "one part of a split archive"},
		"split, first part": {func() []byte {
			data := append([]byte("PK\x07\x08"), zipped(t, nil)...)
			return data[:len(data)/2]
		}, "its end is missing"},
		"cut off": {func() []byte {
			data := zipped(t, nil)
			return data[:len(data)-30]
		}, "its end is missing"},
		"not a zip": {func() []byte { return []byte("<html>404</html>") }, "neither a folder nor a zip"},
		"empty":     {func() []byte { return nil }, "neither a folder nor a zip"},
		"ratio": {func() []byte {
			return zipped(t, func(w *zip.Writer) {
				put(t, w, &zip.FileHeader{Name: "train/cat.1.jpg", Method: zip.Deflate}, strings.Repeat("\x00", 1<<20))
			})
		}, "more than 200 to one (fetch.limits.ratio)"},
		"packed size that lies": {func() []byte {
			return patch(t, zipped(t, nil), "train/dog.0.jpg", 20, binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 2_000_000), 200_000_000))
		}, "claims 2000000 packed bytes, the archive has "},
		"size": {func() []byte {
			packed := zipped(t, func(w *zip.Writer) {
				put(t, w, &zip.FileHeader{Name: "train/cat.1.jpg"}, strings.Repeat("x", 2_000_000))
			})
			return patch(t, packed, "train/cat.1.jpg", 24, binary.LittleEndian.AppendUint32(nil, 200_000_000))
		}, "more than the 100 MB allowed (fetch.limits.megabytes)"},
		"count": {func() []byte {
			return zipped(t, func(w *zip.Writer) {
				for i := range 1000 {
					put(t, w, &zip.FileHeader{Name: fmt.Sprintf("train/cat.%d.jpg", i+1)}, "")
				}
			})
		}, "1002 entries, more than the 1000 allowed (fetch.limits.files)"},
		"size that lies": {func() []byte {
			return patch(t, zipped(t, nil), "train/dog.0.jpg", 24, []byte{3, 0, 0, 0})
		}, "a.zip: train/dog.0.jpg: "},
		"wrong checksum": {func() []byte {
			return patch(t, zipped(t, nil), "train/dog.0.jpg", 16, []byte{1, 2, 3, 4})
		}, "checksum"},
		"shared bytes": {func() []byte { return overlapping(t) }, `share their packed bytes`},
		"two of a name": {func() []byte {
			return zipped(t, func(w *zip.Writer) {
				put(t, w, &zip.FileHeader{Name: "pets/train/cat.0.jpg"}, "another photo")
			})
		}, "both claim train/cat.0.jpg, with different content"},
		"file and folder of a name": {func() []byte {
			var out bytes.Buffer
			w := zip.NewWriter(&out)
			for _, name := range []string{"cat.txt/0.jpg", "dog/0.jpg", "cat.txt"} {
				put(t, w, &zip.FileHeader{Name: name}, name)
			}
			w.Close()
			return out.Bytes()
		}, "cat.txt is a file in a.zip and a folder in a.zip"},
		"one class": {func() []byte {
			var out bytes.Buffer
			w := zip.NewWriter(&out)
			put(t, w, &zip.FileHeader{Name: "train/cat.0.jpg"}, "x")
			w.Close()
			return out.Bytes()
		}, "all photos are of one class, cat"},
		"empty class": {func() []byte {
			var out bytes.Buffer
			w := zip.NewWriter(&out)
			put(t, w, &zip.FileHeader{Name: "pets/cat/0.jpg"}, "x")
			put(t, w, &zip.FileHeader{Name: "pets/dog/"}, "")
			w.Close()
			return out.Bytes()
		}, `the class "dog" has no images`},
	} {
		t.Run(name, func(t *testing.T) {
			archive := writeZip(t, "a.zip", c.make())
			folder, err := fetch(t, usual, archive)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, not %s", err, c.want)
			}
			if _, err := os.Stat(RecordPath(folder)); err == nil {
				t.Error("there is a record of what was refused")
			}
		})
	}
}

// overlapping is an archive two of whose entries are the same packed bytes.
func overlapping(t testing.TB) []byte {
	t.Helper()
	data := zipped(t, nil)
	directory := bytes.Index(data, []byte("PK\x01\x02"))
	end := len(data) - 22
	first := data[directory : directory+46+len("train/cat.0.jpg")]
	twin := bytes.Replace(first, []byte("cat.0"), []byte("cat.1"), 1)
	out := append(bytes.Clone(data[:end]), twin...)
	record := bytes.Clone(data[end:])
	binary.LittleEndian.PutUint16(record[8:], 3)
	binary.LittleEndian.PutUint16(record[10:], 3)
	binary.LittleEndian.PutUint32(record[12:], uint32(end-directory+len(twin)))
	return append(out, record...)
}

func TestArchivesOfOneDataSet(t *testing.T) {
	var archives []string
	for _, class := range []string{"cat", "dog"} {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for i := range 3 {
			put(t, w, &zip.FileHeader{Name: fmt.Sprintf("train/%s.%d.jpg", class, i)}, fmt.Sprint(class, i))
		}
		put(t, w, &zip.FileHeader{Name: "train/Thumbs.db"}, "the same")
		w.Close()
		archives = append(archives, writeZip(t, class+"s.zip", out.Bytes()))
	}
	folder, err := fetch(t, usual, archives...)
	if err != nil {
		t.Fatal(err)
	}
	if files := contents(t, folder); len(files) != 7 || files["train/dog.2.jpg"] != "dog2" {
		t.Errorf("%v", files)
	}
	if record := readRecord(t, folder); len(record.Archives) != 2 || record.Classes["cat"] != 3 || record.Classes["dog"] != 3 {
		t.Errorf("%+v", record)
	}

	// Another archive that claims cat.1.jpg, with something else in it.
	var other bytes.Buffer
	w := zip.NewWriter(&other)
	put(t, w, &zip.FileHeader{Name: "x/train/cat.1.jpg"}, "other")
	put(t, w, &zip.FileHeader{Name: "x/train/dog.1.jpg"}, "other")
	w.Close()
	_, err = fetch(t, usual, archives[0], writeZip(t, "other.zip", other.Bytes()))
	want := "cats.zip (train/cat.1.jpg) and other.zip (x/train/cat.1.jpg) both claim train/cat.1.jpg, with different content"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, not like %s", err, want)
	}
}

// FuzzReadZip holds that no archive makes the reader panic or write outside of
// the folder, and that what is written is what the archive's entries promise.
func FuzzReadZip(f *testing.F) {
	f.Add(zipped(f, nil))
	f.Add(zipped(f, func(w *zip.Writer) {
		put(f, w, &zip.FileHeader{Name: "../train/cat.1.jpg"}, "x")
		put(f, w, &zip.FileHeader{Name: `train\..\..\cat.1.jpg`}, "x")
		put(f, w, &zip.FileHeader{Name: "train/"}, "")
	}))
	f.Add(overlapping(f))
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	content := []byte("photo")
	file, _ := w.CreateRaw(&zip.FileHeader{
		Name: "train/cat.0.jpg", CRC32: crc32.ChecksumIEEE(content),
		CompressedSize64: 5, UncompressedSize64: 5,
	})
	file.Write(content)
	w.Close()
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		limits := params.Limits{Files: 10, Megabytes: 1, Ratio: 10}
		archive := writeZip(t, "a.zip", data)
		c, err := readZip(archive, limits)
		if err != nil {
			return
		}
		defer c.close()
		for _, e := range c.entries {
			if !filepath.IsLocal(e.path) {
				t.Errorf("%q leads out of the folder", e.path)
			}
		}
		folder, err := fetch(t, limits, archive)
		around, listErr := os.ReadDir(filepath.Dir(folder))
		if listErr != nil || len(around) > 2 {
			t.Errorf("beside the folder and its record there are %v, %v", around, listErr)
		}
		if err != nil {
			return
		}
		if files := contents(t, folder); len(files) > len(c.entries) || len(files) != readRecord(t, folder).Files {
			t.Errorf("%d files of %d entries", len(files), len(c.entries))
		}
	})
}
