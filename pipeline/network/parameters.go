package network

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"catdog/pipeline/weights"
)

// Role says what a parameter is to its layer; it ends the parameter's name.
type Role string

// The roles. Mean and Variance are a Normalization's running statistics: kept
// with the weights, but not learnt.
const (
	Weight   Role = "weight"
	Bias     Role = "bias"
	Scale    Role = "scale"
	Shift    Role = "shift"
	Mean     Role = "mean"
	Variance Role = "variance"
)

// Learnt says whether the optimiser changes parameters of this role.
func (r Role) Learnt() bool { return r != Mean && r != Variance }

// Decayed says whether weight decay applies to parameters of this role.
func (r Role) Decayed() bool { return r == Weight }

// A Parameter is an array that a layer owns.
type Parameter struct {
	Name  string // LAYER.ROLE
	Layer int    // index into Layers
	Role  Role
	// Shape is Out×In×Kernel×Kernel for a convolution's weight, Out×(H·W·C) for
	// a dense layer's, and the number of channels for everything else.
	Shape []int
}

// Elements is the product of Shape.
func (p Parameter) Elements() int {
	count := 1
	for _, size := range p.Shape {
		count *= size
	}
	return count
}

// Parameters are the layers' arrays in the layers' order.
func (d *Description) Parameters() []Parameter {
	var all []Parameter
	for i, layer := range d.Layers {
		add := func(role Role, shape ...int) {
			all = append(all, Parameter{fmt.Sprintf("%s.%s", layer.Name, role), i, role, shape})
		}
		out := layer.Out.Channels
		switch layer.Kind {
		case Convolution:
			add(Weight, out, layer.In.Channels, layer.Kernel, layer.Kernel)
		case Normalization:
			for _, role := range []Role{Scale, Shift, Mean, Variance} {
				add(role, out)
			}
		case Dense:
			add(Weight, out, layer.In.Elements())
			add(Bias, out)
		}
	}
	return all
}

// Initial are the first values of all Parameters. Convolutions are normal with
// variance 2/inputs (He et al., "Delving Deep into Rectifiers", 2015), the
// dense layer, which no ReLU follows, with 1/inputs (LeCun et al., "Efficient
// BackProp", 1998); scales and variances are 1, the rest 0.
//
// A value is a function of the seed, its parameter's name and its index alone,
// so that another layer in the network leaves the others' start as it was.
func (d *Description) Initial(seed int) []weights.Tensor {
	parameters := d.Parameters()
	tensors := make([]weights.Tensor, len(parameters))
	var shared sync.WaitGroup
	defer shared.Wait()
	for i, p := range parameters {
		values := make([]float32, p.Elements())
		switch p.Role {
		case Weight:
			gain := 1.0
			if d.Layers[p.Layer].Kind == Convolution {
				gain = 2
			}
			shared.Go(func() { fillNormal(values, math.Sqrt(gain/float64(len(values)/p.Shape[0])), seed, p.Name) })
		case Scale, Variance:
			for j := range values {
				values[j] = 1
			}
		}
		tensors[i] = weights.Tensor{Name: p.Name, Shape: p.Shape, Values: values}
	}
	return tensors
}

// fillNormal draws values by Box and Muller's method ("A Note on the Generation
// of Random Normal Deviates", 1958), two at a time.
func fillNormal(values []float32, deviation float64, seed int, name string) {
	digest := sha256.Sum256(fmt.Appendf(nil, "%d %s", seed, name))
	key := binary.LittleEndian.Uint64(digest[:])
	for i := 0; i < len(values); i += 2 {
		radius := deviation * math.Sqrt(-2*math.Log(1-uniform(key, uint64(i))))
		angle := 2 * math.Pi * uniform(key, uint64(i)+1)
		values[i] = float32(radius * math.Cos(angle))
		if i+1 < len(values) {
			values[i+1] = float32(radius * math.Sin(angle))
		}
	}
}

// uniform is the counter-th number of splitmix64 (Steele, Lea and Flood, "Fast
// Splittable Pseudorandom Number Generators", 2014) as a fraction in [0, 1).
func uniform(key, counter uint64) float64 {
	z := key + (counter+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) / (1 << 53)
}
