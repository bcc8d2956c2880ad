package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// A Split is a part of the data set.
type Split int

const (
	Train      Split = iota // what the network learns from
	Validation              // what chooses epochs and parameters
	Test                    // what is only measured on
	splits
)

var splitNames = [splits]string{"train", "validation", "test"}

// String is train, validation or test.
func (s Split) String() string {
	if s < 0 || s >= splits {
		return fmt.Sprintf("split %d", int(s))
	}
	return splitNames[s]
}

// Assign is the split of a photo: a function of its content's digest and the
// seed alone, so that photos that come or go later move no other one. The
// digest's hash is a uniform number in [0, 1): below test it is the test
// split's, below test+validation the validation split's, else train's.
func Assign(photo string, seed int, validation, test float64) Split {
	hash := sha256.Sum256(fmt.Appendf(nil, "split %d %s", seed, photo))
	uniform := float64(binary.BigEndian.Uint64(hash[:])>>11) / (1 << 53)
	switch {
	case uniform < test:
		return Test
	case uniform < test+validation:
		return Validation
	}
	return Train
}
