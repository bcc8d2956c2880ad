package stage

import (
	"path/filepath"

	"catdog/pipeline/artifact"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
)

// A Job is what a stage's work is given: what to read, where to write, and
// how to show how far it is.
type Job struct {
	Params   *params.Params
	Progress *progress.Reporter

	// Folder is where to write. It becomes the artifact when the work returns
	// without an error, and never before. It is empty at the start, except for
	// train, which finds there what it left when it was killed.
	Folder string

	// Engine names what computes (device, precision, instruction set, threads
	// where they matter) for stages whose bytes depend on it, else "".
	Engine string

	// Raw is the folder of raw photos, Photos the files in it with their
	// digests, in the order of their paths. Only for stages that read them.
	Raw    string
	Photos []artifact.File

	// NoGPU says why that is not a GPU, where one was asked for and known how
	// to use.
	NoGPU error

	// StepKey names this stage's work on one thing: a hash of its own section
	// of the parameters, its code and its engine, without its inputs.
	StepKey string

	// Store is a folder of the data set's that outlives artifacts, for things
	// that are looked up by their content (package segment).
	Store string

	// Inputs are the artifacts this stage reads, by the name of the stage that
	// made them. They have been checked against their manifests.
	Inputs map[string]*Input
}

// An Input is another stage's artifact.
type Input struct {
	Folder   string
	Manifest *artifact.Manifest
}

// Path is where a file of the artifact lies.
func (i *Input) Path(name string) string { return filepath.Join(i.Folder, filepath.FromSlash(name)) }

// Input is the artifact of the named stage, one of those that the stage table
// lists as this stage's inputs.
func (j *Job) Input(name string) *Input { return j.Inputs[name] }
