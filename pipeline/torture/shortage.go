package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"

	"catdog/pipeline/miniature"
)

// shortages takes away disk space, the right to write and file descriptors.
func (t *torturer) shortages() error {
	t.report.WriteString("## Short of something\n\nThe first make must end with one clear line and an exit status other than 0, or do its work; the next one, with all there again, goes on.\n\n")
	t.report.WriteString("| what | makes that failed | with one clear line | recovered to the same bytes |\n|---|---:|---:|---:|\n")
	if err := t.fullDisk(); err != nil {
		return err
	}
	if err := t.readOnly(); err != nil {
		return err
	}
	trial := t.begin("64 file descriptors")
	if err := t.fresh(); err != nil {
		return err
	}
	trial.check(t.project.Run("sh", "-c", "ulimit -n 64 && exec make"), "")
	if err := trial.end(); err != nil {
		return err
	}
	trial.write()
	t.report.WriteString("\n")
	return nil
}

// fresh removes all that make made.
func (t *torturer) fresh() error {
	for _, folder := range []string{"data", "models", "reports"} {
		if err := os.RemoveAll(t.project.Path(folder)); err != nil {
			return err
		}
	}
	return nil
}

// A trial counts what came of one kind of shortage.
type trial struct {
	*torturer
	name                            string
	tries, failed, clear, recovered int
}

func (t *torturer) begin(name string) *trial { return &trial{torturer: t, name: name} }

// clearLine is one line of a stage, and make's own about it.
var clearLine = regexp.MustCompile(`^([a-z]+: [^\n]+)\nmake: \*\*\* [^\n]+\n$`)

// noBuild is make's one line where it cannot even note what is to do.
var noBuild = regexp.MustCompile(`^Makefile:\d+: \*\*\* build/ cannot be written into\.  Stop\.\n$`)

// check looks at a make that had too little: it may have succeeded, or failed
// with one line which says why.
func (c *trial) check(made miniature.Result, why string) {
	if made.Status == 0 {
		return
	}
	c.failed++
	if noBuild.MatchString(made.Errors) {
		c.clear++
		return
	}
	var errors strings.Builder
	for line := range strings.Lines(made.Errors) {
		// What stages say of their work has columns; errors begin NAME: …
		if word, _, _ := strings.Cut(line, " "); strings.HasSuffix(word, ":") {
			errors.WriteString(line)
		}
	}
	if match := clearLine.FindStringSubmatch(errors.String()); match == nil || !strings.Contains(match[1], why) {
		c.say("%s: status %d, no clear line\n%s", c.name, made.Status, made.Errors)
		return
	}
	c.clear++
}

func (c *trial) end() error {
	c.tries++
	_, ok, err := c.recovers(c.name)
	if ok {
		c.recovered++
	}
	return err
}

func (c *trial) write() {
	fmt.Fprintf(os.Stderr, "torture   %s: %d tries, %d failed, %d with a clear line, %d recovered\n", c.name, c.tries, c.failed, c.clear, c.recovered)
	fmt.Fprintf(&c.report, "| %s | %d of %d | %d | %d |\n", c.name, c.failed, c.tries, c.clear, c.recovered)
}

// fullDisk runs the project on a small file system with ever more room left.
func (t *torturer) fullDisk() error {
	folder := t.scratch + "/small"
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=48m"); err != nil {
		fmt.Fprintf(&t.report, "| full disk | not tried: mounting a small file system needs root | | |\n")
		return nil
	}
	defer syscall.Unmount(folder, syscall.MNT_DETACH)
	if err := t.fresh(); err != nil {
		return err
	}
	small, err := t.project.Clone(folder + "/project")
	if err != nil {
		return err
	}
	usual := t.project
	t.project = small
	defer func() { t.project = usual }()
	trial := t.begin("full disk")
	for _, free := range []int64{0, 8, 64, 200, 500, 900, 1400, 2000, 2600, 3200, 4000, 5000, 6500} { // KiB
		if err := t.fresh(); err != nil {
			return err
		}
		if err := ballast(folder, free<<10); err != nil {
			return err
		}
		made := t.project.Make()
		if err := os.Remove(folder + "/ballast"); err != nil {
			return err
		}
		trial.check(made, "no space left on device")
		if err := trial.end(); err != nil {
			return err
		}
	}
	trial.write()
	return nil
}

// ballast fills a file system but for some bytes.
func ballast(folder string, free int64) error {
	var system syscall.Statfs_t
	if err := syscall.Statfs(folder, &system); err != nil {
		return err
	}
	file, err := os.Create(folder + "/ballast")
	if err != nil {
		return err
	}
	defer file.Close()
	return syscall.Fallocate(int(file.Fd()), 0, 0, max(int64(system.Bavail)*system.Bsize-free, 1))
}

// readOnly mounts one folder after the other read-only.
func (t *torturer) readOnly() error {
	trial := t.begin("a folder that is read-only")
	for _, name := range []string{"build", "data", "data/raw", "data/interim", "data/processed", "models", "reports"} {
		if err := t.fresh(); err != nil {
			return err
		}
		folder := t.project.Path(name)
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return err
		}
		if err := syscall.Mount(folder, folder, "", syscall.MS_BIND, ""); err != nil {
			fmt.Fprintf(&t.report, "| a folder that is read-only | not tried: needs root | | |\n")
			return nil
		}
		err := syscall.Mount("", folder, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		made := t.project.Make()
		if err := syscall.Unmount(folder, 0); err != nil {
			return err
		}
		if err != nil {
			return err
		}
		if made.Status == 0 {
			t.say("make succeeded with %s read-only", name)
		}
		trial.check(made, "read-only file system")
		if err := trial.end(); err != nil {
			return err
		}
	}
	trial.write()
	return nil
}
