package miniature

import (
	"encoding/json"
	"testing"
)

// A state is a stage in `track status --json`.
type state struct {
	Stage   string
	Verdict string
	Reasons []string
	Key     string
}

func states(t *testing.T, p *Project) []state {
	t.Helper()
	answer := p.Run(p.Path("bin/track"), "status", "--json")
	if answer.Status != 0 {
		t.Fatalf("track status: %s", answer.Errors)
	}
	var states []state
	check(t, json.Unmarshal([]byte(answer.Output), &states))
	return states
}
