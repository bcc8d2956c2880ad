// Pack puts all resized images into one file, divided into train, validation
// and test.
package main

import (
	"catdog/pipeline/pack"
	"catdog/pipeline/stage"
)

func main() { stage.Main("pack", pack.Run) }
