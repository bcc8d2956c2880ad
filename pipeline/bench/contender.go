package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A contender is a process that does one kind of work on demand. It prepares
// itself and prints a line of JSON, a greeting; then for each line on its
// standard input, a number of seconds, it works for at least that long and
// prints a score. It ends with its input. The peers' scripts speak the same
// way, see peers/contender.py.
type contender struct {
	name    string
	command *exec.Cmd
	in      io.WriteCloser
	lines   chan string // its standard output; closed when it ends
	stderr  *tail
	greeting
}

// A greeting says that a contender is ready.
type greeting struct {
	// Versions of what it works with, by name.
	Versions map[string]string `json:"versions,omitempty"`
	// Allocations and AllocatedBytes are of one unit of work, once warm.
	Allocations    float64 `json:"allocations,omitempty"`
	AllocatedBytes float64 `json:"allocated_bytes,omitempty"`
}

// A score is what a contender did and how long that took.
type score struct {
	Units   float64 `json:"units"` // images, photos, bytes
	Seconds float64 `json:"seconds"`
}

func (s score) rate() float64 { return s.Units / s.Seconds }

// start starts a contender and waits until it is ready.
func start(ctx context.Context, name string, command *exec.Cmd) (*contender, error) {
	c := &contender{name: name, command: command, stderr: &tail{}, lines: make(chan string, 1)}
	command.Stderr = c.stderr
	var err error
	if c.in, err = command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(c.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.lines <- lines.Text()
		}
	}()
	if err := c.read(ctx, &c.greeting); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// measure has the contender work for about that long.
func (c *contender) measure(ctx context.Context, duration time.Duration) (score, error) {
	var s score
	if _, err := fmt.Fprintf(c.in, "%g\n", duration.Seconds()); err != nil {
		return s, fmt.Errorf("%s: %w", c.name, err)
	}
	if err := c.read(ctx, &s); err != nil {
		return s, err
	}
	if !(s.Units > 0 && s.Seconds > 0) {
		return s, fmt.Errorf("%s: says that it did %g in %g s", c.name, s.Units, s.Seconds)
	}
	return s, nil
}

// read reads the next line that is JSON; libraries print lines of their own.
// Once ctx has ended it reads nothing, even if a line is there.
func (c *contender) read(ctx context.Context, into any) error {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case line, ok := <-c.lines:
			if !ok {
				c.close() // waits for its last words
				return fmt.Errorf("%s ended: %s", c.name, c.stderr.last())
			}
			if !strings.HasPrefix(line, "{") {
				continue
			}
			if err := json.Unmarshal([]byte(line), into); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			return nil
		}
	}
	return ctx.Err()
}

// forgetPeak makes the peak of memory start anew, where Linux lets us.
func (c *contender) forgetPeak() {
	name := fmt.Sprintf("/proc/%d/clear_refs", c.command.Process.Pid)
	_ = os.WriteFile(name, []byte("5"), 0) // without it the peak is from the start on
}

// peak is the most memory that the process had at a time, in MiB; 0 if that
// is not known here.
func (c *contender) peak() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.command.Process.Pid))
	if err != nil {
		return 0
	}
	words := strings.Fields(field(string(text), "VmHWM", ":"))
	if len(words) == 0 {
		return 0
	}
	kibibytes, _ := strconv.ParseFloat(words[0], 64)
	return kibibytes / 1024
}

// close ends the contender, if that has not been done. What it says at its end
// is of no more interest.
func (c *contender) close() error {
	c.in.Close()
	// One that does not listen is ended; the context that it was started with
	// does so as well.
	timer := time.AfterFunc(10*time.Second, func() { c.command.Process.Kill() })
	defer timer.Stop()
	for range c.lines {
	}
	c.command.Wait()
	return nil
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

func (t *tail) Write(text []byte) (int, error) {
	t.text = append(t.text, text...)
	if surplus := len(t.text) - 8<<10; surplus > 0 {
		t.text = t.text[surplus:]
	}
	return len(text), nil
}

// last is the last line that is not empty: of a Python program, what went
// wrong.
func (t *tail) last() string {
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// contenderVariable, in a process's environment, makes it a contender: its
// value is the JSON of an assignment.
const contenderVariable = "CATDOG_CONTENDER"

// An assignment is what one of our own contenders shall do.
type assignment struct {
	Kind    string `json:"kind"`
	Network string `json:"network,omitempty"`
	Batch   int    `json:"batch,omitempty"` // 0 is the network's own
	Threads int    `json:"threads,omitempty"`
	// Precision is float32 if it is empty.
	Precision string `json:"precision,omitempty"`
	Folder    string `json:"folder,omitempty"`
	File      string `json:"file,omitempty"`
	SHA256    string `json:"sha256,omitempty"`
}

// Work is what a contender does over and over.
type work struct {
	greeting
	unit  func() (units float64, err error)
	close func() error
	// clock is the seconds so far that count; nil if all do.
	clock func() float64
}

// kinds make our contenders' work, by the assignment's kind.
var kinds = map[string]func(assignment) (*work, error){
	"train":         newTraining,
	"augment":       newAugmentedTraining,
	"gorgonia":      newStockTraining,
	"infer":         newInference,
	"classify":      newClassifying,
	"stage":         newStageTraining,
	"pack-training": newPackTraining,
	"resize":        newResizing,
	"vips":          newVipsThumbnails,
	"pack":          newPackReading,
}

// ServeIfContender turns this process into a contender if a bench has started
// it as one, and then never returns. It must come first in main, after
// photo.ServeIfWorker.
func ServeIfContender() {
	text, ok := os.LookupEnv(contenderVariable)
	if !ok {
		return
	}
	var a assignment
	err := json.Unmarshal([]byte(text), &a)
	if err == nil {
		err = serve(a, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve is a contender's life.
func serve(a assignment, in io.Reader, out io.Writer) (err error) {
	make, ok := kinds[a.Kind]
	if !ok {
		return fmt.Errorf("no contender is called %q", a.Kind)
	}
	w, err := make(a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	answers := json.NewEncoder(out)
	if err := answers.Encode(w.greeting); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		seconds, err := strconv.ParseFloat(lines.Text(), 64)
		if err != nil {
			return fmt.Errorf("asked for %q seconds of work", lines.Text())
		}
		clock := w.clock
		if clock == nil {
			started := time.Now()
			clock = func() float64 { return time.Since(started).Seconds() }
		}
		var s score
		for before := clock(); s.Units == 0 || s.Seconds < seconds; s.Seconds = clock() - before {
			units, err := w.unit()
			if err != nil {
				return err
			}
			s.Units += units
		}
		if err := answers.Encode(s); err != nil {
			return err
		}
	}
	return nil
}

// beside measures one of our own contenders beside a peer's script.
func (s *session) beside(a assignment, peerName, script string, arguments ...string) (samples []sample, err error) {
	var all []*contender
	defer func() { s.closeAll(all) }()
	c, err := ours(s, "ours", a)
	if err != nil {
		return nil, err
	}
	all = append(all, c)
	if c, err = s.python("peers", peerName, script, arguments...); err != nil {
		return nil, err
	}
	all = append(all, c)
	return rates(s, all, s.rounds(), s.turn())
}

// ours is a contender of this program.
func ours(ctx context.Context, name string, a assignment) (*contender, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	text, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	command := exec.CommandContext(ctx, self)
	command.Env = append(os.Environ(), contenderVariable+"="+string(text))
	return start(ctx, name, command)
}
