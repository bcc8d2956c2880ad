package main

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"

	"catdog/pipeline/miniature"
)

// shortages takes away disk space, the right to write, memory and file
// descriptors.
func (t *torturer) shortages() (string, error) {
	shortages := []func(p *place) (row string, err error){
		(*place).fullDisk, (*place).readOnly, (*place).forbidden, (*place).fewDescriptors, (*place).littleAddressSpace, (*place).littleMemory,
	}
	rows := make([]string, len(shortages))
	err := t.each("shortages", len(shortages), func(p *place, _ *rand.Rand, i int) (err error) {
		rows[i], err = shortages[i](p)
		return err
	})
	return "## Short of something\n\nThe first make must end with one clear line and an exit status other than 0, or do its work; the next one, with all there again, goes on.\n\n" +
		"| what | makes that failed | with one clear line | recovered to the same bytes |\n|---|---:|---:|---:|\n" + strings.Join(rows, "") + "\n", err
}

// A trial counts what came of one kind of shortage.
type trial struct {
	*place
	name                            string
	tries, failed, clear, recovered int
}

func (p *place) begin(name string) *trial { return &trial{place: p, name: name} }

// skip says in the report why a shortage was not tried.
func (p *place) skip(name, why string) (row string, err error) {
	p.progress.Say("%s: not tried: %s", name, why)
	return fmt.Sprintf("| %s | not tried: %s | | |\n", name, why), nil
}

var (
	// workLine is what a stage says of its work.
	workLine = regexp.MustCompile(`^[a-z]+ {2,}\S`)
	// clearLine is one line of a stage, and make's own about it.
	clearLine = regexp.MustCompile(`^([a-z]+: [^\n]+)\nmake: \*\*\* [^\n]+\n$`)
	// noBuild is make's one line where it cannot even note what is to do.
	noBuild = regexp.MustCompile(`^Makefile:\d+: \*\*\* build/ cannot be written into\.  Stop\.\n$`)
)

// check looks at a make that had too little: it may have succeeded, or failed
// with one line which has one of these words.
func (c *trial) check(made miniature.Result, words ...string) {
	c.tries++
	if made.Status == 0 {
		return
	}
	c.failed++
	if noBuild.MatchString(made.Errors) {
		c.clear++
		return
	}
	var errors strings.Builder
	for line := range strings.Lines(made.Errors) {
		if !workLine.MatchString(line) {
			errors.WriteString(line)
		}
	}
	if match := clearLine.FindStringSubmatch(errors.String()); match != nil {
		for _, word := range words {
			if strings.Contains(match[1], word) {
				c.clear++
				return
			}
		}
	}
	c.say("%s: status %d, no clear line with any of %q\n%s", c.name, made.Status, words, made.Errors)
}

// end has make go on with all that it needs.
func (c *trial) end() error {
	_, ok, err := c.recovers(c.name, sample)
	if ok {
		c.recovered++
	}
	return err
}

// row is what the report says of the trial.
func (c *trial) row() string {
	c.progress.Say("%s: %d tries, %d failed, %d with a clear line, %d recovered", c.name, c.tries, c.failed, c.clear, c.recovered)
	return fmt.Sprintf("| %s | %d of %d | %d | %d |\n", c.name, c.failed, c.tries, c.clear, c.recovered)
}
