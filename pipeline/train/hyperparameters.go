package train

import (
	"encoding/json"
	"fmt"

	"catdog/pipeline/network"
	"catdog/pipeline/params"
)

// hyperparameters is the content of hyperparameters.json: section train of
// params.yaml as it was for the run, with what follows from it.
type hyperparameters struct {
	// Device is what params.EngineKeys came to.
	Device string `json:"device"`
	// Parameters are all other keys, by their names.
	Parameters   map[string]any `json:"parameters"`
	Steps        int            `json:"steps_per_epoch"`
	Weights      int            `json:"network_parameters"` // learnt values
	MultiplyAdds int            `json:"network_multiply_adds"`
}

func encodeHyperparameters(p params.Train, d *network.Description, steps int, device string) ([]byte, error) {
	h := hyperparameters{device, params.Named(p), steps, d.ParameterCount(), d.MultiplyAdds()}
	for _, key := range params.EngineKeys {
		delete(h.Parameters, key)
	}
	content, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write hyperparameters.json: %w", err)
	}
	return append(content, '\n'), nil
}
