package cpu

import (
	"fmt"
	"math"
	"testing"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/device/devicetest"
)

func TestDirectConforms(t *testing.T) {
	for _, set := range sets() {
		t.Run(string(set), func(t *testing.T) {
			d := openTest(t, 2, set)
			d.winograd = never
			devicetest.Conform(t, d, 1e-5)
		})
	}
}

// plainConvolution is y = x ⋆ w, dx = dy ⋆ w turned and dw = x ⋆ dy in plain
// loops and float64, for a 3×3 kernel with stride 1 and padding 1.
func plainConvolution(s device.ConvolutionSpec, x, w, dy []float32) (y, dx, dw []float64) {
	y, dx, dw = make([]float64, len(dy)), make([]float64, len(x)), make([]float64, len(w))
	for n := range s.Batch {
		for row := range s.Height {
			for column := range s.Width {
				for k := range 9 {
					r, c := row+k/3-1, column+k%3-1
					if r < 0 || r >= s.Height || c < 0 || c >= s.Width {
						continue
					}
					for o := range s.Out {
						to := ((n*s.Height+row)*s.Width+column)*s.Out + o
						for i := range s.In {
							from, tap := ((n*s.Height+r)*s.Width+c)*s.In+i, (o*s.In+i)*9+k
							y[to] += float64(x[from]) * float64(w[tap])
							dx[from] += float64(dy[to]) * float64(w[tap])
							dw[tap] += float64(dy[to]) * float64(x[from])
						}
					}
				}
			}
		}
	}
	return y, dx, dw
}

// distance64 is the relative Euclidean distance.
func distance64(a []float32, b []float64) float64 {
	difference, norm := 0.0, 0.0
	for i := range a {
		difference += (float64(a[i]) - b[i]) * (float64(a[i]) - b[i])
		norm += b[i] * b[i]
	}
	return math.Sqrt(difference / norm)
}

// Sides that 4 does not divide, channels that leave a group of blocks or a
// block incomplete, more tiles than a block of them, fewer tiles than threads.
func TestWinogradAgainstPlainLoops(t *testing.T) {
	for _, s := range []device.ConvolutionSpec{
		{Batch: 1, Height: 1, Width: 1, In: 16, Out: 16},
		{Batch: 1, Height: 3, Width: 2, In: 20, Out: 9},
		{Batch: 3, Height: 5, Width: 9, In: 32, Out: 48},
		{Batch: 2, Height: 7, Width: 6, In: 64, Out: 32},
		{Batch: 5, Height: 16, Width: 16, In: 32, Out: 32},
		{Batch: 6, Height: 8, Width: 11, In: 128, Out: 64},
		{Batch: 1, Height: 64, Width: 61, In: 16, Out: 16},
	} {
		s.Kernel, s.Stride, s.Padding = 3, 1, 1
		x, dy := randoms(s.Batch*s.Height*s.Width*s.In), randoms(s.Batch*s.Height*s.Width*s.Out)
		w := randoms(9 * s.In * s.Out)
		y, dx, dw := plainConvolution(s, x, w, dy)
		for _, set := range sets() {
			t.Run(fmt.Sprintf("%s %dx%dx%dx%d to %d", set, s.Batch, s.Height, s.Width, s.In, s.Out), func(t *testing.T) {
				d := openTest(t, 2, set)
				op := must(d.NewConvolution(s))(t)
				if op.(*convolution).winograd == nil {
					t.Fatal("our own kernels are not used")
				}
				weights, gradient := must(d.NewVector(op.WeightsLen()))(t), must(d.NewVector(op.WeightsLen()))(t)
				op.Import(w, weights)
				in, out := must(d.NewActivation(s.Batch, s.Height, s.Width, s.In))(t), must(d.NewActivation(s.Batch, s.Height, s.Width, s.Out))(t)
				dout := must(d.NewActivation(s.Batch, s.Height, s.Width, s.Out))(t)
				in.Upload(x)
				dout.Upload(dy)
				check := func(name string, got []float32, want []float64) {
					if e := distance64(got, want); !(e <= 2e-6) {
						t.Errorf("%s: differs by %.1e of the norm", name, e)
					}
				}
				must(0, op.Forward(in, weights, out))(t)
				check("output", download(out), y)
				must(0, op.BackwardWeights(in, dout, gradient))(t)
				back := make([]float32, len(w))
				op.Export(gradient, back)
				check("weights' gradient", back, dw)
				din := must(d.NewActivation(s.Batch, s.Height, s.Width, s.In))(t)
				must(0, op.BackwardInput(dout, weights, nil, din))(t)
				check("input's gradient", download(din), dx)
				total := make([]float64, len(dx))
				for i := range dx {
					total[i] = dx[i] + float64(x[i])
				}
				must(0, op.BackwardInput(dout, weights, in, din))(t)
				check("input's gradient with an addend", download(din), total)
				must(0, op.BackwardInput(dout, weights, in, in))(t)
				check("input's gradient added in place", download(in), total)
			})
		}
	}
}

