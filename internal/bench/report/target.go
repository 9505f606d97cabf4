package report

import (
	"fmt"
	"strconv"

	"sonde/internal/bench/measure"
)

// Target is what a figure of the judged column has to reach. The zero Target asks for nothing.
type Target struct {
	kind  targetKind
	limit float64
}

type targetKind uint8

const (
	noTarget targetKind = iota
	ratio               // the median, as a part of the reference's median
	atMost              // the median, in the row's unit
	below               // likewise, without the limit itself
	always              // every single sample
)

// RatioAtMost asks for a median of at most that part of the reference's.
func RatioAtMost(part float64) Target { return Target{ratio, part} }

// AtMost asks for a median of at most limit, in the row's unit.
func AtMost(limit float64) Target { return Target{atMost, limit} }

// Below asks for a median below limit, in the row's unit.
func Below(limit float64) Target { return Target{below, limit} }

// Always asks that every sample is value.
func Always(value float64) Target { return Target{always, value} }

// text is the target as the table shows it.
func (t Target) text(unit string) string {
	limit := strconv.FormatFloat(t.limit, 'g', 3, 64)
	if unit != "" {
		unit = " " + unit
	}
	switch t.kind {
	case ratio:
		return "≤ " + limit + " ×"
	case atMost:
		return "≤ " + limit + unit
	case below:
		return "< " + limit + unit
	case always:
		return "always " + number(t.limit)
	}
	return ""
}

// verdict says whether figures meet the target. A ratio to a reference of nothing cannot be told.
func (t Target) verdict(own, reference measure.Summary) string {
	met := false
	switch t.kind {
	case noTarget:
		return ""
	case ratio:
		if reference.N == 0 || reference.Median <= 0 {
			return "not measured"
		}
		met = own.Median/reference.Median <= t.limit
	case atMost:
		met = own.Median <= t.limit
	case below:
		met = own.Median < t.limit
	case always:
		met = own.Min == t.limit && own.Max == t.limit
	}
	if own.N == 0 {
		return "not measured"
	}
	if met {
		return "met"
	}
	return "**not met**"
}

// number writes a figure with about three digits; counts stay whole.
func number(v float64) string {
	magnitude := max(v, -v)
	switch {
	case v == float64(int64(v)):
		return strconv.FormatInt(int64(v), 10)
	case magnitude >= 100:
		return fmt.Sprintf("%.0f", v)
	case magnitude >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
