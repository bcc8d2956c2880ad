// Command fetch puts a data set's raw photos in place.
package main

import (
	"catdog/pipeline/source"
	"catdog/pipeline/stage"
)

func main() { stage.Main("fetch", source.Run) }
