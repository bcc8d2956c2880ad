// Command classify says what is in people's own photos.
package main

import (
	"os"

	"catdog/pipeline/classify"
	"catdog/pipeline/photo"
)

func main() {
	photo.ServeIfWorker()
	os.Exit(classify.Main())
}
