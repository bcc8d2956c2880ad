package plot

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
)

// drawable says whether a value can be put on a finite axis.
func drawable(value float64) bool { return math.Abs(value) <= 1e15 }

// span is the range of one axis.
type span struct{ min, max float64 }

func emptySpan() span { return span{math.Inf(1), math.Inf(-1)} }

// add widens the span to hold the values.
func (s *span) add(values ...float64) {
	for _, value := range values {
		if drawable(value) {
			s.min, s.max = math.Min(s.min, value), math.Max(s.max, value)
		}
	}
}

// widened is the span with a width that can be divided: 0…1 if nothing was
// added, a little room around a single value.
func (s span) widened() span {
	if s.min > s.max {
		return span{0, 1}
	}
	if size := math.Max(math.Abs(s.min), math.Abs(s.max)); s.max-s.min <= 1e-9*size || s.max-s.min < 1e-12 {
		room := math.Max(0.05*size, 0.5)
		if size > 1e-6 && size < 1 {
			room = 0.5 * size
		}
		return span{s.min - room, s.max + room}
	}
	return s
}

// step is the distance between ticks of an axis with about count of them:
// 1, 2 or 5 times a power of ten, not below 1 if the axis counts things.
func (s span) step(count int, whole bool) float64 {
	raw := (s.max - s.min) / float64(count)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * power
	for _, factor := range []float64{1, 2, 5} {
		if raw <= factor*power*(1+1e-9) {
			step = factor * power
			break
		}
	}
	if whole {
		step = math.Max(step, 1)
	}
	return step
}

// rounded is the span widened to whole steps.
func (s span) rounded(step float64) span {
	return span{step * math.Floor(s.min/step+1e-9), step * math.Ceil(s.max/step-1e-9)}
}

// ticks are the multiples of step within the span.
func (s span) ticks(step float64, percent bool) plot.ConstantTicks {
	first, last := math.Ceil(s.min/step-1e-9), math.Floor(s.max/step+1e-9)
	var ticks plot.ConstantTicks
	for i := first; i <= last && len(ticks) < 100; i++ {
		value := i * step
		ticks = append(ticks, plot.Tick{Value: value, Label: label(value, step, percent)})
	}
	return ticks
}

// label writes a tick's value with the digits that its step needs.
func label(value, step float64, percent bool) string {
	suffix := ""
	if percent {
		value, step, suffix = 100*value, 100*step, "%"
	}
	if size := math.Abs(value); size != 0 && (size >= 1e7 || step < 1e-5) {
		return strconv.FormatFloat(value, 'g', 3, 64) + suffix
	}
	decimals := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	return grouped(strconv.FormatFloat(value, 'f', decimals, 64)) + suffix
}

// grouped puts commas between the thousands of a decimal number.
func grouped(number string) string {
	sign := ""
	if strings.HasPrefix(number, "-") {
		sign, number = "-", number[1:]
	}
	whole, fraction, found := strings.Cut(number, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if strings.Trim(whole+fraction, "0,") == "" {
		sign = "" // -0
	}
	if found {
		whole += "." + fraction
	}
	return sign + whole
}

// areWhole says whether all drawable values are whole numbers.
func areWhole(values []float64) bool {
	for _, value := range values {
		if drawable(value) && value != math.Trunc(value) {
			return false
		}
	}
	return true
}
