// Command export writes a trained model as an ONNX file.
package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"catdog/pipeline/classify"
	"catdog/pipeline/onnx"
	"catdog/pipeline/stage"
)

func main() {
	if err := export(); err != nil {
		fmt.Fprintf(os.Stderr, "export: %s\n", err)
		os.Exit(1)
	}
}

// export takes the model as classify does: MODEL, DATASET and EXPERIMENT in the
// environment; OUT is the file to write.
func export() error {
	project, err := stage.OpenProject(nil)
	if err != nil {
		return err
	}
	folder, err := classify.Locate(os.Getenv("MODEL"), os.Getenv("DATASET") != "", project)
	if err != nil {
		return err
	}
	name := project.Params.PublishedName()
	if os.Getenv("MODEL") != "" || filepath.Dir(folder) == stage.PublishedFolder {
		name = filepath.Base(folder)
	}
	path := cmp.Or(os.Getenv("OUT"), filepath.Join("models", name+".onnx"))
	if err := onnx.Export(folder, path); err != nil {
		return err
	}
	fmt.Printf("%s: the model of %s as ONNX, opset %d\n", path, folder, onnx.Opset)
	return nil
}
