package photo

import (
	"context"

	"golang.org/x/sync/errgroup"

	"catdog/pipeline/artifact"
)

// Each calls work for all files, from several goroutines: one more than there
// are workers, so that one reads while they work. It stops at the first error.
func (p *Pool) Each(ctx context.Context, files []artifact.File, work func(context.Context, artifact.File) error) error {
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(p.Size() + 1)
	for _, file := range files {
		if working.Err() != nil {
			break
		}
		group.Go(func() error { return work(working, file) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
