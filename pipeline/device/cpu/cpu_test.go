package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/device/devicetest"
	"catdog/pipeline/device/reference"
)

func openTest(t testing.TB, threads int, set isa.Set) *Device {
	t.Helper()
	d, err := open(Options{Threads: threads}, set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// sets are the instruction sets that can run here.
func sets() []isa.Set {
	best := isa.Detect()
	all := []isa.Set{best}
	if best == isa.AVX512 {
		all = append(all, isa.AVX2)
	}
	return append(all, isa.Generic)
}

func TestConform(t *testing.T) {
	for _, set := range sets() {
		t.Run(string(set), func(t *testing.T) { devicetest.Conform(t, openTest(t, 3, set), 1e-5) })
	}
	t.Run("one thread", func(t *testing.T) { devicetest.Conform(t, openTest(t, 1, isa.Detect()), 1e-5) })
}

// Values are rounded before they are multiplied, and nothing else is: of ones
// that are such numbers the products' sums are float32's.
func TestConformBFloat16(t *testing.T) {
	d, err := open(Options{Threads: 3, Precision: isa.BFloat16}, isa.Detect())
	if isa.Detect() != isa.AVX512 {
		if err == nil || !strings.Contains(err.Error(), "needs a processor with AVX-512") {
			t.Errorf("opened in bfloat16: %v", err)
		}
		t.Skip("no AVX-512")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	devicetest.Conform(t, d, devicetest.BFloat16Tolerance)
	devicetest.ConformBFloat16(t, d, 1e-5)
}

func TestDescribe(t *testing.T) {
	d := openTest(t, 2, isa.Detect())
	t.Log(d.Describe())
	if got, want := d.Describe(), isa.Detect().Describe(2, "float32", isa.Winograd); got != want {
		t.Errorf("Describe: %q, want %q", got, want)
	}
	for _, winograd := range []string{OneDNN, Never} {
		d := must(open(Options{Threads: 2, Winograd: winograd}, isa.Detect()))(t)
		defer d.Close()
		if got := d.Describe(); !strings.Contains(got, " threads=2 oneDNN ") {
			t.Errorf("Winograd: %s: Describe: %q names neither threads nor oneDNN", winograd, got)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, options := range []Options{{Threads: -1}, {Precision: "bfloat8"}, {Winograd: "mine"}} {
		if _, err := New(options); err == nil {
			t.Errorf("%+v: no error", options)
		}
	}
}

func randoms(count int) []float32 {
	random := rand.New(rand.NewPCG(uint64(count), 5))
	values := make([]float32, count)
	for i := range values {
		values[i] = float32(random.NormFloat64())
	}
	return values
}

func upload(t testing.TB, d device.Device, n, h, w, c int) device.Activation {
	a := must(d.NewActivation(n, h, w, c))(t)
	a.Upload(randoms(n * h * w * c))
	return a
}

func download(a device.Activation) []float32 {
	n, h, w, c := a.Shape()
	values := make([]float32, n*h*w*c)
	a.Download(values)
	return values
}

func values(v device.Vector) []float32 {
	all := make([]float32, v.Len())
	v.Download(all)
	return all
}

// bits are the bytes of values, in which zeros differ by their signs.
func bits(values []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values))
}

// distance is the relative Euclidean distance.
func distance(a, b []float32) float64 {
	difference, norm := 0.0, 0.0
	for i := range a {
		difference += (float64(a[i]) - float64(b[i])) * (float64(a[i]) - float64(b[i]))
		norm += float64(b[i]) * float64(b[i])
	}
	return math.Sqrt(difference / norm)
}

// Layers of the size that real networks have, where the first layer's own
// kernel and Winograd convolutions work, ours and oneDNN's.
func TestConvolutionsOfRealSize(t *testing.T) {
	for _, s := range []device.ConvolutionSpec{
		{Batch: 2, Height: 64, Width: 64, In: 3, Out: 32, Kernel: 3, Stride: 1, Padding: 1, NoInputGradient: true},
		{Batch: 1, Height: 13, Width: 29, In: 3, Out: 48, Kernel: 3, Stride: 1, Padding: 1, NoInputGradient: true},
		{Batch: 2, Height: 32, Width: 32, In: 64, Out: 64, Kernel: 3, Stride: 1, Padding: 1},
		{Batch: 4, Height: 8, Width: 8, In: 64, Out: 128, Kernel: 3, Stride: 1, Padding: 1},
	} {
		t.Run(fmt.Sprintf("%dx%dx%dx%d to %d", s.Batch, s.Height, s.Width, s.In, s.Out), func(t *testing.T) {
			run := func(d device.Device) (y, dx, dw []float32) {
				op := must(d.NewConvolution(s))(t)
				h, w := s.OutputSize()
				weights, gradient := must(d.NewVector(op.WeightsLen()))(t), must(d.NewVector(op.WeightsLen()))(t)
				count := s.Out * s.In * s.Kernel * s.Kernel
				op.Import(randoms(count), weights)
				x, out, dy := upload(t, d, s.Batch, s.Height, s.Width, s.In), upload(t, d, s.Batch, h, w, s.Out), upload(t, d, s.Batch, h, w, s.Out)
				must(0, op.Forward(x, weights, out))(t)
				y = download(out)
				must(0, op.BackwardWeights(x, dy, gradient))(t)
				dw = make([]float32, count)
				op.Export(gradient, dw)
				if !s.NoInputGradient {
					must(0, op.BackwardInput(dy, weights, nil, x))(t)
					dx = download(x)
				}
				return y, dx, dw
			}
			wantY, wantDX, wantDW := run(reference.New())
			for _, source := range []winogradSource{ours, oneDNNs} {
				d := openTest(t, 2, isa.Detect())
				d.winograd = source
				y, dx, dw := run(d)
				for name, pair := range map[string][2][]float32{"output": {y, wantY}, "input's gradient": {dx, wantDX}, "weights' gradient": {dw, wantDW}} {
					if off := distance(pair[0], pair[1]); len(pair[1]) > 0 && !(off <= 3e-6) {
						t.Errorf("%s, %s: differs by %.1e of the norm", source, name, off)
					}
				}
			}
		})
	}
}

// The first layer hands its output's statistics on to the normalisation. They
// must be those that it would take itself, and forgotten once x is changed.
func TestStatisticsAreHandedOn(t *testing.T) {
	d := openTest(t, 2, isa.Detect())
	conv := must(d.NewConvolution(device.ConvolutionSpec{
		Batch: 3, Height: 9, Width: 13, In: 3, Out: 48, Kernel: 3, Stride: 1, Padding: 1, NoInputGradient: true,
	}))(t)
	norm := must(d.NewNormalization(device.NormalizationSpec{
		Batch: 3, Height: 9, Width: 13, Channels: 48, ReLU: true, Pool: 2, Epsilon: 1e-5, Momentum: 0.9,
	}))(t)
	weights := must(d.NewVector(conv.WeightsLen()))(t)
	conv.Import(randoms(48*27), weights)
	parameter := func(value float32) device.Vector {
		v := must(d.NewVector(norm.ParameterLen()))(t)
		all := make([]float32, v.Len())
		for i := range all {
			all[i] = value
		}
		v.Upload(all)
		return v
	}
	scale, shift := parameter(1.5), parameter(0.2)
	z, y := must(d.NewActivation(3, 9, 13, 48))(t), must(d.NewActivation(3, 4, 6, 48))(t)
	forward := func() (out, mean, variance []float32) {
		m, v := parameter(0), parameter(1)
		must(0, norm.Forward(z, scale, shift, m, v, nil, y))(t)
		return download(y), values(m)[:48], values(v)[:48]
	}
	must(0, conv.Forward(upload(t, d, 3, 9, 13, 3), weights, z))(t)
	if z.(*activation).statistics() == nil {
		t.Fatal("the convolution took no statistics")
	}
	y1, m1, v1 := forward()
	z.Upload(download(z))
	if z.(*activation).statistics() != nil {
		t.Fatal("the statistics outlived an upload")
	}
	y2, m2, v2 := forward()
	must(0, conv.Forward(upload(t, d, 3, 9, 13, 3), weights, z))(t)
	must(0, conv.Forward(upload(t, d, 3, 9, 13, 3), weights, must(d.NewActivation(3, 9, 13, 48))(t)))(t)
	if z.(*activation).statistics() != nil {
		t.Fatal("the statistics outlived another output")
	}
	for name, pair := range map[string][2][]float32{"output": {y1, y2}, "mean": {m1, m2}, "variance": {v1, v2}} {
		if d := distance(pair[0], pair[1]); !(d <= 1e-6) {
			t.Errorf("%s: differs by %.1e of the norm", name, d)
		}
	}
}

func TestStepsDoNotAllocate(t *testing.T) {
	_, all := fourBlocks(t, openTest(t, 2, isa.Detect()), 4)
	step(t, all)
	if count := testing.AllocsPerRun(3, func() { step(t, all) }); count != 0 {
		t.Errorf("%g allocations a step", count)
	}
}

func TestMemoryIsAligned(t *testing.T) {
	d := openTest(t, 1, isa.Detect())
	small, large := must(d.NewVector(5))(t).(*vector), must(d.NewVector(1<<20))(t).(*vector)
	if uintptr(unsafe.Pointer(small.data))%64 != 0 || uintptr(unsafe.Pointer(large.data))%(2<<20) != 0 {
		t.Errorf("vectors at %p and %p", small.data, large.data)
	}
}

// Wrong operands are named in the error, and nothing is computed.
func TestWrongOperands(t *testing.T) {
	d, other := openTest(t, 1, isa.Detect()), openTest(t, 1, isa.Detect())
	pool := must(d.NewGlobalPool(device.GlobalPoolSpec{Batch: 2, Height: 3, Width: 3, Channels: 8}))(t)
	x, y := upload(t, d, 2, 3, 3, 8), upload(t, d, 2, 1, 1, 8)
	wide := upload(t, d, 2, 1, 1, 16) // whole blocks with every instruction set
	dense := must(d.NewDense(device.DenseSpec{Batch: 2, Height: 1, Width: 1, Channels: 16, Out: 2}))(t)
	whole := must(d.NewVector(64))(t)
	inference := must(d.NewConvolution(device.ConvolutionSpec{Batch: 1, Height: 4, Width: 4, In: 8, Out: 8, Kernel: 3, Stride: 1, Padding: 1, Inference: true}))(t)
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"shape", "y has shape 2×3×3×8, expected 2×1×1×8", pool.Forward(x, x)},
		{"other device", "x is not an activation of this cpu device", pool.Forward(upload(t, other, 2, 3, 3, 8), y)},
		{"nil", "x is not an activation", pool.Forward(nil, y)},
		{"short vector", "w has 16 elements, expected 32", dense.Forward(wide, whole.Slice(0, 16), whole, whole)},
		{"unaligned vector", "w starts between multiples of 16", dense.Forward(wide, whole.Slice(8, 64), whole, whole)},
		{"inference", "made for inference", inference.BackwardWeights(x, x, whole)},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: error %v, expected %q", c.name, c.err, c.want)
		}
	}
	if err := pool.Forward(x, y); err != nil {
		t.Errorf("after all those errors: %v", err)
	}
}

