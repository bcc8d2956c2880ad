package bench

import (
	"context"
	"math"
	"slices"
	"time"
)

// A sample is what one contender reached, round by round.
type sample []float64

func (s sample) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

func (s sample) limits() *[2]float64 {
	if len(s) < 2 {
		return nil
	}
	return &[2]float64{digits(slices.Min(s)), digits(slices.Max(s))}
}

// digits rounds to four digits that matter.
func digits(value float64) float64 {
	if value == 0 || math.IsInf(value, 0) || math.IsNaN(value) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(value))))
	return math.Round(value*scale) / scale
}

// rates has contenders work in turn, round by round, and returns how many units
// a second each of them did in each round.
func rates(ctx context.Context, contenders []*contender, rounds int, duration time.Duration) ([]sample, error) {
	samples := make([]sample, len(contenders))
	for range rounds {
		for i, c := range contenders {
			s, err := c.measure(ctx, duration)
			if err != nil {
				return nil, err
			}
			samples[i] = append(samples[i], s.rate())
		}
	}
	return samples, nil
}

// more is a row in which more is better.
func more(name, unit string, ours sample, peerName string, peer sample) Row {
	row := compare(name, unit, ours, peerName, peer)
	row.Ratio = digits(ours.median() / peer.median())
	return row
}

// less is a row in which less is better.
func less(name, unit string, ours sample, peerName string, peer sample) Row {
	row := compare(name, unit, ours, peerName, peer)
	row.Ratio = digits(peer.median() / ours.median())
	return row
}

func compare(name, unit string, ours sample, peerName string, peer sample) Row {
	row := Row{
		Name: name, Unit: unit, PeerName: peerName,
		Ours: digits(ours.median()), OursRange: ours.limits(),
		Peer: digits(peer.median()), PeerRange: peer.limits(),
	}
	if len(ours) > 1 {
		row.Rounds = len(ours)
	}
	return row
}

// alone is a row without a peer.
func alone(name, unit string, ours sample) Row {
	row := Row{Name: name, Unit: unit, Ours: digits(ours.median()), OursRange: ours.limits()}
	if len(ours) > 1 {
		row.Rounds = len(ours)
	}
	return row
}

// times runs actions in turn and returns the seconds that each took in each
// round.
func times(rounds int, actions ...func() error) ([]sample, error) {
	samples := make([]sample, len(actions))
	for range rounds {
		for i, act := range actions {
			started := time.Now()
			if err := act(); err != nil {
				return nil, err
			}
			samples[i] = append(samples[i], time.Since(started).Seconds())
		}
	}
	return samples, nil
}
