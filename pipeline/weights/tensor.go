// Package weights holds a network's named arrays and keeps them in safetensors
// files, https://huggingface.co/docs/safetensors, which any framework reads.
package weights

import (
	"fmt"
	"slices"
)

// A Tensor is a named float32 array in its plain layout: convolution weights
// OIHW, dense weights Out×(H·W·C), everything else one-dimensional. Its values
// are in row-major order, as many as the product of Shape.
type Tensor struct {
	Name   string
	Shape  []int
	Values []float32
}

// elements is the product of the dimensions, at most limit.
func elements(shape []int, limit int) (int, error) {
	if len(shape) > 0 && slices.Min(shape) < 0 {
		return 0, fmt.Errorf("shape %v has a negative dimension", shape)
	}
	if slices.Contains(shape, 0) {
		return 0, nil
	}
	count := 1
	for _, size := range shape {
		if count > limit/size {
			return 0, fmt.Errorf("shape %v has more than %d elements", shape, limit)
		}
		count *= size
	}
	if count > limit {
		return 0, fmt.Errorf("shape %v has more than %d elements", shape, limit)
	}
	return count, nil
}
