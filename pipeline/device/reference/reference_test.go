package reference_test

import (
	"testing"

	"catdog/pipeline/device/devicetest"
	"catdog/pipeline/device/reference"
)

// The reference agrees with itself: this checks the contract's other half, the
// lengths, padding, aliasing and round trips that Conform looks at.
func TestConform(t *testing.T) { devicetest.Conform(t, reference.New(), 0) }
