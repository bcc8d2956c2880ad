// Command report is the pipeline's last stage: it writes what the others found.
package main

import (
	"catdog/pipeline/report"
	"catdog/pipeline/stage"
)

func main() { stage.Main("report", report.Run) }
