package miniature

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/artifact"
)

// hostileNames are names of files that a shell, make, a terminal, a CSV file or a
// page would make something of. 255 bytes is what a file system takes.
func hostileNames() []string {
	names := []string{
		"a\nb", "a\tb\rc", "\x1b[31mred\x07", "a'b", `a"b,c`, "$(touch owned)", "$(shell touch owned)", "`touch owned`", "${HOME}", "-rf", "--help", "=1+1",
		"in\xffvalid \xc3\x28", "%0A%", "#", "a;b|c&d", "*?[x]", "~", "<script>alert(1)</script>", "&amp;", "\u202egpj", "a b",
	}
	return append(names, strings.Repeat("n", 255-len(".jpg")))
}

// TestHostileNames runs everything on photos, in folders of classes too, with
// such names: nothing in them is run, and every name comes out as it went in.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	p := project(t)
	outside := tree(t, p, "data/raw/odd", "data/interim/odd", "data/processed/odd", "models/odd", "reports/odd")
	classes := []string{"$(touch owned)", "-r 'x' \"y\" <b>"}
	want := map[string]bool{}
	for i, pattern := range []string{"*/cat.*", "*/dog.*"} {
		good, err := filepath.Glob(p.Path("data/raw/sample/" + pattern))
		check(t, err)
		check(t, os.MkdirAll(p.Path("odd/"+classes[i]), 0o777))
		for j, name := range hostileNames() {
			content, err := os.ReadFile(good[j])
			check(t, err)
			path := classes[i] + "/" + strings.ReplaceAll(name, "/", "") + ".jpg"
			check(t, os.WriteFile(p.Path("odd/"+path), content, 0o666))
			want[path] = true
		}
	}
	words := []string{"DATASET=odd", "FROM=odd", "SET=pack.seed=5 pack.test=0.3 pack.validation=0.3"}
	mustMake(t, p, words...)
	if again := mustMake(t, p, words...); len(again) > 0 {
		t.Errorf("once more: %q", again)
	}
	for _, goal := range []string{"status", "history", "dag", "gc"} {
		ask(t, p, append([]string{goal}, words...)...)
	}
	text, err := os.ReadFile(one(t, p, "data/interim/odd/explore/*/catalogue.csv"))
	check(t, err)
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	check(t, err)
	for _, row := range rows[1:] {
		path, err := artifact.UnescapePath(row[0])
		check(t, err)
		if !want[path] {
			t.Errorf("the catalogue has %q", path)
		}
		delete(want, path)
	}
	if len(want) > 0 {
		t.Errorf("the catalogue lacks %v", want)
	}
	check(t, filepath.WalkDir(p.Path("reports/odd"), func(name string, item fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".html" && filepath.Ext(name) != ".md" {
			return err
		}
		page, err := os.ReadFile(name)
		for _, text := range []string{"<script>alert", "\x1b", "<b>"} {
			if bytes.Contains(page, []byte(text)) && filepath.Ext(name) == ".html" {
				t.Errorf("%s holds %q as it is", name, text)
			}
		}
		return err
	}))
	answer := p.Make("classify", "PHOTOS=odd", "CSV=-o.csv")
	if answer.Status != 0 || strings.ContainsAny(answer.Output+answer.Errors, "\x1b\x07\r") {
		t.Errorf("classify: status %d, %q", answer.Status, answer.Errors)
	}
	check(t, os.Remove(p.Path("-o.csv")))
	check(t, os.RemoveAll(p.Path("odd")))
	owned(t, p)
	if difference := cmp.Diff(outside, tree(t, p, "data/raw/odd", "data/interim/odd", "data/processed/odd", "models/odd", "reports/odd")); difference != "" {
		t.Errorf("outside of the data set: %s", difference)
	}
}

