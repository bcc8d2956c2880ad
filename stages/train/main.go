// Command train is the pipeline's fifth stage: it trains the network.
package main

import (
	"catdog/pipeline/stage"
	"catdog/pipeline/train"
)

func main() { stage.Main("train", train.Run) }
