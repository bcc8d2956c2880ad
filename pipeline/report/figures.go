package report

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"catdog/pipeline/artifact"
	"catdog/pipeline/stage"
	"catdog/pipeline/train/record"
)

// draw draws the report's own figures.
func (f *findings) draw(ctx context.Context, job *stage.Job) error {
	folder := filepath.Join(job.Folder, "figures")
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("draw figures: %w", err)
	}
	if drawing, ok := f.figures["network.svg"]; ok {
		if err := artifact.WriteFile(filepath.Join(folder, "network.svg"), drawing); err != nil {
			return err
		}
	}
	if err := f.drawSheet(job, folder); err != nil {
		return err
	}
	if len(f.history) == 0 {
		return ctx.Err()
	}
	for name, draw := range map[string]func(string, []record.Row) error{"loss.svg": record.DrawLoss, "accuracy.svg": record.DrawAccuracy} {
		path := filepath.Join(folder, name)
		if err := draw(path, f.history); err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("draw figures: %w", err)
		}
		f.figures[name] = content
	}
	return ctx.Err()
}
