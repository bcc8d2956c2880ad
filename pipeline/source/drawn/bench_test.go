package drawn

import "testing"

// BenchmarkOrdinary draws and encodes ordinary files, one a loop.
func BenchmarkOrdinary(b *testing.B) {
	files := plan(1, 2000)
	at := 0
	for b.Loop() {
		for files[at].planted.Kind != "" {
			at = (at + 1) % len(files)
		}
		if _, err := files[at].bytes(1); err != nil {
			b.Fatal(err)
		}
		at = (at + 1) % len(files)
	}
}
