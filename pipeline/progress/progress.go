// Package progress is what people see while a stage works: bars with rate and
// time left on a terminal, plain lines elsewhere, one closing line a stage.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// lineEvery is how often a plain line is printed where there is no terminal.
const lineEvery = 15 * time.Second

// A Reporter shows one stage's work. Its methods may be called from any
// goroutine.
type Reporter struct {
	stage    string
	out      io.Writer
	terminal bool
	mutex    sync.Mutex
	bars     *mpb.Progress
}

// New shows the work of the named stage on out; bars if out is a terminal.
func New(stage string, out *os.File) *Reporter {
	return &Reporter{stage: stage, out: out, terminal: term.IsTerminal(int(out.Fd()))}
}

// Discard shows nothing.
func Discard() *Reporter { return &Reporter{out: io.Discard} }

// Say prints a line.
func (r *Reporter) Say(format string, arguments ...any) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	line := fmt.Sprintf("%-8s  %s\n", r.stage, fmt.Sprintf(format, arguments...))
	if r.bars != nil {
		io.WriteString(r.bars, line)
		return
	}
	io.WriteString(r.out, line)
}

// A Task is a number of like things to do.
type Task struct {
	reporter *Reporter
	label    string
	total    int64
	started  time.Time

	mutex   sync.Mutex
	done    int64
	note    string
	printed time.Time
	bars    *mpb.Progress
	bar     *mpb.Bar
}

// Task begins to show total things of a kind, e.g. Task("photos", 25000).
func (r *Reporter) Task(label string, total int64) *Task {
	task := &Task{reporter: r, label: label, total: total, started: time.Now(), printed: time.Now()}
	if !r.terminal {
		return task
	}
	task.bars = mpb.New(mpb.WithOutput(r.out), mpb.WithWidth(40), mpb.WithRefreshRate(150*time.Millisecond))
	task.bar = task.bars.AddBar(total, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-8s  %s ", r.stage, label)), decor.CountersNoUnit("%d/%d")),
		mpb.AppendDecorators(
			decor.AverageSpeed(0, " %.0f/s"),
			decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace),
			decor.Any(func(decor.Statistics) string { return "  " + task.currentNote() })))
	r.mutex.Lock()
	r.bars = task.bars
	r.mutex.Unlock()
	return task
}

func (t *Task) currentNote() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.note
}

// Note sets the text behind the bar, e.g. the current loss.
func (t *Task) Note(format string, arguments ...any) {
	t.mutex.Lock()
	t.note = fmt.Sprintf(format, arguments...)
	t.mutex.Unlock()
}

// Add says that n more things are done.
func (t *Task) Add(n int) {
	if t.bar != nil {
		t.bar.IncrBy(n)
		return
	}
	t.mutex.Lock()
	t.done += int64(n)
	now, line := time.Now(), ""
	if now.Sub(t.printed) >= lineEvery {
		t.printed = now
		rate := float64(t.done) / now.Sub(t.started).Seconds()
		left := time.Duration(float64(t.total-t.done) / rate * float64(time.Second)).Round(time.Second)
		line = fmt.Sprintf("%s %d/%d, %.0f/s, %s left  %s", t.label, t.done, t.total, rate, left, t.note)
	}
	t.mutex.Unlock()
	if line != "" {
		t.reporter.Say("%s", line)
	}
}

// Done removes the bar.
func (t *Task) Done() {
	if t.bar == nil {
		return
	}
	t.bar.Abort(true)
	t.bars.Wait()
	t.reporter.mutex.Lock()
	t.reporter.bars = nil
	t.reporter.mutex.Unlock()
}
