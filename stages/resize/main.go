// Command resize is the pipeline's third stage: it brings all good photos to one
// size.
package main

import (
	"catdog/pipeline/photo"
	"catdog/pipeline/resize"
	"catdog/pipeline/stage"
)

func main() {
	photo.ServeIfWorker()
	stage.Main("resize", resize.Run)
}
