package bench

import "catdog/pipeline/params"

// A Network is one that training is measured on, with its batch.
type Network struct {
	Batch   int
	Network params.Network
}

// Networks are all of them, by name.
func Networks() map[string]Network {
	all := map[string]Network{}
	for name, load := range workloads {
		all[name] = Network{load.batch, load.network}
	}
	return all
}
