package record_test

import (
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"time"

	"catdog/pipeline/train/record"
)

// A training loop of any kind: here a line is fitted to points by gradient
// descent.
func Example() {
	folder, err := os.MkdirTemp("", "record")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)

	slope := 0.0
	keep := func(name string) error {
		return os.WriteFile(filepath.Join(folder, name), fmt.Appendf(nil, "%.4f\n", slope), 0o644)
	}
	recorder := record.New(record.Options{
		Folder: folder,
		Device: "one processor",
		Best:   func(record.Row) error { return keep("best.txt") },
		Final:  func() error { return keep("final.txt") },
	})
	const learningRate = 0.25
	for epoch := 1; epoch <= 5; epoch++ {
		started := time.Now()
		loss := math.Pow(slope-2, 2)
		slope -= learningRate * 2 * (slope - 2)
		recorder.Trained(1)
		recorder.Spent(record.Step, time.Since(started))

		distance := math.Abs(slope - 2)
		row := record.Row{
			Epoch:              epoch,
			LearningRate:       learningRate,
			TrainLoss:          loss,
			TrainAccuracy:      1 - math.Sqrt(loss)/2,
			ValidationLoss:     distance * distance,
			ValidationAccuracy: 1 - distance/2,
		}
		if err := recorder.Add(row); err != nil {
			log.Fatal(err)
		}
	}
	if err := recorder.Finish(); err != nil {
		log.Fatal(err)
	}

	best, _ := recorder.Best()
	fmt.Printf("best epoch %d\n", best.Epoch)
	history, err := os.ReadFile(filepath.Join(folder, "history.csv"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(history))
	files, err := os.ReadDir(folder)
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range files {
		fmt.Println(file.Name())
	}
	// Output:
	// best epoch 5
	// epoch,learning_rate,train_loss,train_accuracy,validation_loss,validation_accuracy
	// 1,0.25,4.000000,0.000000,1.000000,0.500000
	// 2,0.25,1.000000,0.500000,0.250000,0.750000
	// 3,0.25,0.250000,0.750000,0.062500,0.875000
	// 4,0.25,0.062500,0.875000,0.015625,0.937500
	// 5,0.25,0.015625,0.937500,0.003906,0.968750
	// accuracy.png
	// best.txt
	// final.txt
	// history.csv
	// loss.png
	// runtime.json
}
