package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"catdog/pipeline/torture/disk"
	"catdog/pipeline/torture/tracer"
)

// A history is a run of make whose operations are recorded.
type history struct {
	name    string
	dataset string
	// set are parameters changed before, on top of all that was made.
	set   [][2]string
	words []string // make's
	// share is its part of the makes.
	share int

	before     disk.Tree
	operations []tracer.Operation
	reference  *state
}

// A remnant is what a loss of power may leave of a history.
type remnant struct {
	after int // operations
	cut   string
	tree  disk.Tree
}

// randomCuts is how many random cuts there are after each operation.
const randomCuts = 3

// power cuts the power after each operation of a run of make: all that was
// promised by then must be there, and make must go on to the same bytes.
func (t *torturer) power() (string, error) {
	states := number("STATES", 700)
	histories := []*history{
		{name: "make, from nothing", dataset: sample, share: 5},
		{name: "other pixels over what is there", dataset: sample, share: 4, set: [][2]string{{"resize.height", "20"}, {"resize.width", "20"}}},
		{name: "fetch, from a zip", dataset: pets, words: t.fetchArchive(), share: 1},
	}
	rows := make([]string, len(histories))
	var group errgroup.Group
	for i, h := range histories {
		group.Go(func() (err error) {
			if rows[i], err = t.cutPower(h, states*h.share/10); err != nil {
				err = fmt.Errorf("%s: %w", h.name, err)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	return fmt.Sprintf("## Power lost\n\nThe operations of an undisturbed run are recorded and replayed on a model of a disk (package disk). After each of them the power is cut in %d ways: of what was not synced all is kept, all is dropped, content is dropped or zeros where names are kept, names are dropped where content is kept, and %d times each is kept, dropped or torn at random. In every state that differs from the others, what was promised must be there: a pointer and the whole artifact that it names, once the pointer's folder was synced; raw photos likewise; a checkpoint until its training is committed. In as many as said, make really runs, on what was left.\n\n", 5+randomCuts, randomCuts) +
		"| what | operations | states | promises broken | makes | to the same bytes |\n|---|---:|---:|---:|---:|---:|\n" + strings.Join(rows, "") + "\n", nil
}

func (t *torturer) cutPower(h *history, makes int) (row string, err error) {
	if err := t.alone(func(p *place) error { return p.record(h) }); err != nil {
		return "", err
	}
	chosen, states, broken, err := h.replay(t, makes)
	if err != nil {
		return "", err
	}
	for _, line := range broken {
		t.progress.Say("WRONG: %s: %s", h.name, line)
	}
	t.mutex.Lock()
	t.wrong += len(broken)
	t.mutex.Unlock()
	counts := newTally()
	err = t.each("makes after a loss of power, "+h.name, len(chosen), func(p *place, _ *rand.Rand, i int) error {
		r := chosen[i]
		if err := p.clear(); err != nil {
			return err
		}
		if err := r.tree.Lay(p.project.Folder); err != nil {
			return err
		}
		undo, err := p.change(h.set)
		if err != nil {
			return err
		}
		last := "nothing"
		if r.after > 0 {
			last = h.operations[r.after-1].String()
		}
		_, ok, err := p.recoversTo(h.reference, fmt.Sprintf("%s: power lost after operation %d, %s; %s", h.name, r.after, last, r.cut), h.dataset, h.words...)
		counts.addIf(ok, "recovered")
		if err != nil {
			return err
		}
		return undo()
	})
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %d |\n", h.name, len(h.operations), states, len(broken), len(chosen), counts.of("recovered")), err
}

// change sets parameters, and gives back a function that sets them back.
func (p *place) change(set [][2]string) (undo func() error, err error) {
	var before [][2]string
	for _, pair := range set {
		value, err := p.project.Get(pair[0])
		if err != nil {
			return nil, err
		}
		before = append(before, [2]string{pair[0], value})
		if err := p.project.Set(pair[0], pair[1]); err != nil {
			return nil, err
		}
	}
	return func() error {
		_, err := p.change(before)
		return err
	}, nil
}

// record runs make under the tracer, and checks that the operations on the model
// lead to what really lies there.
func (p *place) record(h *history) error {
	if err := p.clear(); err != nil {
		return err
	}
	if len(h.set) > 0 {
		if made := p.project.Make(); made.Status != 0 {
			return fmt.Errorf("make: %s", made.Errors)
		}
	}
	var err error
	if h.before, err = disk.Read(p.project.Folder, made...); err != nil {
		return err
	}
	undo, err := p.change(h.set)
	if err != nil {
		return err
	}
	command := p.project.Command("make", h.words...)
	var output strings.Builder
	status, err := tracer.Run(tracer.Options{
		Program: command.Path, Words: command.Args[1:], Folder: command.Dir, Env: command.Env, Root: p.project.Folder, Stderr: &output,
		Before: func(tracer.Operation, func(unix.Signal)) tracer.Verdict { return tracer.Proceed },
		Done: func(o tracer.Operation) {
			if first, _, _ := strings.Cut(o.Path, "/"); slices.Contains(made, first) || o.Kind == tracer.SyncAll || o.Path == "." {
				h.operations = append(h.operations, o)
			}
		},
	})
	if err != nil || status != 0 {
		return fmt.Errorf("make under the tracer: status %d, %w: %s", status, err, output.String())
	}
	after, err := disk.Read(p.project.Folder, made...)
	if err != nil {
		return err
	}
	model, err := disk.From(h.before)
	if err != nil {
		return err
	}
	for _, o := range h.operations {
		if err := model.Apply(o); err != nil {
			return fmt.Errorf("%s: %w", o, err)
		}
	}
	if difference := after.Difference(model.After(disk.Kept)); difference != "" {
		return fmt.Errorf("the recorded operations do not lead to %s as it lies there", difference)
	}
	if h.reference, err = stateOf(p.project, h.dataset); err != nil {
		return err
	}
	return undo()
}

// replay has the operations happen on the model, cuts the power after each of
// them in every way. It gives so many of the states that differ, drawn at random,
// how many there are, and the promises that any of them breaks.
func (h *history) replay(t *torturer, makes int) (drawn []*remnant, states int, broken []string, err error) {
	model, err := disk.From(h.before)
	if err != nil {
		return nil, 0, nil, err
	}
	promises := newPromises(h.dataset, h.before)
	seen := map[uint64]bool{}
	random := t.random("cuts of "+h.name, 0)
	cuts := []disk.Cut{disk.Kept, disk.Dropped, disk.Names, disk.Zeros, disk.Content}
	for range randomCuts {
		cuts = append(cuts, disk.Random(random))
	}
	wrong := map[string]bool{}
	for after := 0; after <= len(h.operations); after++ {
		if after > 0 {
			o := h.operations[after-1]
			if o.Kind == tracer.Rename && filepath.Base(o.To) == "digests" {
				// The cache of digests vouches for files by their times, which a loss
				// of power may leave without the content.
				for _, name := range model.Pending() {
					wrong[fmt.Sprintf("%s is vouched for before it is synced", name)] = true
				}
			}
			if err := model.Apply(o); err != nil {
				return nil, 0, nil, err
			}
			promises.note(o, model.After(disk.Kept))
		}
		for _, cut := range cuts {
			tree := model.After(cut)
			digest := tree.Digest()
			if seen[digest] {
				continue
			}
			seen[digest] = true
			for _, line := range promises.broken(tree) {
				if !wrong[line] {
					wrong[line] = true
					t.progress.Say("after operation %d (%s), %s: %s", after, h.operations[max(after-1, 0)], cut.Name, line)
				}
			}
			states++
			r := &remnant{after, cut.Name, tree}
			if len(drawn) < makes {
				drawn = append(drawn, r)
			} else if i := random.IntN(states); i < makes {
				drawn[i] = r
			}
		}
	}
	return drawn, states, slices.Sorted(maps.Keys(wrong)), nil
}
