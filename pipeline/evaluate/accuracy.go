package evaluate

import "math"

// right is the number of right predictions.
func right(predictions []Prediction) int {
	count := 0
	for _, p := range predictions {
		if p.Right() {
			count++
		}
	}
	return count
}

// Wilson is the 95 % score interval of a proportion of which right of n were
// seen (Wilson, "Probable Inference, the Law of Succession, and Statistical
// Inference", 1927), 0 to 1 if n is 0.
func Wilson(right, n int) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.959963984540054 // the normal distribution's 97.5 % point
	total := float64(n)
	p := float64(right) / total
	centre := (p + z*z/(2*total)) / (1 + z*z/total)
	half := z / (1 + z*z/total) * math.Sqrt(p*(1-p)/total+z*z/(4*total*total))
	// Rounding must not exclude what was seen.
	return max(0, min(centre-half, p)), min(1, max(centre+half, p))
}

// Loss is the mean of −log of the true class's probability, in nats; a
// probability of 0 counts as 1e-15.
func Loss(predictions []Prediction) float64 {
	sum := 0.0
	for _, p := range predictions {
		sum -= math.Log(max(p.Probabilities[p.Class], 1e-15))
	}
	return sum / float64(len(predictions))
}

// Confusion counts images by true class (rows) and predicted class (columns).
func Confusion(predictions []Prediction, classes int) [][]int {
	counts := make([][]int, classes)
	for i := range counts {
		counts[i] = make([]int, classes)
	}
	for _, p := range predictions {
		counts[p.Class][p.Predicted()]++
	}
	return counts
}
