package stage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"catdog/pipeline/artifact"
	"catdog/pipeline/progress"
)

// Code is the digest of the stage's code, linked in when the stage is built,
// so that editing sources while it runs cannot lie.
var Code string

// Work is what a stage does: it reads what the job names, writes into
// job.Folder and returns one line about it.
type Work func(ctx context.Context, job *Job) (summary string, err error)

// Main is the main function of a stage: it does nothing, silently, if the
// stage's output is what it would be; else it says why and does the work. The
// exit status is 0, 1 (failed) or 2 (used wrongly).
func Main(name string, work Work) {
	if len(os.Args) > 1 {
		fmt.Fprintf(os.Stderr, "usage: %s  (no arguments; DATASET, EXPERIMENT, FROM and SET come from the environment)\n", name)
		os.Exit(2)
	}
	superviseUnlessWorker(name)
	reporter := progress.New(name, os.Stderr)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process at once. One may come twice, from the
	// terminal and from the supervisor.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	if err := run(ctx, name, work, reporter); err != nil {
		line := strings.ReplaceAll(err.Error(), "\n", "; ")
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, strings.TrimPrefix(line, name+": "))
		os.Exit(1)
	}
}

func run(ctx context.Context, name string, work Work, reporter *progress.Reporter) error {
	if Code == "" {
		return errors.New("built without the digest of its code; build it with make")
	}
	definition := Find(name)
	project, err := OpenProject(map[string]string{name: Code})
	if err != nil {
		return err
	}
	unlock, err := Lock(ctx, project.Params.Dataset, reporter)
	if err != nil {
		return err
	}
	defer unlock()
	// Another process may have learnt about files while this one waited.
	if project, err = OpenProject(project.codes); err != nil {
		return err
	}
	defer project.Save()
	project.computes = true

	states, err := project.inputs(definition)
	if err != nil {
		return err
	}
	digests := map[string]string{}
	for input, manifest := range states {
		digests[input] = manifest.Digest
	}
	state, err := project.state(definition, digests)
	if err != nil {
		return err
	}
	switch state.Verdict {
	case Fresh:
		return nil
	case Restorable:
		reporter.Say("takes what was computed before (%s)", strings.Join(state.Reasons, "; "))
		return project.point(definition, state.Manifest)
	}
	reporter.Say("runs: %s", strings.Join(state.Reasons, "; "))
	started := time.Now()
	summary, err := project.compute(ctx, definition, state, states, work, reporter)
	if err != nil {
		return err
	}
	reporter.Say("%s (%s)", summary, time.Since(started).Round(100*time.Millisecond))
	return nil
}

// Lock keeps a second make on the same data set waiting until the function that
// it returns is called.
func Lock(ctx context.Context, dataset string, reporter *progress.Reporter) (func() error, error) {
	folder := filepath.Join("data/interim", dataset)
	if err := artifact.MakeFolder(folder); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(folder, "lock"))
	taken, err := lock.TryLock()
	if err == nil && !taken {
		reporter.Say("waits: another make works on %s", dataset)
		taken, err = lock.TryLockContext(ctx, 200*time.Millisecond)
	}
	if err != nil || !taken {
		return nil, fmt.Errorf("lock %s: %w", lock.Path(), err)
	}
	return lock.Unlock, nil
}

// reread is the digest of a file that is about to be used. Large ones are hashed
// by who reads them, since that takes longer: pack.Open.
func (p *Project) reread(folder, path string) (artifact.File, error) {
	const large = 64 << 20
	if information, err := os.Stat(filepath.Join(folder, path)); err == nil && information.Size() > large {
		return p.digests.File(folder, path)
	}
	return p.digests.Reread(folder, path)
}

// inputs are the current outputs of the stages before, verified. They must
// belong together and to params.yaml: somebody may have changed a parameter or
// run another make since this one was planned.
func (p *Project) inputs(definition *Definition) (map[string]*artifact.Manifest, error) {
	manifests := map[string]*artifact.Manifest{}
	for _, input := range definition.Inputs {
		before := Find(input)
		manifest, err := p.current(before)
		if absent(err) {
			return nil, fmt.Errorf("there is no output of %s yet: make %s", input, input)
		} else if err != nil {
			return nil, err
		}
		if input == "fetch" {
			raw, err := p.scanRaw()
			if err != nil {
				return nil, err
			}
			if raw.digest != manifest.Digest {
				manifest.Origin = nil // no longer what fetch brought, or drew
			}
			manifest.Digest = raw.digest
		} else if err := artifact.Verify(p.folder(before, manifest), manifest, nil, p.reread); err != nil {
			return nil, err
		}
		manifests[input] = manifest
	}
	for _, input := range definition.Inputs {
		manifest := manifests[input]
		if input != "fetch" && !maps.Equal(manifest.Parameters, p.Parameters(input)) {
			return nil, fmt.Errorf("%s ran with other parameters than there are now: run make again", input)
		}
		for before, digest := range manifest.Inputs {
			if other := manifests[before]; other != nil && other.Digest != digest {
				return nil, fmt.Errorf("what %s made is not of what %s gives now: run make again", input, before)
			}
		}
	}
	return manifests, nil
}

