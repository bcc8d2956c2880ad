package track

import (
	"encoding/json"
	"fmt"
	"os"
)

// metrics is what the commands here read of metrics.json.
type metrics struct {
	Splits map[string]struct {
		N        int     `json:"n"`
		Accuracy float64 `json:"accuracy"`
		Low      float64 `json:"accuracy_low"`
		High     float64 `json:"accuracy_high"`
		Loss     float64 `json:"loss"`
		AUC      float64 `json:"auc"`
		Brier    float64 `json:"brier"`
		ECE      float64 `json:"ece"`
	} `json:"splits"`
}

func readMetrics(path string) (metrics, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return metrics{}, fmt.Errorf("read the results: %w", err)
	}
	return parseMetrics(path, text)
}

func parseMetrics(name string, text []byte) (m metrics, err error) {
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("read %s: %w", name, err)
	}
	return m, nil
}
