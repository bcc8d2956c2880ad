package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"catdog/pipeline/miniature"
	"catdog/pipeline/progress"
)

// A torturer holds what all trials share.
type torturer struct {
	// places are copies of the project, each for one trial at a time.
	places   chan *place
	together int // how many there are
	// references are what undisturbed runs leave, by data set.
	references map[string]*state
	// archive holds the drawn photos as a zip, as people would bring theirs.
	archive  string
	scratch  string
	seed     uint64
	progress *progress.Reporter

	mutex sync.Mutex
	// done is how many trials have ended.
	done int
	// wrong is how many trials did not end as they should.
	wrong int
}

// A place is a copy of the project in which trials run.
type place struct {
	*torturer
	project *miniature.Project
}

// newTorturer makes the places, all as an undisturbed run leaves them.
func newTorturer(checkout string) (*torturer, error) {
	scratch, err := os.MkdirTemp("", "torture")
	if err != nil {
		return nil, err
	}
	if scratch, err = filepath.EvalSymlinks(scratch); err != nil {
		return nil, err
	}
	t := &torturer{
		together:   max(number("PLACES", runtime.NumCPU()), 1),
		references: map[string]*state{},
		archive:    filepath.Join(scratch, "photos.zip"),
		scratch:    scratch,
		seed:       uint64(number("SEED", 1)),
		progress:   progress.New("torture", os.Stderr),
	}
	t.places = make(chan *place, t.together)
	project, err := miniature.New(checkout, filepath.Join(scratch, "1"))
	if err != nil {
		return nil, err
	}
	// Several epochs of many steps, so that a killed training has something to go on
	// from.
	for _, pair := range [][2]string{{"train.epochs", "8"}, {"train.batch", "2"}} {
		if err := project.Set(pair[0], pair[1]); err != nil {
			return nil, err
		}
	}
	if made := project.Make(); made.Status != 0 {
		return nil, fmt.Errorf("the undisturbed make: %s", made.Errors)
	}
	if err := zipFolder(project.Path("data/raw/sample"), t.archive); err != nil {
		return nil, err
	}
	if made := project.Make(t.fetchArchive()...); made.Status != 0 {
		return nil, fmt.Errorf("the undisturbed make of another data set: %s", made.Errors)
	}
	for _, dataset := range []string{sample, pets} {
		if t.references[dataset], err = stateOf(project, dataset); err != nil {
			return nil, err
		}
	}
	t.places <- &place{t, project}
	for i := 1; i < t.together; i++ {
		another, err := project.Clone(filepath.Join(scratch, fmt.Sprint(i+1)))
		if err != nil {
			return nil, err
		}
		t.places <- &place{t, another}
	}
	return t, nil
}

// The data sets: the drawn one goes through all stages, the other is photos that
// people bring, which are only fetched.
const (
	sample = "sample"
	pets   = "pets"
)

// fetchArchive are make's words that fetch people's photos.
func (t *torturer) fetchArchive() []string {
	return []string{"fetch", "DATASET=" + pets, "FROM=" + t.archive}
}

// random are numbers for one trial of a part, the same whichever place it runs in.
func (t *torturer) random(part string, trial int) *rand.Rand {
	var name uint64
	for _, letter := range []byte(part) {
		name = name*31 + uint64(letter)
	}
	return rand.New(rand.NewPCG(t.seed, name<<20+uint64(trial)))
}

// countEvery is how often people are told how many trials have ended.
const countEvery = 15 * time.Second

// count tells people how many trials have ended, until the function that it
// returns is called.
func (t *torturer) count() (stop func()) {
	ticker := time.NewTicker(countEvery)
	go func() {
		for range ticker.C {
			t.mutex.Lock()
			t.progress.Say("%d trials, %d of them went wrong", t.done, t.wrong)
			t.mutex.Unlock()
		}
	}()
	return ticker.Stop
}

// each runs the trials of a part, as many at a time as there are places.
func (t *torturer) each(part string, trials int, trial func(p *place, random *rand.Rand, i int) error) error {
	var group errgroup.Group
	group.SetLimit(t.together)
	for i := range trials {
		group.Go(func() error {
			p := <-t.places
			defer func() { t.places <- p }()
			err := trial(p, t.random(part, i), i)
			t.mutex.Lock()
			t.done++
			t.mutex.Unlock()
			return err
		})
	}
	return group.Wait()
}

// alone runs something in one of the places.
func (t *torturer) alone(do func(p *place) error) error {
	p := <-t.places
	defer func() { t.places <- p }()
	return do(p)
}

// A tally counts what came of trials.
type tally struct {
	mutex  sync.Mutex
	counts map[string]int
}

func newTally() *tally { return &tally{counts: map[string]int{}} }

func (t *tally) add(what string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.counts[what]++
}

func (t *tally) addIf(ok bool, what string) {
	if ok {
		t.add(what)
	}
}

// of is how often something came out.
func (t *tally) of(what string) int { return t.counts[what] }

// mostKept is of how many trials that went wrong the files are kept.
const mostKept = 5

// say notes a trial that went wrong, and keeps what it left.
func (p *place) say(format string, values ...any) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.wrong++
	p.progress.Say("WRONG: "+format, values...)
	if p.wrong <= mostKept {
		kept := filepath.Join(p.scratch, fmt.Sprintf("wrong-%d", p.wrong))
		if _, err := p.project.Clone(kept); err != nil {
			p.progress.Say("it could not be kept: %s", err)
		}
	}
}

// recovers runs make, with these words, and compares what it leaves with an
// undisturbed run.
func (p *place) recovers(what, dataset string, words ...string) (miniature.Result, bool, error) {
	return p.recoversTo(p.references[dataset], what, dataset, words...)
}

func (p *place) recoversTo(reference *state, what, dataset string, words ...string) (miniature.Result, bool, error) {
	made := p.project.Make(words...)
	if made.Status != 0 {
		p.say("%s: make: status %d\n%s", what, made.Status, made.Errors)
		return made, false, p.restore()
	}
	now, err := stateOf(p.project, dataset)
	if err != nil {
		return made, false, err
	}
	if difference := reference.difference(now); difference != "" {
		p.say("%s: %s\n%s", what, difference, made.Errors)
		return made, false, p.restore()
	}
	return made, true, nil
}

// restore makes all from nothing, so that one wrong trial does not spoil the
// next ones.
func (p *place) restore() error {
	if err := p.clear(); err != nil {
		return err
	}
	for _, words := range [][]string{nil, p.fetchArchive()} {
		if made := p.project.Make(words...); made.Status != 0 {
			return fmt.Errorf("a make from nothing: %s", made.Errors)
		}
	}
	return nil
}

// made are the folders of all that make makes, but for what it compiles.
var made = []string{"data", "models", "reports"}

// clear removes all that make made.
func (p *place) clear() error { return p.remove(made...) }

func (p *place) remove(names ...string) error {
	for _, name := range names {
		if err := os.RemoveAll(p.project.Path(name)); err != nil {
			return err
		}
	}
	return nil
}
