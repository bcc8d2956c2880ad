package track

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"catdog/pipeline/artifact"
	"catdog/pipeline/code"
	"catdog/pipeline/stage"
)

// workshop is where binaries are linked. They are moved to bin/ whole, so that
// one that runs, or another make's, is never half of one.
const workshop = "build/bin"

// build compiles every stage with the digest of its code linked in, and the
// other commands, this one included, into bin/. Last, it writes down the
// digests. A second make waits.
func build(words []string, out io.Writer) error {
	for _, folder := range []string{workshop, "bin"} {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return err
		}
	}
	lock := flock.New("build/lock")
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("lock the build: %w", err)
	}
	defer lock.Unlock()
	libraries, asked, err := libraryVersions()
	if err != nil {
		return err
	}
	tags := os.Getenv("TAGS") // gpu, where set-up found what that needs
	var names []string
	for _, definition := range stage.All {
		names = append(names, definition.Name)
	}
	digests, err := code.Digests(names, tags, libraries)
	if err != nil {
		return err
	}
	for _, name := range names {
		flag := "-ldflags=-X catdog/pipeline/stage.Code=" + digests[name]
		if err := goBuild(name, tags, flag); err != nil {
			return err
		}
	}
	others, err := filepath.Glob("stages/*/main.go")
	if err != nil {
		return err
	}
	for _, main := range others {
		name := filepath.Base(filepath.Dir(main))
		if stage.Find(name) == nil {
			if err := goBuild(name, tags); err != nil {
				return err
			}
		}
	}
	after, err := code.Digests(names, tags, libraries)
	if err != nil {
		return err
	}
	if !maps.Equal(digests, after) {
		return errors.New("sources changed while they were compiled; run make again")
	}
	text, err := json.MarshalIndent(digests, "", "  ")
	if err != nil {
		return err
	}
	if err := artifact.WriteFile("bin/libraries", asked); err != nil {
		return err
	}
	return artifact.WriteFile(CodesFile, append(text, '\n'))
}

// goBuild brings bin/NAME up to date.
func goBuild(name, tags string, flags ...string) error {
	linked := filepath.Join(workshop, name)
	command := exec.Command("go", append(append([]string{"build", "-tags=" + tags}, flags...), "-o", linked, "./stages/"+name)...)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("go build ./stages/%s: %w", name, err)
	}
	// What go build links next is a new file, so the two names may share one;
	// where they do, it had nothing to link, and renaming would do nothing.
	binary, next := filepath.Join("bin", name), filepath.Join("bin", name+".new")
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if sameFile(linked, binary) {
		return nil
	}
	if err := os.Link(linked, next); err != nil {
		next = linked // a file system without links: moving is enough
	}
	return os.Rename(next, binary)
}

// sameFile says whether both names are there and of one file.
func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// libraryVersions asks for the versions of the C libraries that stages link; the
// text is the answer as the Makefile compares it.
func libraryVersions() (versions map[string]string, text []byte, err error) {
	command := exec.Command("sh", "stages/libraries.sh")
	command.Stderr = os.Stderr
	if text, err = command.Output(); err != nil {
		return nil, nil, fmt.Errorf("ask for the libraries' versions: %w", err)
	}
	versions = map[string]string{}
	for line := range strings.Lines(string(text)) {
		word, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		versions[word] = version
	}
	return versions, text, nil
}
