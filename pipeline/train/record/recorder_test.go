package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func rows() []Row {
	return []Row{
		{1, 0.001, 0.7, 0.5, 0.69, 0.625},
		{2, 0.0030000001, 0.5, 0.75, 0.51234567, 0.875},
		{3, 1e-7, 0.25, 1, 0.6, 0.875},
		{4, 0, 0.125, 1, 0.51234567, 0.875},
	}
}

func TestHistory(t *testing.T) {
	want := `epoch,learning_rate,train_loss,train_accuracy,validation_loss,validation_accuracy
1,0.001,0.700000,0.500000,0.690000,0.625000
2,0.003,0.500000,0.750000,0.512346,0.875000
3,1e-07,0.250000,1.000000,0.600000,0.875000
4,0,0.125000,1.000000,0.512346,0.875000
`
	if got := string(encodeHistory(rows())); got != want {
		t.Errorf("history.csv\n%s, want\n%s", got, want)
	}
	read, err := decodeHistory(strings.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	if again := string(encodeHistory(read)); again != want {
		t.Errorf("written again\n%s", again)
	}
}

func TestHistoryRefuses(t *testing.T) {
	head := strings.Join(columns, ",") + "\n"
	for want, text := range map[string]string{
		"does not name the columns":        "epoch,loss\n1,2\n",
		`line 2: epoch "x"`:                head + "x,0,0,0,0,0\n",
		`line 3: train_loss "much" is not`: head + "1,0,0,0,0,0\n2,0,much,0,0,0\n",
		"wrong number of fields":           head + "1,2\n",
	} {
		if _, err := decodeHistory(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", want, err)
		}
	}
	if _, err := ReadHistory(filepath.Join(t.TempDir(), "history.csv")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: error %v", err)
	}
}

func TestBest(t *testing.T) {
	folder := t.TempDir()
	var kept []int
	finals := 0
	r := New(Options{Folder: folder,
		Best:  func(row Row) error { kept = append(kept, row.Epoch); return nil },
		Final: func() error { finals++; return nil }})
	if _, ok := r.Best(); ok {
		t.Error("there is a best epoch before the first")
	}
	for i, row := range rows() {
		if err := r.Add(row); err != nil {
			t.Fatal(err)
		}
		if stalled := []int{0, 0, 1, 2}[i]; r.Stalled() != stalled {
			t.Errorf("after epoch %d: %d epochs without a lower loss, want %d", i+1, r.Stalled(), stalled)
		}
	}
	if best, _ := r.Best(); best.Epoch != 2 {
		t.Errorf("best epoch %d, want 2: higher accuracy, then lower loss, then earlier", best.Epoch)
	}
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(kept, []int{1, 2}) || finals != 1 {
		t.Errorf("kept models of epochs %v, final ones %d times", kept, finals)
	}
	if err := r.Add(rows()[0]); err == nil || !strings.Contains(err.Error(), "record epoch 1: 4 epochs are recorded") {
		t.Errorf("an epoch out of turn: error %v", err)
	}
	for _, name := range []string{"history.csv", "runtime.json", "loss.png", "accuracy.png"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Error(err)
		}
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 4 {
		t.Errorf("left in the folder: %v", entries)
	}
}

func TestCallbackFails(t *testing.T) {
	r := New(Options{Folder: t.TempDir(), Best: func(Row) error { return errors.New("no room") }})
	if err := r.Add(rows()[0]); err == nil || err.Error() != "keep the model of epoch 1: no room" {
		t.Errorf("error %v", err)
	}
}

// What no model can be chosen by is not recorded.
func TestNumbersOnly(t *testing.T) {
	r := New(Options{Folder: t.TempDir()})
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		row := rows()[0]
		row.ValidationAccuracy = bad
		if err := r.Add(row); err == nil || len(r.Rows()) != 0 {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestRuntime(t *testing.T) {
	folder := t.TempDir()
	r := New(Options{Folder: folder, Device: "abacus"})
	for _, row := range rows()[:2] {
		r.Spent(DataWait, 100*time.Millisecond)
		r.Trained(90)
		r.Spent(Step, 1400*time.Millisecond)
		r.Spent(Validation, time.Second)
		if err := r.Add(row); err != nil {
			t.Fatal(err)
		}
		r.Spent(Checkpoint, 500*time.Millisecond)
	}
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	if rate := r.ImagesPerSecond(); rate != 60 {
		t.Errorf("%g images/s, want 60", rate)
	}
	text, err := os.ReadFile(filepath.Join(folder, "runtime.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file runtimeFile
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if file.Device != "abacus" || file.ImagesPerSecond != 60 || file.DataWaitShare != 0.0667 || file.PeakMemoryBytes <= 0 ||
		file.Seconds[Validation] != 2 || file.Seconds[Checkpoint] != 1 || file.Seconds[Plots] <= 0 || len(file.Epochs) != 2 {
		t.Errorf("runtime.json\n%s", text)
	}
	if e := file.Epochs[1]; e.Epoch != 2 || e.Images != 90 || e.EpochTime.Seconds[Checkpoint] != 0.5 || e.ImagesPerSecond != 60 {
		t.Errorf("second epoch %+v", e)
	}
}

// TestRestore: a recorder that goes on from another's state, kept as JSON,
// writes the same history.
func TestRestore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Float64Range(0, 10)
		share := rapid.SampledFrom([]float64{0, 0.25, 0.5, 1.0 / 3, 1})
		first := New(Options{Folder: os.DevNull})
		var rows []Row
		for epoch := 1; epoch <= rapid.IntRange(0, 6).Draw(t, "epochs"); epoch++ {
			rows = append(rows, Row{epoch, number.Draw(t, "rate"), number.Draw(t, "loss"), share.Draw(t, "accuracy"), number.Draw(t, "loss"), share.Draw(t, "accuracy")})
		}
		cut := rapid.IntRange(0, len(rows)).Draw(t, "cut")
		add := func(r *Recorder, rows []Row) {
			for _, row := range rows {
				r.Trained(7)
				r.Spent(Step, time.Duration(row.TrainLoss*float64(time.Second)))
				if err := r.Append(row); err != nil {
					t.Fatal(err)
				}
			}
		}
		add(first, rows[:cut])
		text, err := json.Marshal(first.State())
		if err != nil {
			t.Fatal(err)
		}
		var state State
		if err := json.Unmarshal(text, &state); err != nil {
			t.Fatal(err)
		}
		second := New(Options{})
		if err := second.Restore(state); err != nil {
			t.Fatal(err)
		}
		add(first, rows[cut:])
		add(second, rows[cut:])
		if !reflect.DeepEqual(first.State(), second.State()) {
			t.Fatalf("state %+v, want %+v", second.State(), first.State())
		}
	})
	for want, state := range map[string]State{
		"row 1 is of epoch 2": {Rows: []Row{{Epoch: 2}}},
		"times of 0 epochs":   {Rows: []Row{{Epoch: 1}}},
	} {
		if err := New(Options{}).Restore(state); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

// FuzzDecodeHistory: a history.csv of any content gives an error or rows that,
// once written, are written and read to the same.
func FuzzDecodeHistory(f *testing.F) {
	f.Add(encodeHistory([]Row{{1, 0.001, 0.7, 0.5, 0.69, 0.51}, {2, 1e-7, 0.6, 0.6, 0.61, 1}}))
	f.Add(encodeHistory(nil))
	f.Add([]byte(strings.Join(columns, ",") + "\n1,NaN,Inf,-inf,0x1p-2,1_0\n"))
	f.Add([]byte(strings.Join(columns, ",") + "\n1,1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, err := decodeHistory(bytes.NewReader(text))
		if err != nil {
			return
		}
		encoded := encodeHistory(rows)
		again, err := decodeHistory(bytes.NewReader(encoded))
		if err != nil || len(again) != len(rows) {
			t.Fatalf("%s: %d of %d rows, %v", encoded, len(again), len(rows), err)
		}
		if twice := encodeHistory(again); !bytes.Equal(encoded, twice) {
			t.Fatalf("%s comes back as %s", encoded, twice)
		}
	})
}
