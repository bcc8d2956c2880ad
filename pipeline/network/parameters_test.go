package network

import (
	"math"
	"slices"
	"testing"
)

func TestParameters(t *testing.T) {
	d := build(t, odd(), "a", "b", "c")
	var names []string
	for _, p := range d.Parameters() {
		if p.Layer < 2 || p.Layer == len(d.Layers)-1 {
			names = append(names, p.Name)
		}
	}
	want := []string{
		"block1.conv.weight", "block1.norm.scale", "block1.norm.shift", "block1.norm.mean", "block1.norm.variance",
		"head.dense.weight", "head.dense.bias",
	}
	if !slices.Equal(names, want) {
		t.Errorf("parameters %v, want %v", names, want)
	}
	flat := build(t, FourBlocks())
	dense := flat.Parameters()[len(flat.Parameters())-2]
	if !slices.Equal(dense.Shape, []int{2, 4 * 4 * 256}) || !dense.Role.Decayed() || !dense.Role.Learnt() {
		t.Errorf("dense %+v", dense)
	}
}

// TestInitialDistribution compares moments with the normal distribution's;
// bounds are five standard errors.
func TestInitialDistribution(t *testing.T) {
	d := build(t, residual())
	for i, tensor := range d.Initial(3) {
		p := d.Parameters()[i]
		if tensor.Name != p.Name || len(tensor.Values) != p.Elements() {
			t.Fatalf("%s: %d values for %v", tensor.Name, len(tensor.Values), p)
		}
		if p.Role != Weight {
			want := map[Role]float32{Scale: 1, Variance: 1}[p.Role]
			if slices.ContainsFunc(tensor.Values, func(v float32) bool { return v != want }) {
				t.Errorf("%s is not %g everywhere", tensor.Name, want)
			}
			continue
		}
		inputs, gain := p.Elements()/p.Shape[0], 2.0
		if d.Layers[p.Layer].Kind == Dense {
			gain = 1
		}
		deviation := math.Sqrt(gain / float64(inputs))
		var sum, squares, fourths float64
		for _, v := range tensor.Values {
			x := float64(v) / deviation
			sum, squares, fourths = sum+x, squares+x*x, fourths+x*x*x*x
		}
		n := float64(len(tensor.Values))
		if mean := sum / n; math.Abs(mean) > 5/math.Sqrt(n) {
			t.Errorf("%s: mean %g deviations", tensor.Name, mean)
		}
		if variance := squares / n; math.Abs(variance-1) > 5*math.Sqrt(2/n) {
			t.Errorf("%s: variance %g of what it should be", tensor.Name, variance)
		}
		if kurtosis := fourths / n; math.Abs(kurtosis-3) > 5*math.Sqrt(96/n) {
			t.Errorf("%s: kurtosis %g", tensor.Name, kurtosis)
		}
	}
}

// TestInitialStays: another seed draws others, another layer changes nothing
// in the layers that stay.
func TestInitialStays(t *testing.T) {
	small, large := residual(), residual()
	large.Residuals = []int{1, 1, 2, 1}
	large.Channels[0] = 32
	values := map[string][]float32{}
	for _, tensor := range build(t, large).Initial(1) {
		values[tensor.Name] = tensor.Values
	}
	other := build(t, small).Initial(2)
	for i, tensor := range build(t, small).Initial(1) {
		if !slices.Equal(tensor.Values, values[tensor.Name]) {
			t.Errorf("%s starts differently in a larger network", tensor.Name)
		}
		if build(t, small).Parameters()[i].Role == Weight && slices.Equal(tensor.Values, other[i].Values) {
			t.Errorf("%s starts the same with another seed", tensor.Name)
		}
	}
}

// TestInitialGolden holds some values, so that a change is seen.
func TestInitialGolden(t *testing.T) {
	got := build(t, residual()).Initial(0)[0].Values[:4]
	want := []float32{-0.14230116, -0.20413624, -0.27576944, 0.64309114}
	for i := range got {
		if math.Abs(float64(got[i]-want[i])) > 1e-6 {
			t.Fatalf("first values %v, want %v", got, want)
		}
	}
}
