package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"catdog/pipeline/artifact"
)

// A finding is one fact.
type finding struct {
	Section string `json:"section"`
	What    string `json:"what"`
	Value   any    `json:"value"`
	Unit    string `json:"unit,omitempty"`
	// Bar is what was asked of the value, Holds whether it is so.
	Bar   string `json:"bar,omitempty"`
	Holds *bool  `json:"holds,omitempty"`
}

// findings are a part's result so far.
type findings struct {
	Part     string    `json:"part"`
	Findings []finding `json:"findings"`
	Wrong    int       `json:"wrong"` // findings that miss their bar

	folder  string
	current string // section
}

// A section is some findings that belong together.
type section struct {
	key  string // what it is asked for by
	name string // its heading
	find func() error
}

// run lets a section find; what keeps it from that is a finding too, and the
// next sections go on.
func (f *findings) run(s section) error {
	f.current = s.name
	if err := s.find(); err != nil {
		return f.must("the section ends early", err.Error(), "", "no error", false)
	}
	return nil
}

// found adds a fact.
func (f *findings) found(what string, value any, unit string) error {
	return f.add(finding{What: what, Value: value, Unit: unit})
}

// must adds a fact that has a bar.
func (f *findings) must(what string, value any, unit, bar string, holds bool) error {
	if !holds {
		f.Wrong++
	}
	return f.add(finding{What: what, Value: value, Unit: unit, Bar: bar, Holds: &holds})
}

func (f *findings) add(one finding) error {
	one.Section = f.current
	if v, ok := one.Value.(float64); ok && (math.IsNaN(v) || math.IsInf(v, 0)) {
		one.Value = fmt.Sprint(v) // JSON has no such numbers
	}
	f.Findings = append(f.Findings, one)
	fmt.Fprintf(os.Stderr, "%s: %s: %s\n", one.Section, one.What, one.text())
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	if err := artifact.WriteFile(filepath.Join(f.folder, "part-"+f.Part+".json"), append(text, '\n')); err != nil {
		return err
	}
	return artifact.WriteFile(filepath.Join(f.folder, "part-"+f.Part+".md"), []byte(f.markdown()))
}

// verdict is an error that names the findings that miss their bar.
func (f *findings) verdict() error {
	var wrong []string
	for _, one := range f.Findings {
		if one.Holds != nil && !*one.Holds {
			wrong = append(wrong, fmt.Sprintf("%s: %s: %s, not %s", one.Section, one.What, one.text(), one.Bar))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New("not as it should be: " + strings.Join(wrong, "; "))
}

func (f *findings) markdown() string {
	var text strings.Builder
	fmt.Fprintf(&text, "# Part %s\n", f.Part)
	last := ""
	for _, one := range f.Findings {
		if one.Section != last {
			fmt.Fprintf(&text, "\n## %s\n\n| | | asked for | |\n|---|---|---|---|\n", one.Section)
			last = one.Section
		}
		holds := ""
		if one.Holds != nil {
			holds = map[bool]string{true: "holds", false: "**does not hold**"}[*one.Holds]
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", cell(one.What), cell(one.text()), cell(one.Bar), holds)
	}
	return text.String()
}

func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}

func (one finding) text() string {
	value := fmt.Sprint(one.Value)
	if _, is := one.Value.(json.RawMessage); is {
		value = "see the JSON"
	}
	if number, is := one.Value.(float64); is {
		value = fmt.Sprintf("%.4g", number)
		if number >= 1000 {
			value = fmt.Sprintf("%.0f", number)
		}
	}
	return strings.TrimSpace(value + " " + one.Unit)
}
