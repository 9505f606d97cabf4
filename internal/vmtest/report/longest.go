package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Time is how long a test took at a place, its subtests included.
type Time struct {
	Place, Package, Test string
	Seconds              float64
}

// Times returns those of the tests that have ended, without their subtests.
func (c *Collector) Times() []Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Time
	for _, k := range c.order {
		if t := c.tests[k]; t.ended && !strings.Contains(k.test, "/") {
			out = append(out, Time{c.place, k.pkg, k.test, t.seconds})
		}
	}
	return out
}

// WriteLongest writes the tests that took longest, all places together, at most so many: where a run's time goes.
func WriteLongest(w io.Writer, times []Time, most int) error {
	type row struct {
		name   string
		sum    float64
		places []string
	}
	at := map[string]*row{}
	var rows []*row
	for _, t := range times {
		name := t.Package + " " + t.Test
		r := at[name]
		if r == nil {
			r = &row{name: name}
			at[name], rows = r, append(rows, r)
		}
		r.sum += t.Seconds
		r.places = append(r.places, fmt.Sprintf("%s %.0f", t.Place, t.Seconds))
	}
	slices.SortStableFunc(rows, func(a, b *row) int { return cmp.Compare(b.sum, a.sum) })
	rows = rows[:min(most, len(rows))]
	if len(rows) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("\nlongest, in seconds:\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "%6.0f  %s (%s)\n", r.sum, r.name, strings.Join(r.places, ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
