package network

import "catdog/pipeline/params"

// The networks whose speed is measured beside other programs: on the CPU by
// package bench, on the GPU by program proof.

// FourBlocks is four convolutions, each with batch normalisation, ReLU and
// pooling, and a dense layer.
func FourBlocks() params.Network {
	return params.Network{
		Height: 64, Width: 64, Channels: []int{32, 64, 128, 256}, Residuals: []int{0, 0, 0, 0}, Pools: []int{2, 2, 2, 2},
		Head: "flatten", Dropout: 0.5,
	}
}

// Residual has a residual pair of convolutions in each block but the first:
// 1.94 million parameters.
func Residual() params.Network {
	return params.Network{
		Height: 64, Width: 64, Channels: []int{32, 64, 128, 256}, Residuals: []int{0, 1, 1, 1}, Pools: []int{2, 2, 2, 2},
		Head: "maximum",
	}
}

// Large is Residual with one more block, for inputs of 192×192.
func Large() params.Network {
	return params.Network{
		Height: 192, Width: 192, Channels: []int{32, 64, 128, 256, 512}, Residuals: []int{0, 1, 1, 1, 1}, Pools: []int{2, 2, 2, 2, 2},
		Head: "maximum",
	}
}