// folder is where an artifact lies.
func (p *Project) folder(definition *Definition, manifest *artifact.Manifest) string {
	if definition.Name == "fetch" {
		return p.Raw()
	}
	return definition.Folder(p.Params.Dataset, manifest.Key)
}

// compute runs a stage's work and makes its output the current one.
func (p *Project) compute(ctx context.Context, definition *Definition, state *State, inputs map[string]*artifact.Manifest, work Work, reporter *progress.Reporter) (string, error) {
	job := &Job{
		Params:   p.Params,
		Progress: reporter,
		Engine:   p.engine(definition),
		NoGPU:    p.noGPU,
		StepKey:  state.Recipe.StepKey(),
		Store:    filepath.Join("data/interim", p.Params.Dataset, "store"),
		Inputs:   map[string]*Input{},
	}
	if definition.Name == "fetch" {
		return p.runFetch(definition, state, job, func() (string, error) { return work(ctx, job) })
	}
	for name, manifest := range inputs {
		job.Inputs[name] = &Input{Folder: p.folder(Find(name), manifest), Manifest: manifest}
	}
	if definition.ReadsRaw {
		raw, err := p.scanRaw()
		if err != nil {
			return "", err
		}
		job.Raw, job.Photos = p.Raw(), raw.files
	}

	root := definition.Root(p.Params.Dataset)
	job.Folder = filepath.Join(root, state.Recipe.Key()+".partial")
	if err := p.prepare(definition, root, job.Folder); err != nil {
		return "", err
	}
	summary, err := work(ctx, job)
	if err != nil {
		if errors.Is(err, artifact.ErrDamaged) && definition.StoreOf != "" {
			err = fmt.Errorf("%w; run make again to have %s mend it", err, definition.StoreOf)
			err = errors.Join(err, p.retract(Find(definition.StoreOf)))
		}
		if !definition.Resumes {
			err = errors.Join(err, os.RemoveAll(job.Folder))
		}
		return "", err
	}
	manifest, err := artifact.Commit(job.Folder, root, *state.Recipe, definition.Informational, definition.Scratch, p.digests)
	if err != nil {
		return "", err
	}
	return summary, p.point(definition, manifest)
}

// retract takes a stage's current output back, so that it is computed again.
func (p *Project) retract(definition *Definition) error {
	manifest, err := p.current(definition)
	if err != nil {
		return err
	}
	return errors.Join(os.Remove(p.Pointer(definition)), os.RemoveAll(p.folder(definition, manifest)))
}

// prepare makes the folder to write into. What a killed run left behind is
// gone on with by stages that can, and removed otherwise.
func (p *Project) prepare(definition *Definition, root, folder string) error {
	if !definition.Resumes {
		left, err := filepath.Glob(filepath.Join(root, "*.partial"))
		if err != nil {
			return err
		}
		for _, name := range left {
			if err := os.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	if err := artifact.MakeFolder(folder); err != nil {
		return fmt.Errorf("make the folder to write into: %w", err)
	}
	// Files that a killed run was about to replace others with have names with
	// a dot in front. They must not become part of the artifact.
	unfinished, err := filepath.Glob(filepath.Join(folder, ".*"))
	if err != nil {
		return err
	}
	for _, name := range unfinished {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

// point makes an artifact the current one: first the copies that are
// committed, then, last and atomically, the pointer. What the stage needed only
// to go on from goes before it.
func (p *Project) point(definition *Definition, manifest *artifact.Manifest) error {
	before, err := p.current(definition)
	if err != nil && !absent(err) && !errors.Is(err, artifact.ErrDamaged) {
		return err
	}
	if err := p.publish(definition, before, manifest); err != nil {
		return err
	}
	for _, pattern := range definition.Scratch {
		left, err := filepath.Glob(filepath.Join(p.folder(definition, manifest), pattern))
		if err != nil {
			return err
		}
		for _, name := range left {
			if err := os.Remove(name); err != nil {
				return fmt.Errorf("remove what is needed no more: %w", err)
			}
		}
	}
	return artifact.WriteFile(p.Pointer(definition), manifest.Encode())
}
