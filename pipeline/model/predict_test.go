package model

import "testing"

// Large images come fewer at a time, and at least one.
func TestBatchFor(t *testing.T) {
	for side, want := range map[int]int{1: 128, 88: 128, 200: 128, 256: 128, 257: 127, 512: 32, 1024: 8, 8192: 1} {
		if got := batchFor(side, side, 128); got != want {
			t.Errorf("%d images of %d×%d, want %d", got, side, side, want)
		}
	}
}
