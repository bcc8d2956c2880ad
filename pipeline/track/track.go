// Package track holds the commands that look at the pipeline from outside: what
// is stale and why, what was computed before, what to build.
package track

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"catdog/pipeline/stage"
)

// Commands are track's subcommands: each gets the words behind its name and
// where to print.
var Commands = map[string]func(words []string, out io.Writer) error{
	"build":   build,
	"plan":    plan,
	"status":  status,
	"dag":     dag,
	"result":  result,
	"accept":  accept,
	"publish": publish,
	"diff":    diff,
	"history": history,
	"params":  printParameters,
	"gc":      gc,
	"verify":  verify,
	"sweep":   sweep,
}

// CodesFile holds the digests of the stages' code as they were built.
const CodesFile = "bin/code.json"

// open reads the project as the stages' binaries would.
func open() (*stage.Project, error) {
	codes, err := codes()
	if err != nil {
		return nil, err
	}
	return stage.OpenProject(codes)
}

// codes are the digests of the stages' code as they were built.
func codes() (map[string]string, error) {
	text, err := os.ReadFile(CodesFile)
	if err != nil {
		return nil, errors.New("nothing is built yet: run make")
	}
	var codes map[string]string
	if err := json.Unmarshal(text, &codes); err != nil {
		return nil, fmt.Errorf("read %s: %w", CodesFile, err)
	}
	return codes, nil
}

// planned opens the project, plans and keeps what was learnt about files.
func planned() (*stage.Project, []*stage.State, error) {
	project, err := open()
	if err != nil {
		return nil, nil, err
	}
	states, err := project.Plan()
	if err != nil {
		return nil, nil, err
	}
	return project, states, project.Save()
}
