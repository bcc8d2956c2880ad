// Package miniature makes small copies of the project whose whole make takes
// seconds: 80 drawn photos, one epoch of a tiny network. Tests run real make,
// with the real binaries, in them.
package miniature

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A Project is a copy of the project in a folder of its own.
type Project struct {
	Folder string
	// Env is added to the environment of what runs in the folder.
	Env []string
	// As is the user who runs it, nil for this process's own.
	As *syscall.Credential
}

// small are the parameters that differ from the checkout's.
var small = [][2]string{
	{"fetch.drawn.images", "80"},
	{"pack.validation", "0.2"},
	{"pack.test", "0.2"},
	{"resize.height", "16"},
	{"resize.width", "16"},
	{"train.epochs", "1"},
	{"train.batch", "16"},
	{"train.precision", "float32"},
	{"train.threads", "1"},
	{"train.network.height", "16"},
	{"train.network.width", "16"},
	{"train.network.channels", "[8]"},
	{"train.network.residuals", "[0]"},
	{"train.network.pools", "[2]"},
	{"datasets.sample.experiment", "64px"},
}

// Experiment is the one that the data set sample has in a miniature.
const Experiment = "64px"

// Checkout is the folder of go.mod at or above the working folder.
func Checkout() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		above := filepath.Dir(folder)
		if above == folder {
			return "", errors.New("there is no go.mod here or above")
		}
		folder = above
	}
}

// New makes a miniature of the checkout in a new folder. The checkout's
// binaries are brought up to date and linked to, so that make compiles nothing
// as long as no source is changed; see OwnBinaries.
func New(checkout, folder string) (*Project, error) {
	p := &Project{Folder: checkout}
	if built := p.Make("build"); built.Status != 0 {
		return nil, fmt.Errorf("make build in %s: %s", checkout, built.Errors)
	}
	p.Folder = folder
	if err := os.MkdirAll(p.Path("build"), 0o777); err != nil {
		return nil, err
	}
	for _, name := range []string{"Makefile", "params.yaml", "go.mod", "go.sum", "pipeline", "stages", "build/setup", "bin/.built"} {
		if err := copyTree(filepath.Join(checkout, name), p.Path(name)); err != nil {
			return nil, err
		}
	}
	binaries, err := os.ReadDir(filepath.Join(checkout, "bin"))
	if err != nil {
		return nil, err
	}
	for _, binary := range binaries {
		if binary.Name() == ".built" {
			continue
		}
		if err := os.Symlink(filepath.Join(checkout, "bin", binary.Name()), p.Path("bin/"+binary.Name())); err != nil {
			return nil, err
		}
	}
	for _, pair := range small {
		if err := p.Set(pair[0], pair[1]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// OwnBinaries replaces the links to the checkout's binaries by copies, for
// sources that will change.
func (p *Project) OwnBinaries() error {
	links, err := os.ReadDir(p.Path("bin"))
	if err != nil {
		return err
	}
	for _, link := range links {
		name := p.Path("bin/" + link.Name())
		if link.Type()&fs.ModeSymlink == 0 {
			continue
		}
		target, err := os.Readlink(name)
		if err != nil {
			return err
		}
		if err := os.Remove(name); err != nil {
			return err
		}
		if err := copyTree(target, name); err != nil {
			return err
		}
	}
	return nil
}

// Clone is a copy of the project as it lies there, outputs included.
func (p *Project) Clone(folder string) (*Project, error) {
	if err := copyTree(p.Folder, folder); err != nil {
		return nil, err
	}
	return &Project{Folder: folder, Env: slices.Clone(p.Env), As: p.As}, nil
}

// copyTree copies a file or folder with its times and links; tests' data is
// left out.
func copyTree(from, to string) error {
	times := map[string]time.Time{} // of folders, once all is in them
	err := filepath.WalkDir(from, func(name string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, name[len(from):])
		information, err := item.Info()
		if err != nil {
			return err
		}
		switch {
		case item.IsDir() && item.Name() == "testdata":
			return fs.SkipDir
		case item.IsDir():
			times[target] = information.ModTime()
			return os.MkdirAll(target, 0o777)
		case item.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(name)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(target, content, information.Mode()); err != nil {
			return err
		}
		return os.Chtimes(target, time.Time{}, information.ModTime())
	})
	for folder, modified := range times {
		err = errors.Join(err, os.Chtimes(folder, time.Time{}, modified))
	}
	return err
}

// Path is where a file of the project lies.
func (p *Project) Path(name string) string { return filepath.Join(p.Folder, filepath.FromSlash(name)) }

// A Result is what a command left.
type Result struct {
	Output, Errors string
	Status         int
}

// Make runs make in the project. Words with = reach it as people would type
// them, without a shell.
func (p *Project) Make(words ...string) Result { return p.Run("make", words...) }

// Run runs a program in the project.
func (p *Project) Run(program string, words ...string) Result {
	command := p.Command(program, words...)
	var output, errors bytes.Buffer
	command.Stdout, command.Stderr = &output, &errors
	result := Result{}
	if err := command.Run(); err != nil {
		result.Status = command.ProcessState.ExitCode() // -1 if it was killed
		if command.ProcessState == nil {
			fmt.Fprintln(&errors, err)
		}
	}
	result.Output, result.Errors = output.String(), errors.String()
	return result
}

// Command is a program about to run in the project.
func (p *Project) Command(program string, words ...string) *exec.Cmd {
	command := exec.Command(program, words...)
	command.Dir = p.Folder
	command.Env = append(environment(), p.Env...)
	if p.As != nil {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: p.As}
	}
	return command
}

// environment is this process's own without what a make above it, or whoever
// runs the tests, means for the pipeline.
func environment() []string {
	ours := []string{"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKE_RESTARTS", "MAKEFILES", "MAKEOVERRIDES",
		"DATASET", "EXPERIMENT", "STAGE", "FROM", "SET", "PHOTOS", "CSV", "MODEL", "OUT", "HALF", "REV", "ONLY", "KEY", "SWEEP", "DRY", "JSON", "MINUTES"}
	return slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(ours, name)
	})
}

var event = regexp.MustCompile(`(?m)^(\w+) +(runs: .*|takes what was computed before .*)$`)

// Events are the lines in which stages say that they run, or take what was
// computed before, and why.
func (r Result) Events() []string {
	var events []string
	for _, match := range event.FindAllStringSubmatch(r.Errors, -1) {
		events = append(events, match[1]+" "+match[2])
	}
	return events
}

var planned = regexp.MustCompile(`(?m)^bin/(\w+)( *# only if.*)?$`)

// Planned are the stages that make -n names: those that will run, and those
// that run if what they read comes out different.
func (r Result) Planned() (certain, perhaps []string) {
	for _, match := range planned.FindAllStringSubmatch(r.Output, -1) {
		if match[2] == "" {
			certain = append(certain, match[1])
		} else {
			perhaps = append(perhaps, match[1])
		}
	}
	return certain, perhaps
}

// Snapshot is the content of every file below a folder of the project, by its
// path in the project, but for those that patterns match.
func (p *Project) Snapshot(folder string, except ...string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(p.Path(folder), func(name string, item fs.DirEntry, err error) error {
		if err != nil || !item.Type().IsRegular() {
			return err
		}
		for _, pattern := range except {
			if ok, _ := filepath.Match(pattern, item.Name()); ok {
				return nil
			}
		}
		content, err := os.ReadFile(name)
		files[name[len(p.Folder)+1:]] = string(content)
		return err
	})
	return files, err
}
