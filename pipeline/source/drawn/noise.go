package drawn

const (
	latticeBits = 8
	latticeSize = 1 << latticeBits
	latticeMask = latticeSize - 1
)

// lattice holds the random values that all noise is interpolated from.
var lattice = func() (values [latticeSize * latticeSize]float64) {
	r := newRandom(0, "lattice")
	for i := range values {
		values[i] = r.float()
	}
	return values
}()

// noise is smooth in x and y, 0…1, with features about one unit large.
func noise(x, y float64) float64 {
	x, y = x+4096, y+4096
	column, row := int(x), int(y)
	x, y = x-float64(column), y-float64(row)
	x, y = x*x*(3-2*x), y*y*(3-2*y)
	left, right := column&latticeMask, (column+1)&latticeMask
	up, down := (row&latticeMask)<<latticeBits, ((row+1)&latticeMask)<<latticeBits
	a, b := lattice[up|left], lattice[up|right]
	c, d := lattice[down|left], lattice[down|right]
	top := a + (b-a)*x
	return top + (c+(d-c)*x-top)*y
}

// rough is noise with finer detail on top, 0…1.
func rough(x, y float64) float64 {
	return (noise(x, y)*4 + noise(2.1*x+17, 2.1*y+31)*2 + noise(4.3*x+71, 4.3*y+5)) / 7
}
