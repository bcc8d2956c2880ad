// Package report tells what a run of the pipeline was made of and what it came
// to, as Markdown and as one HTML page. Every number stands in a file that
// another stage left, or is a sum or share of such. The same files give the
// same bytes; times, machines and git are not mentioned.
package report

import (
	"context"
	"fmt"
	"path/filepath"

	"catdog/pipeline/artifact"
	"catdog/pipeline/stage"
)

// Run is the stage report. It writes report.md, report.html and the figures
// that no other stage publishes: figures/loss.svg, accuracy.svg and
// network.svg, and photos.jpg where the photos are drawn ones. report.md also
// shows the figures of explore and evaluate, which lie beside them once
// published.
//
// metrics.json of evaluate must be there; for any other file that is missing
// the report says so in its place.
func Run(ctx context.Context, job *stage.Job) (summary string, err error) {
	found, err := read(job)
	if err != nil {
		return "", err
	}
	if err := found.draw(ctx, job); err != nil {
		return "", err
	}
	text := found.markdown(job)
	page, err := page(found.title(job), text, found.figures)
	if err != nil {
		return "", fmt.Errorf("write report.html: %w", err)
	}
	for name, content := range map[string][]byte{"report.md": text, "report.html": page} {
		if err := artifact.WriteFile(filepath.Join(job.Folder, name), content); err != nil {
			return "", err
		}
	}
	return filepath.ToSlash(filepath.Join(stage.Reports(job.Params.Dataset, job.Params.Experiment), "report.md")), nil
}

// title is the report's heading.
func (f *findings) title(job *stage.Job) string {
	if title := job.Params.Report.Title; title != "" {
		return title
	}
	return job.Params.Dataset
}
