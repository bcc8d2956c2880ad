// Package stage is the pipeline's graph and what all stages have in common:
// which stage reads what and writes where, when it must run and why, and how
// its output becomes an artifact.
package stage

import (
	"path/filepath"
	"strings"
)

// A Definition is a node of the pipeline's graph.
type Definition struct {
	Name string
	// Inputs are the stages whose artifacts this one reads.
	Inputs []string
	// ReadsRaw says that the stage reads the raw photos themselves. The content
	// of fetch's output is that of the folder now: it belongs to the user.
	ReadsRaw bool
	// StoreOf is the stage whose values in the store this one reads.
	StoreOf string
	// ReadsAll says that the stage prints the parameters of all stages, so that
	// its section is all of them.
	ReadsAll bool
	// PrintsNames says that the output holds the data set's and experiment's
	// names, so that they are part of what it is made from.
	PrintsNames bool
	// Engine says that the output's bytes depend on what computes.
	Engine bool
	// Resumes says that a killed run's folder is kept and gone on with.
	Resumes bool
	// root is the folder that holds the data set's folder with the artifacts.
	root string
	// Informational are patterns (path.Match on the file's path) of files that
	// are not part of the artifact's digest.
	Informational []string
	// Scratch are patterns of files that are there only to go on from. They are
	// no part of the artifact, and are removed once that is on the disk.
	Scratch []string
	// Published are patterns of files that are copied to
	// reports/DATASET/EXPERIMENT/.
	Published []string
}

// All are the stages in the order in which they run.
var All = []Definition{
	{Name: "fetch", root: "data/raw"},
	{Name: "explore", Inputs: []string{"fetch"}, ReadsRaw: true, root: "data/interim/%/explore",
		Published: []string{"exploration.json", "figures/*"}},
	{Name: "resize", Inputs: []string{"explore"}, ReadsRaw: true, root: "data/interim/%/resize"},
	{Name: "pack", Inputs: []string{"resize"}, StoreOf: "resize", root: "data/processed/%"},
	{Name: "train", Inputs: []string{"pack"}, Engine: true, Resumes: true, root: "models/%",
		Informational: []string{"*.png", "*.svg", "summary.txt", "runtime.json"},
		Scratch:       []string{"checkpoint*"},
		Published:     []string{"history.csv"}},
	{Name: "evaluate", Inputs: []string{"pack", "train"}, Engine: true, PrintsNames: true, root: "data/interim/%/evaluate",
		Informational: []string{"figures/*"},
		Published:     []string{"metrics.json", "predictions.csv", "mistakes.csv", "figures/*"}},
	{Name: "report", Inputs: []string{"fetch", "explore", "resize", "pack", "train", "evaluate"}, ReadsAll: true, PrintsNames: true, root: "data/interim/%/report",
		Published: []string{"report.md", "report.html", "figures/*"}},
}

// Find is the definition of the named stage, nil if there is none.
func Find(name string) *Definition {
	for i := range All {
		if All[i].Name == name {
			return &All[i]
		}
	}
	return nil
}

// Root is the folder that holds a data set's artifacts of this stage.
func (d *Definition) Root(dataset string) string {
	return strings.Replace(d.root, "%", dataset, 1)
}

// Folder is where the artifact of a key lies.
func (d *Definition) Folder(dataset, key string) string { return filepath.Join(d.Root(dataset), key) }

// Pointer is the file that says which artifact is an experiment's current one.
// Raw photos have one for all experiments.
func (d *Definition) Pointer(dataset, experiment string) string {
	if d.Name == "fetch" {
		return filepath.Join(d.root, dataset+".json")
	}
	return filepath.Join(d.Root(dataset), experiment+".json")
}

// Reports is the folder of a data set's and experiment's committed results.
func Reports(dataset, experiment string) string {
	return filepath.Join("reports", dataset, experiment)
}
