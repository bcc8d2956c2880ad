package report

import (
	"bytes"
	"os/exec"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Photos, and anything made of their pixels, are not ours to publish. Pictures
// may be in git only where the program drew them, or what they show.
var (
	pictureAllowed = regexp.MustCompile(`^(reports/sample/[a-z0-9-]+/figures/|pipeline/.*/?testdata/|testdata/)`)
	pictureName    = regexp.MustCompile(`(?i)\.(jpe?g|png|gif|webp|tiff?|bmp|heic|avif|ico)$`)
	pixelsName     = regexp.MustCompile(`(?i)\.(arrow|npz|npy|segment|parquet|zip|tar|gz)$`)
	weightsName    = regexp.MustCompile(`^models/published/[a-z0-9-]+/[a-z0-9.-]+\.safetensors$`)
)

// pictureStarts are how files of the formats begin that photos come in.
var pictureStarts = [][]byte{[]byte("\xff\xd8\xff"), []byte("\x89PNG\r\n"), []byte("GIF8"), []byte("BM6"), []byte("II*\x00"), []byte("MM\x00*")}

const (
	largestFile    = 1 << 20
	largestWeights = 15 << 20
)

// TestNoPhotoIsInGit walks the tracked files and every version of every file
// in the history.
func TestNoPhotoIsInGit(t *testing.T) {
	root, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Skip("not a git checkout")
	}
	git := func(input string, arguments ...string) []byte {
		t.Helper()
		command := exec.Command("git", arguments...)
		command.Dir = strings.TrimSpace(string(root))
		command.Stdin = strings.NewReader(input)
		output, err := command.Output()
		if err != nil {
			t.Fatalf("git %s: %v", arguments[0], err)
		}
		return output
	}
	// All objects that any commit reaches, each with the path it was first
	// found at, and those that are staged.
	listed := string(git("", "rev-list", "--objects", "--all"))
	for _, line := range strings.Split(string(git("", "ls-files", "--stage")), "\n") {
		if head, name, ok := strings.Cut(line, "\t"); ok {
			listed += strings.Fields(head)[1] + " " + name + "\n"
		}
	}
	names := map[string]string{}
	var query strings.Builder
	for _, line := range strings.Split(listed, "\n") {
		if hash, name, ok := strings.Cut(line, " "); ok && name != "" {
			names[hash] = name
			query.WriteString(hash + "\n")
		}
	}

	blobs := git(query.String(), "cat-file", "--batch")
	files := 0
	for len(blobs) > 0 {
		head, rest, _ := bytes.Cut(blobs, []byte("\n"))
		fields := strings.Fields(string(head)) // hash, type, size
		size, err := strconv.Atoi(fields[len(fields)-1])
		if err != nil {
			t.Fatalf("git cat-file said %q", head)
		}
		content := rest[:size]
		blobs = rest[size+1:]
		if fields[1] != "blob" {
			continue
		}
		files++
		checkFile(t, names[fields[0]], content)
	}
	if files < 100 {
		t.Errorf("only %d files were looked at", files)
	}
}

func checkFile(t *testing.T, name string, content []byte) {
	limit := largestFile
	if weightsName.MatchString(name) {
		limit = largestWeights
	}
	if len(content) > limit {
		t.Errorf("%s has %d bytes", name, len(content))
	}
	if pixelsName.MatchString(name) && !strings.Contains(name, "testdata/") {
		t.Errorf("%s may hold pixels", name)
	}
	picture := pictureName.MatchString(name)
	for _, start := range pictureStarts {
		picture = picture || bytes.HasPrefix(content, start)
	}
	if picture && !pictureAllowed.MatchString(name) {
		t.Errorf("%s is a picture", name)
	}
	// A test may speak of data URIs; what people look at may not have one.
	switch path.Ext(name) {
	case ".md", ".html", ".svg", ".ipynb", ".json", ".csv":
		if bytes.Contains(content, []byte("data:"+"image/")) || bytes.Contains(content, []byte("image/jpeg")) {
			t.Errorf("%s has a picture within", name)
		}
	}
}
