package network

import (
	"strings"
	"testing"

	"catdog/pipeline/params"
)

// residual has residual pairs, and a block without pooling.
func residual() params.Network {
	return params.Network{Height: 64, Width: 64, Channels: []int{32, 64, 128, 256}, Residuals: []int{0, 1, 1, 1}, Pools: []int{2, 2, 2, 1}, Head: "maximum"}
}

// odd has sides that pooling does not divide, and three classes.
func odd() params.Network {
	return params.Network{Height: 17, Width: 23, Channels: []int{5, 7}, Residuals: []int{0, 3}, Pools: []int{2, 3}, Head: "average", Dropout: 0.25}
}

func build(t *testing.T, input params.Network, classes ...string) *Description {
	t.Helper()
	if len(classes) == 0 {
		classes = []string{"cat", "dog"}
	}
	d, err := New(input, classes)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestChain: every layer takes the output of the one before it, and skips add
// what has the same shape.
func TestChain(t *testing.T) {
	for _, input := range []params.Network{residual(), FourBlocks(), odd()} {
		d := build(t, input)
		shape, names := d.Input, map[string]bool{}
		for i, layer := range d.Layers {
			if layer.In != shape {
				t.Errorf("%s takes %v, the layer before gives %v", layer.Name, layer.In, shape)
			}
			if names[layer.Name] {
				t.Errorf("two layers are called %s", layer.Name)
			}
			names[layer.Name] = true
			shape = layer.Out
			switch {
			case layer.Skip == -1:
			case layer.Kind != Normalization || layer.Skip != i-4 || layer.Pool != 1 || d.Layers[layer.Skip].Out != layer.Out:
				t.Errorf("%s adds layer %d (it is %d)", layer.Name, layer.Skip, i)
			}
		}
	}
}

func TestResidualPair(t *testing.T) {
	d := build(t, residual())
	var names []string
	for _, layer := range d.Layers {
		names = append(names, layer.Name)
	}
	want := "block1.conv block1.norm " +
		"block2.conv block2.norm block2.res1.conv1 block2.res1.norm1 block2.res1.conv2 block2.res1.norm2 " +
		"block3.conv block3.norm block3.res1.conv1 block3.res1.norm1 block3.res1.conv2 block3.res1.norm2 " +
		"block4.conv block4.norm block4.res1.conv1 block4.res1.norm1 block4.res1.conv2 block4.res1.norm2 " +
		"head.pool head.dense"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("layers\n%s, want\n%s", got, want)
	}
	if d.Layers[7].Skip != 3 || !d.Layers[7].ReLU {
		t.Errorf("block2.res1.norm2 is %+v", d.Layers[7])
	}
	// 9·(3·32 + 32·64 + 2·64² + 64·128 + 2·128² + 128·256 + 2·256²), twice the
	// normalised channels, and 2·256 + 2.
	if got := d.ParameterCount(); got != 1_939_490 {
		t.Errorf("%d parameters", got)
	}
}

func TestOddSizes(t *testing.T) {
	d := build(t, odd(), "a", "b", "c")
	if got := d.Layers[3].Out; got != (Shape{2, 3, 7}) {
		t.Errorf("17×23 pooled by 2 and 3 is %v", got)
	}
	if got := d.Output(); got != (Shape{1, 1, 3}) {
		t.Errorf("output %v", got)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(*params.Network){
		"block4 pools a feature map of 8×8 by 9, which leaves nothing": func(n *params.Network) { n.Pools[3] = 9 },
		"network.residuals: 3 numbers for 4 blocks":                    func(n *params.Network) { n.Residuals = n.Residuals[:3] },
		"network.pools: 1 numbers":                                     func(n *params.Network) { n.Pools = n.Pools[:1] },
		"at least one block":                                           func(n *params.Network) { n.Channels = nil },
		"block2 has -1":                                                func(n *params.Network) { n.Residuals[1] = -1 },
		"block2 has 0":                                                 func(n *params.Network) { n.Channels[1] = 0 },
		"pools by 0":                                                   func(n *params.Network) { n.Pools[0] = 0 },
		"none of flatten":                                              func(n *params.Network) { n.Head = "max" },
		"1.5 is not in":                                                func(n *params.Network) { n.Dropout = 1.5 },
		"an input of 0×64":                                             func(n *params.Network) { n.Height = 0 },
		"too large":                                                    func(n *params.Network) { n.Channels[0] = 1 << 40 },
		"more than 10000 layers":                                       func(n *params.Network) { n.Residuals[0] = 9000 },
	} {
		input := residual()
		change(&input)
		if _, err := New(input, []string{"cat", "dog"}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want %s", err, name)
		}
	}
	if _, err := New(residual(), []string{"cat"}); err == nil {
		t.Error("one class was accepted")
	}
}
