package engine

import (
	"fmt"

	"catdog/pipeline/network"
)

// A drawing board for descriptions.
type board struct{ network.Description }

func newBoard(height, width, classes int) *board {
	b := &board{network.Description{Input: network.Shape{Height: height, Width: width, Channels: 3}}}
	for i := range classes {
		b.Classes = append(b.Classes, fmt.Sprintf("class%d", i))
	}
	return b
}

func (b *board) add(l network.Layer, out network.Shape) {
	l.In, l.Out = b.Output(), out
	l.Name = fmt.Sprintf("layer%d", len(b.Layers))
	b.Layers = append(b.Layers, l)
}

func (b *board) convolution(channels, kernel, stride, padding int) {
	in := b.Output()
	b.add(network.Layer{Kind: network.Convolution, Kernel: kernel, Stride: stride, Padding: padding}, network.Shape{
		Height:   (in.Height+2*padding-kernel)/stride + 1,
		Width:    (in.Width+2*padding-kernel)/stride + 1,
		Channels: channels,
	})
}

func (b *board) normalization(relu bool, pool, skip int) {
	in := b.Output()
	b.add(network.Layer{Kind: network.Normalization, ReLU: relu, Pool: pool, Skip: skip},
		network.Shape{Height: in.Height / pool, Width: in.Width / pool, Channels: in.Channels})
}

func (b *board) block(channels, pool int) {
	b.convolution(channels, 3, 1, 1)
	b.normalization(true, pool, -1)
}

func (b *board) residual() {
	source := len(b.Layers) - 1
	channels := b.Output().Channels
	b.block(channels, 1)
	b.convolution(channels, 3, 1, 1)
	b.normalization(true, 1, source)
}

func (b *board) dropout(rate float32) {
	b.add(network.Layer{Kind: network.Dropout, Rate: rate}, b.Output())
}

func (b *board) globalPool(average bool) {
	b.add(network.Layer{Kind: network.GlobalPool, Average: average}, network.Shape{Height: 1, Width: 1, Channels: b.Output().Channels})
}

func (b *board) dense() {
	b.add(network.Layer{Kind: network.Dense}, network.Shape{Height: 1, Width: 1, Channels: len(b.Classes)})
}

// mixed has every kind of layer on odd sizes, and two residual blocks in a row.
func mixed() *network.Description {
	b := newBoard(11, 9, 3)
	b.block(4, 2) // 5×4
	b.residual()
	b.residual()
	b.dropout(0.3)
	b.convolution(5, 1, 1, 0)
	b.normalization(false, 1, -1)
	b.convolution(6, 5, 2, 2) // 3×2
	b.normalization(true, 1, -1)
	b.globalPool(true)
	b.dropout(0.2)
	b.dense()
	return &b.Description
}

// flat ends without a global pool and pools by three; its normalisation does
// not always follow a convolution.
func flat() *network.Description {
	b := newBoard(10, 13, 2)
	b.block(5, 3) // 3×4
	b.normalization(true, 1, -1)
	b.dropout(0.1)
	b.normalization(false, 1, -1)
	b.dense()
	return &b.Description
}

// maximal pools globally by the maximum.
func maximal() *network.Description {
	b := newBoard(7, 6, 2)
	b.block(4, 1)
	b.residual()
	b.globalPool(false)
	b.dense()
	return &b.Description
}

func networks() map[string]*network.Description {
	return map[string]*network.Description{"mixed": mixed(), "flat": flat(), "maximal": maximal()}
}
