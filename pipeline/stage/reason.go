package stage

import (
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"catdog/pipeline/artifact"
)

// differences says in words what a recipe has that the current output was not
// made from. Inputs that are not known yet do not count.
func (p *Project) differences(definition *Definition, current *artifact.Manifest, recipe artifact.Recipe) []string {
	var reasons []string
	section := definition.Name + "."
	if definition.ReadsAll {
		section = ""
	}
	keys := map[string]bool{}
	for key := range current.Parameters {
		keys[key] = true
	}
	for key := range recipe.Parameters {
		keys[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		was, is := current.Parameters[key], recipe.Parameters[key]
		switch {
		case was == is:
		case was == "":
			reasons = append(reasons, fmt.Sprintf("%s%s is new", section, key))
		case is == "":
			reasons = append(reasons, fmt.Sprintf("%s%s is gone", section, key))
		default:
			reasons = append(reasons, fmt.Sprintf("%s%s %s → %s", section, key, was, is))
		}
	}
	if current.Code != recipe.Code {
		reasons = append(reasons, "its code changed")
	}
	if current.Engine != recipe.Engine {
		reasons = append(reasons, fmt.Sprintf("engine %s → %s", current.Engine, recipe.Engine))
	}
	for _, input := range definition.Inputs {
		switch {
		case recipe.Inputs[input] == "" || recipe.Inputs[input] == current.Inputs[input]:
		case input == "fetch":
			reasons = append(reasons, p.photosChanged())
		default:
			reasons = append(reasons, input+"'s output changed")
		}
	}
	return reasons
}

// photosChanged says how the raw photos differ from those in the catalogue
// last made of them.
func (p *Project) photosChanged() string {
	const unknown = "the photos changed"
	explore := Find("explore")
	manifest, err := p.current(explore)
	if err != nil || p.raw == nil {
		return unknown
	}
	file, err := os.Open(filepath.Join(explore.Root(p.Params.Dataset), manifest.Key, "catalogue.csv"))
	if err != nil {
		return unknown
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil || len(rows) == 0 {
		return unknown
	}
	path, digest := slices.Index(rows[0], "path"), slices.Index(rows[0], "sha256")
	if path < 0 || digest < 0 {
		return unknown
	}
	before := map[string]string{}
	for _, row := range rows[1:] {
		before[row[path]] = row[digest]
	}
	var added, changed int
	for _, photo := range p.raw.files {
		name := artifact.EscapePath(photo.Path)
		if was, ok := before[name]; !ok {
			added++
		} else if was != photo.SHA256 {
			changed++
		}
		delete(before, name)
	}
	var parts []string
	for _, part := range []struct {
		n    int
		word string
	}{{added, "added"}, {len(before), "removed"}, {changed, "changed"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	if len(parts) == 0 {
		return unknown
	}
	return "photos " + strings.Join(parts, ", ")
}
