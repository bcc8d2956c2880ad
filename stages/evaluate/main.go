// Command evaluate is the pipeline's sixth stage: it measures the network.
package main

import (
	"catdog/pipeline/evaluate"
	"catdog/pipeline/stage"
)

func main() { stage.Main("evaluate", evaluate.Run) }
