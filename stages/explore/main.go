// Command explore is the pipeline's second stage: it looks at every raw file and
// writes down what is there, what is wrong with it, and figures about it.
package main

import (
	"catdog/pipeline/catalogue"
	"catdog/pipeline/photo"
	"catdog/pipeline/stage"
)

func main() {
	photo.ServeIfWorker()
	stage.Main("explore", catalogue.Run)
}