// The output's statistics, handed to the normalisation.
func TestWinogradSums(t *testing.T) {
	for _, set := range sets() {
		t.Run(string(set), func(t *testing.T) {
			d := openTest(t, 3, set)
			const n, h, w, channels = 3, 9, 13, 40
			op := must(d.NewConvolution(device.ConvolutionSpec{Batch: n, Height: h, Width: w, In: 24, Out: channels, Kernel: 3, Stride: 1, Padding: 1}))(t)
			weights := must(d.NewVector(op.WeightsLen()))(t)
			op.Import(randoms(9*24*channels), weights)
			y := must(d.NewActivation(n, h, w, channels))(t)
			must(0, op.Forward(upload(t, d, n, h, w, 24), weights, y))(t)
			norm := must(d.NewNormalization(device.NormalizationSpec{Batch: n, Height: h, Width: w, Channels: channels, Pool: 1, Epsilon: 1e-5}))(t)
			statistics := func() (mean, variance []float32) {
				v := func() device.Vector { return must(d.NewVector(norm.ParameterLen()))(t) }
				m, s := v(), v()
				must(0, norm.Forward(y, v(), v(), m, s, nil, must(d.NewActivation(n, h, w, channels))(t)))(t)
				return values(m), values(s)
			}
			if y.(*activation).statistics() == nil {
				t.Fatal("the convolution took no sums")
			}
			mean, variance := statistics()
			y.Upload(download(y))
			wantMean, wantVariance := statistics()
			if a, b := distance(mean, wantMean), distance(variance, wantVariance); !(a <= 1e-6 && b <= 1e-6) {
				t.Errorf("mean and variance differ by %.1e and %.1e of their norms", a, b)
			}
		})
	}
}

// Our own kernels wherever they fit, unless oneDNN's are asked for; narrow maps are
// ours even then, but not where all convolutions are to be direct.
func TestChoice(t *testing.T) {
	large := device.ConvolutionSpec{Batch: 64, Height: 16, Width: 16, In: 64, Out: 64, Kernel: 3, Stride: 1, Padding: 1}
	small, narrow, wide := large, large, large
	small.Batch, small.Height, small.Width = 1, 5, 5
	narrow.Height, narrow.Width = 1, 1
	wide.Kernel, wide.Padding = 5, 2
	for source, wants := range map[winogradSource][4]bool{oneDNNs: {2: true}, ours: {true, true, true}, never: {}} {
		d := openTest(t, 1, isa.Detect())
		d.winograd = source
		for i, s := range []device.ConvolutionSpec{large, small, narrow, wide} {
			if got := d.chooseWinograd(s); got != wants[i] {
				t.Errorf("%s, %+v: our own: %t", source, s, got)
			}
		}
	}
}
