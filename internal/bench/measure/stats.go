package measure

import (
	"math"
	"slices"
)

// Summary is what is shown of a list of samples.
type Summary struct {
	N                int
	Median, Min, Max float64
}

// Summarize returns the median and the range of samples; the zero Summary for none. It does not reorder them.
func Summarize(samples []float64) Summary {
	if len(samples) == 0 {
		return Summary{}
	}
	s := slices.Clone(samples)
	slices.Sort(s)
	return Summary{N: len(s), Median: percentileSorted(s, 50), Min: s[0], Max: s[len(s)-1]}
}

// Percentile returns the p-th percentile (0 to 100) of samples, interpolated between its neighbours; NaN for none.
// It does not reorder them.
func Percentile(samples []float64, p float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	s := slices.Clone(samples)
	slices.Sort(s)
	return percentileSorted(s, p)
}

func percentileSorted(s []float64, p float64) float64 {
	at := min(max(p, 0), 100) / 100 * float64(len(s)-1)
	low := int(at)
	if low == len(s)-1 {
		return s[low]
	}
	return s[low] + (at-float64(low))*(s[low+1]-s[low])
}