// tree is the content of every file of the project but those below some folders,
// what make builds, and the pointers beside the raw folders.
func tree(t *testing.T, p *Project, except ...string) map[string]string {
	t.Helper()
	files := map[string]string{}
	check(t, filepath.WalkDir(p.Folder, func(name string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path := strings.TrimPrefix(name, p.Folder+"/")
		for _, folder := range append(except, "build", "bin") {
			if path == folder || strings.HasPrefix(path, folder+".") {
				if item.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
		}
		// Asking about the current data set keeps what was learnt about its files.
		if !item.Type().IsRegular() || strings.HasPrefix(path, "data/interim/sample/digests") || strings.HasSuffix(path, "/lock") {
			return nil
		}
		content, err := os.ReadFile(name)
		files[path] = string(content)
		return err
	}))
	return files
}

// TestHostileArchives gives make archives that would write elsewhere, or far more
// than they hold: each is refused in a line, and nothing is left of it.
func TestHostileArchives(t *testing.T) {
	t.Parallel()
	p := project(t)
	around := filepath.Dir(p.Folder)
	before := tree(t, p)
	write := func(add func(*zip.Writer)) {
		t.Helper()
		var archive bytes.Buffer
		w := zip.NewWriter(&archive)
		for _, class := range []string{"cat", "dog"} {
			f, err := w.Create("train/" + class + ".0.jpg")
			check(t, err)
			_, err = f.Write([]byte(class))
			check(t, err)
		}
		add(w)
		check(t, w.Close())
		check(t, os.WriteFile(p.Path("evil.zip"), archive.Bytes(), 0o666))
	}
	entry := func(w *zip.Writer, header *zip.FileHeader, content []byte) {
		f, err := w.CreateHeader(header)
		check(t, err)
		_, err = f.Write(content)
		check(t, err)
	}
	link := &zip.FileHeader{Name: "train/cat.1.jpg"}
	link.SetMode(fs.ModeSymlink | 0o777)
	for name, test := range map[string]struct {
		add  func(*zip.Writer)
		want string
	}{
		"slip":         {func(w *zip.Writer) { entry(w, &zip.FileHeader{Name: "../../../../owned.jpg"}, []byte("x")) }, "leads out of the folder"},
		"slip through": {func(w *zip.Writer) { entry(w, &zip.FileHeader{Name: `train\..\..\..\owned.jpg`}, []byte("x")) }, "leads out of the folder"},
		"absolute":     {func(w *zip.Writer) { entry(w, &zip.FileHeader{Name: p.Path("owned.jpg")}, []byte("x")) }, "absolute path"},
		"link":         {func(w *zip.Writer) { entry(w, link, []byte("/etc/passwd")) }, "is a link"},
		"bomb": {func(w *zip.Writer) {
			entry(w, &zip.FileHeader{Name: "train/cat.1.jpg", Method: zip.Deflate}, make([]byte, 8<<20))
		}, "fetch.limits.ratio"},
	} {
		write(test.add)
		made := p.Make("fetch", "DATASET=evil", "FROM=evil.zip")
		if made.Status != 2 || !strings.Contains(made.Errors, test.want) || strings.Count(made.Errors, "\n") > 3 {
			t.Errorf("%s: status %d\n%s", name, made.Status, made.Errors)
		}
		check(t, os.Remove(p.Path("evil.zip")))
		if difference := cmp.Diff(before, tree(t, p, "data/interim/evil")); difference != "" {
			t.Errorf("%s left: %s", name, difference)
		}
	}
	if entries, err := os.ReadDir(around); err != nil || len(entries) != 1 {
		t.Errorf("beside the project there are %v, %v", entries, err)
	}
	owned(t, p)
}

// TestHostileImages adds files that claim to be far larger than they are, and
// those that other decoders would run or fetch something for: each is left out by
// name, the photos stay.
func TestHostileImages(t *testing.T) {
	t.Parallel()
	p := project(t)
	chunk := func(kind string, data []byte) []byte {
		body := append([]byte(kind), data...)
		framed := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), body...)
		return binary.BigEndian.AppendUint32(framed, crc32.ChecksumIEEE(body))
	}
	size := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 30000), 30000)
	huge := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(size, 8, 2, 0, 0, 0))...)
	huge = append(append(huge, chunk("IDAT", make([]byte, 900))...), chunk("IEND", nil)...)
	rejected := func() []string {
		t.Helper()
		manifest, err := artifact.ReadManifest(p.Path("data/interim/sample/explore/" + Experiment + ".json"))
		check(t, err)
		text, err := os.ReadFile(p.Path(fmt.Sprintf("data/interim/sample/explore/%s/rejected.csv", manifest.Key)))
		check(t, err)
		return strings.SplitAfter(string(text), "\n")
	}
	before := rejected()
	want := map[string]string{"cat.9000.png": "too-large", "cat.9001.svg": "unsupported", "cat.9002.jpg": "not-an-image", "cat.9003.jpg": "unsupported"}
	for name, content := range map[string][]byte{
		"cat.9000.png": huge,
		"cat.9001.svg": []byte(`<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="90" height="90"><image xlink:href="file:///etc/passwd"/></svg>`),
		"cat.9002.jpg": []byte("push graphic-context\nviewbox 0 0 90 90\nfill 'url(https://127.0.0.1/x.jpg\"|touch \"owned)'\npop graphic-context\n"),
		"cat.9003.jpg": []byte("%PDF-1.4\n%!PS\n(touch owned) system\n"),
	} {
		check(t, os.WriteFile(p.Path("data/raw/sample/train/"+name), content, 0o666))
	}
	mustMake(t, p, "explore")
	left := slices.DeleteFunc(rejected(), func(line string) bool { return slices.Contains(before, line) })
	for name, problem := range want {
		if !slices.ContainsFunc(left, func(line string) bool { return strings.HasPrefix(line, "train/"+name+","+problem+",") }) {
			t.Errorf("%s is not left out as %s: %q", name, problem, left)
		}
	}
	if len(left) != len(want) {
		t.Errorf("more is left out: %q", left)
	}
	owned(t, p)
}
