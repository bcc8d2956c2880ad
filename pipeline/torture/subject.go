package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"catdog/pipeline/miniature"
	"catdog/pipeline/stage"
	"catdog/pipeline/torture/tracer"
)

// A subject is what is killed.
type subject struct {
	name    string
	program string // of the project's bin, or of the system
	words   []string
	env     []string
	dataset string
	// forget are the files and folders to remove so that it has work to do.
	forget []string
	// recover are make's words in the end.
	recover []string
}

// subjects are the stages, the question that make asks before them, and all of
// make.
func (t *torturer) subjects() []subject {
	var list []subject
	for i := range stage.All {
		definition := &stage.All[i]
		forget := []string{definition.Root(sample), definition.Pointer(sample, miniature.Experiment)}
		switch definition.Name {
		case "fetch":
			forget[0] = "data/raw/sample"
		case "explore":
			// Pixels are in the store, too, so resize must forget them as well.
			resize := stage.Find("resize")
			forget = append(forget, "data/interim/sample/store", resize.Root(sample), resize.Pointer(sample, miniature.Experiment))
		case "resize":
			forget = append(forget, "data/interim/sample/store")
		}
		list = append(list, subject{name: definition.Name, program: "bin/" + definition.Name, dataset: sample, forget: forget})
	}
	return append(list,
		subject{name: "fetch, from a zip", program: "bin/fetch", env: []string{"DATASET=" + pets, "FROM=" + t.archive}, dataset: pets,
			forget: []string{"data/raw/pets", "data/raw/pets.json", "data/interim/pets"}, recover: t.fetchArchive()},
		subject{name: "track plan", program: "bin/track", words: []string{"plan"}, dataset: sample, forget: []string{"data/interim/sample/digests"}},
		subject{name: "make, from nothing", program: "make", dataset: sample,
			forget: []string{"data/raw/sample", "data/raw/sample.json", "data/raw/sample.planted.csv", "data/interim/sample", "data/processed", "models", "reports"}})
}

// eachSubject has all subjects dealt with and joins the rows that this gives.
func (t *torturer) eachSubject(deal func(s subject) (row string, err error)) (rows string, err error) {
	subjects := t.subjects()
	list := make([]string, len(subjects))
	var group errgroup.Group
	for i, subject := range subjects {
		group.Go(func() (err error) {
			list[i], err = deal(subject)
			return err
		})
	}
	err = group.Wait()
	return strings.Join(list, ""), err
}

// command is the subject about to run in a place.
func (s subject) command(p *place) *exec.Cmd {
	program := s.program
	if filepath.Dir(program) == "bin" {
		program = p.project.Path(program)
	}
	command := p.project.Command(program, s.words...)
	command.Env = append(command.Env, s.env...)
	return command
}

// run forgets what the subject did and runs it undisturbed.
func (s subject) run(p *place) (errors string, err error) {
	if err := p.remove(s.forget...); err != nil {
		return "", err
	}
	var output strings.Builder
	command := s.command(p)
	command.Stderr = &output
	err = command.Run()
	return output.String(), err
}

// trace forgets what the subject did and runs it under the tracer.
func (s subject) trace(p *place, before func(tracer.Operation, func(unix.Signal)) tracer.Verdict, done, outside func(tracer.Operation)) (status int, err error) {
	if err := p.remove(s.forget...); err != nil {
		return 0, err
	}
	command := s.command(p)
	return tracer.Run(tracer.Options{
		Program: command.Path, Words: command.Args[1:], Folder: command.Dir, Env: command.Env,
		Root: p.project.Folder, Before: before, Done: done, Outside: outside,
	})
}

// leftOver says what a kill left besides what belongs there, with the content
// that belongs there: at most the one
// folder that the stage goes on in, with what stands beside it, one file that was
// about to replace another, and make's plan. A trained model that has its name
// may still have the checkpoint in it. The result is "" if that holds.
func (s subject) leftOver(p *place) (string, error) {
	now, err := stateOf(p.project, s.dataset)
	if err != nil {
		return "", err
	}
	folders, files, surplus := map[string]bool{}, map[string]bool{}, []string{}
	for path := range now.files {
		if want, known := p.references[s.dataset].files[path]; known {
			if want != now.files[path] {
				surplus = append(surplus, path+" (other content)")
			}
			continue
		}
		switch name, _, unfinished := strings.Cut(path, ".partial"); {
		case unfinished && strings.HasPrefix(filepath.Base(name), "."):
			files[path] = true
		case unfinished:
			folders[name] = true
		case filepath.Base(path) == checkpointName:
			folders[filepath.Dir(path)] = true // it has its name, but no pointer yet
		case !strings.HasPrefix(path, "build/plan."):
			surplus = append(surplus, path)
		}
	}
	if len(folders) > 1 || len(files) > 1 || len(surplus) > 0 {
		return strings.Join(slices.Concat(surplus, slices.Collect(maps.Keys(folders)), slices.Collect(maps.Keys(files))), ", "), nil
	}
	return "", nil
}

// resumable says whether a killed training left a checkpoint.
func (p *place) resumable() bool {
	found, _ := filepath.Glob(p.project.Path("models/sample/*/" + checkpointName))
	return len(found) > 0 && fileSize(found[0]) > 0
}

func fileSize(name string) int64 {
	information, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return information.Size()
}
