package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"catdog/pipeline/artifact"
)

// A Verdict is what make has to do about a stage.
type Verdict int

const (
	// Fresh: the output is what its inputs, parameters and code give.
	Fresh Verdict = iota
	// Restorable: the output was computed before and is still there; only the
	// pointer or the committed copies are not.
	Restorable
	// Stale: the stage must run.
	Stale
	// Depends: the stage must run if the output before it comes out different.
	Depends
)

func (v Verdict) String() string {
	return [...]string{"fresh", "restorable", "stale", "depends"}[v]
}

// A State is what is known of a stage before anything runs.
type State struct {
	Definition *Definition
	Verdict    Verdict
	// Reasons say why the stage is not fresh, each a few words.
	Reasons []string
	// Recipe is what the output will be made from; known unless Depends, or
	// Stale behind a stage whose output is not known yet.
	Recipe *artifact.Recipe
	// Manifest is the output, if Fresh or Restorable.
	Manifest *artifact.Manifest
}

// digest is the content of the stage's output, "" while it is not known.
func (s *State) digest() string {
	if s.Manifest == nil {
		return ""
	}
	return s.Manifest.Digest
}

// Plan is the state of every stage, in the order in which they run.
func (p *Project) Plan() ([]*State, error) {
	var states []*State
	digests := map[string]string{}
	for i := range All {
		state, err := p.state(&All[i], digests)
		if err != nil {
			return nil, err
		}
		states = append(states, state)
		digests[All[i].Name] = state.digest()
		if All[i].Name == "fetch" && state.Verdict == Fresh {
			raw, err := p.scanRaw()
			if err != nil {
				return nil, err
			}
			digests["fetch"] = raw.digest
		}
	}
	return states, nil
}

// state decides about one stage, given the content digests of the stages
// before it ("" where not known yet).
func (p *Project) state(definition *Definition, digests map[string]string) (*State, error) {
	if definition.Name == "fetch" {
		return p.fetchState(definition)
	}
	current, err := p.current(definition)
	var damage string
	switch {
	case errors.Is(err, artifact.ErrDamaged):
		damage = err.Error()
	case err != nil && !absent(err):
		return nil, err
	}

	inputs := map[string]string{}
	known := true
	for _, input := range definition.Inputs {
		inputs[input] = digests[input]
		known = known && digests[input] != ""
	}
	recipe := p.recipe(definition, inputs)
	state := &State{Definition: definition, Verdict: Stale}
	switch {
	case damage != "":
		state.Reasons = []string{damage}
	case current == nil:
		state.Reasons = []string{"no output yet"}
	default:
		state.Reasons = p.differences(definition, current, recipe)
	}
	if !known {
		if damage == "" && current != nil && len(state.Reasons) == 0 {
			state.Verdict = Depends
		}
		return state, nil
	}

	state.Recipe = &recipe
	manifest, err := p.kept(definition, recipe.Key())
	switch {
	case errors.Is(err, artifact.ErrDamaged):
		state.Reasons = append(state.Reasons, err.Error())
		return state, nil
	case absent(err):
		if current != nil && len(state.Reasons) == 0 {
			state.Reasons = []string{fmt.Sprintf("%s is missing", filepath.Join(definition.Root(p.Params.Dataset), recipe.Key()))}
		}
		return state, nil
	case err != nil:
		return nil, err
	}
	state.Manifest = manifest
	state.Verdict = Restorable
	if current != nil && len(state.Reasons) == 0 && current.Digest != manifest.Digest {
		state.Reasons = []string{p.Pointer(definition) + " is of another output"}
	}
	if len(state.Reasons) > 0 {
		return state, nil
	}
	unpublished, err := p.unpublished(definition, manifest)
	if err != nil {
		return nil, err
	}
	if len(unpublished) > 0 {
		state.Reasons = unpublished
		return state, nil
	}
	state.Verdict = Fresh
	return state, nil
}

// Copies are the files of an artifact that are copied to the reports' folder,
// by their name there.
func (p *Project) Copies(definition *Definition, manifest *artifact.Manifest) []artifact.File {
	var files []artifact.File
	for _, list := range [][]artifact.File{manifest.Files, manifest.Informational} {
		for _, file := range list {
			if artifact.Matches(file.Path, definition.Published) {
				files = append(files, file)
			}
		}
	}
	return files
}

// unpublished says which of the committed copies are not as the artifact has
// them.
func (p *Project) unpublished(definition *Definition, manifest *artifact.Manifest) ([]string, error) {
	var reasons []string
	for _, want := range p.Copies(definition, manifest) {
		name := filepath.Join(p.Reports(), want.Path)
		got, err := p.digests.File(p.Reports(), want.Path)
		switch {
		case absent(err):
			reasons = append(reasons, name+" is missing")
		case err != nil:
			return nil, err
		case got != want:
			reasons = append(reasons, name+" is not what this run gives")
		}
	}
	return reasons, nil
}

// publish copies what is meant to be committed, rewriting only what differs,
// and removes copies that the output before had and this one has not.
func (p *Project) publish(definition *Definition, before, now *artifact.Manifest) error {
	folder := definition.Folder(p.Params.Dataset, now.Key)
	kept := map[string]bool{}
	for _, file := range p.Copies(definition, now) {
		kept[file.Path] = true
		got, err := p.digests.File(p.Reports(), file.Path)
		if err == nil && got == file {
			continue
		}
		if err != nil && !absent(err) {
			return err
		}
		content, err := os.ReadFile(filepath.Join(folder, file.Path))
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		name := filepath.Join(p.Reports(), file.Path)
		if err := artifact.MakeFolder(filepath.Dir(name)); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		if err := artifact.WriteFile(name, content); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	if before == nil {
		return nil
	}
	for _, file := range p.Copies(definition, before) {
		got, err := p.digests.File(p.Reports(), file.Path)
		if kept[file.Path] || err != nil || got != file {
			continue // someone else's by now
		}
		if err := os.Remove(filepath.Join(p.Reports(), file.Path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return nil
}
