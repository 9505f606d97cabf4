package measure

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSummarize(t *testing.T) {
	for _, test := range []struct {
		name string
		in   []float64
		want Summary
	}{
		{"none", nil, Summary{}},
		{"one", []float64{4}, Summary{N: 1, Median: 4, Min: 4, Max: 4}},
		{"odd, unsorted", []float64{9, 1, 5}, Summary{N: 3, Median: 5, Min: 1, Max: 9}},
		{"even: between the two in the middle", []float64{1, 2, 4, 100}, Summary{N: 4, Median: 3, Min: 1, Max: 100}},
		{"negative", []float64{-3, -1, -2}, Summary{N: 3, Median: -2, Min: -3, Max: -1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := append([]float64(nil), test.in...)
			if diff := cmp.Diff(test.want, Summarize(test.in)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, test.in); diff != "" {
				t.Errorf("the samples were reordered: %s", diff)
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	in := []float64{50, 10, 40, 20, 30}
	for _, test := range []struct{ p, want float64 }{
		{-5, 10}, {0, 10}, {10, 14}, {50, 30}, {75, 40}, {100, 50}, {400, 50},
	} {
		if got := Percentile(in, test.p); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("Percentile(%v) = %v, want %v", test.p, got, test.want)
		}
	}
	if got := Percentile(nil, 50); !math.IsNaN(got) {
		t.Errorf("Percentile of nothing = %v, want NaN", got)
	}
}
