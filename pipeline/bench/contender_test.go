package bench

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catdog/pipeline/photo"
)

// The test binary is the program that the contenders and photo workers are.
func TestMain(m *testing.M) {
	photo.ServeIfWorker()
	kinds["counting"] = func(assignment) (*work, error) {
		w := &work{unit: func() (float64, error) { return 3, nil }, close: func() error { return nil }}
		w.Versions = map[string]string{"counting": "1"}
		w.Allocations = 7
		return w, nil
	}
	kinds["clocked"] = func(assignment) (*work, error) {
		spent := 0.0
		return &work{
			unit:  func() (float64, error) { spent += 2; return 8, nil },
			clock: func() float64 { return spent },
			close: func() error { return nil },
		}, nil
	}
	kinds["failing"] = func(assignment) (*work, error) {
		return &work{unit: func() (float64, error) { return 0, errors.New("no more paper") }, close: func() error { return nil }}, nil
	}
	ServeIfContender()
	os.Exit(m.Run())
}

func TestContender(t *testing.T) {
	c, err := ours(t.Context(), "ours", assignment{Kind: "counting"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if c.Versions["counting"] != "1" || c.Allocations != 7 {
		t.Errorf("greeted by %+v", c.greeting)
	}
	c.forgetPeak()
	samples, err := rates(t.Context(), []*contender{c, c}, 2, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if len(samples) != 2 || len(samples[0]) != 2 || samples[0].median() <= 0 {
		t.Errorf("samples %v", samples)
	}
	if c.peak() <= 0 {
		t.Error("the peak of memory is not known")
	}
}

// Only the time counts that the work says.
func TestContenderClock(t *testing.T) {
	c, err := ours(t.Context(), "ours", assignment{Kind: "clocked"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for range 2 {
		if s, err := c.measure(t.Context(), 6*time.Second); err != nil || s != (score{Units: 24, Seconds: 6}) {
			t.Errorf("got %+v, %v, want 24 units in 6 s", s, err)
		}
	}
}

// A contender that fails says why, in one line.
func TestContenderFails(t *testing.T) {
	if _, err := ours(t.Context(), "ours", assignment{Kind: "unheard of"}); err == nil || !strings.Contains(err.Error(), "unheard of") {
		t.Errorf("started: %v", err)
	}
	c, err := ours(t.Context(), "ours", assignment{Kind: "failing"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.measure(t.Context(), time.Millisecond); err == nil || err.Error() != "ours ended: no more paper" {
		t.Errorf("measured: %v", err)
	}
}

// Contenders in other languages may print lines of their own, and nonsense.
func TestContenderOutput(t *testing.T) {
	shell := func(script string) (*contender, error) {
		return start(t.Context(), "shell", exec.CommandContext(t.Context(), "/bin/sh", "-c", script))
	}
	c, err := shell(`echo hello; echo '{"versions":{"sh":"1"}}'; while read seconds; do echo noise; echo '{"units":10,"seconds":4}'; done`)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if s, err := c.measure(t.Context(), time.Second); err != nil || s.rate() != 2.5 {
		t.Errorf("got %v, %v, want 2.5 a second", s, err)
	}
	for script, want := range map[string]string{
		"echo broken >&2; exit 3":                     "shell ended: broken",
		"echo '{\"versions\":3}'; read line":          "shell: json",
		"echo '{}'; read line; echo '{\"units\":0}' ": "shell: says that it did 0 in 0 s",
	} {
		c, err := shell(script)
		if err == nil {
			_, err = c.measure(t.Context(), time.Second)
			c.close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", script, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.measure(ctx, time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v after Ctrl-C", err)
	}
}

// What is measured does its work: photos are resized, a pack is read.
func TestWork(t *testing.T) {
	folder := t.TempDir()
	names, err := drawPhotos(t.Context(), folder, 3)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(folder, "photos.txt")
	if err := os.WriteFile(list, []byte(strings.Join(names, "\n")), 0o666); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "pack.arrow")
	digest, err := writePack(file, 40)
	if err != nil {
		t.Fatal(err)
	}
	information, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		assignment
		units float64
	}{
		{assignment{Kind: "resize", File: list}, 3},
		{assignment{Kind: "pack", File: file, SHA256: digest}, float64(information.Size())},
	} {
		w, err := kinds[test.Kind](test.assignment)
		if err != nil {
			t.Fatal(err)
		}
		if units, err := w.unit(); err != nil || units != test.units {
			t.Errorf("%s: did %g, %v, want %g", test.Kind, units, err, test.units)
		}
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}
}

// The drawn photos are about as long as those of the real data set.
func TestDrawPhotos(t *testing.T) {
	names, err := drawPhotos(t.Context(), t.TempDir(), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		information, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if size := information.Size(); size < 15_000 || size > 60_000 {
			t.Errorf("%s has %d bytes", name, size)
		}
	}
}