func TestImpossibleOperations(t *testing.T) {
	d := openTest(t, 1, isa.Detect())
	_, activation := d.NewActivation(1, 0, 1, 1)
	_, vector := d.NewVector(-1)
	_, kernel := d.NewConvolution(device.ConvolutionSpec{Batch: 1, Height: 2, Width: 2, In: 8, Out: 8, Kernel: 3, Stride: 1})
	_, stride := d.NewConvolution(device.ConvolutionSpec{Batch: 1, Height: 2, Width: 2, In: 8, Out: 8, Kernel: 1})
	_, pool := d.NewNormalization(device.NormalizationSpec{Batch: 1, Height: 2, Width: 2, Channels: 8, Pool: 3})
	_, skip := d.NewNormalization(device.NormalizationSpec{Batch: 1, Height: 2, Width: 2, Channels: 8, Pool: 2, Skip: true})
	_, rate := d.NewDropout(device.DropoutSpec{Batch: 1, Height: 1, Width: 1, Channels: 1, Rate: 1})
	_, name := d.NewOptimizer(device.OptimizerSpec{Name: "adam", Length: 16, Decayed: make([]bool, 1)})
	_, groups := d.NewOptimizer(device.OptimizerSpec{Name: "sgd", Length: 32, Decayed: make([]bool, 1)})
	for what, err := range map[string]error{
		"activation": activation, "vector": vector, "kernel": kernel, "stride": stride, "pool": pool, "skip": skip, "rate": rate, "name": name, "groups": groups,
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// A call that cannot return an error leaves it to the next that can.
func TestUploadOfWrongLength(t *testing.T) {
	d, err := open(Options{Threads: 1}, isa.Detect())
	if err != nil {
		t.Fatal(err)
	}
	x := upload(t, d, 1, 2, 2, 8)
	x.Upload(make([]float32, 3))
	if d.Err() == nil {
		t.Error("the device keeps no failure")
	}
	pool := must(d.NewGlobalPool(device.GlobalPoolSpec{Batch: 1, Height: 2, Width: 2, Channels: 8}))(t)
	if err := pool.Forward(x, upload(t, d, 1, 1, 1, 8)); err == nil || !strings.Contains(err.Error(), "upload 3 values") {
		t.Errorf("error %v", err)
	}
	if err := d.Close(); err == nil {
		t.Error("Close does not return the error")
	}
	if err := d.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}
