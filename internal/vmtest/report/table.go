package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Total is a count of results.
type Total struct{ Passed, Failed, Skipped int }

func (t *Total) add(o Outcome) {
	switch o {
	case Passed:
		t.Passed++
	case Failed:
		t.Failed++
	case Skipped:
		t.Skipped++
	}
}

// Count counts results.
func Count(results []Result) Total {
	var t Total
	for _, r := range results {
		t.add(r.Outcome)
	}
	return t
}

// Any says whether anything was counted.
func (t Total) Any() bool { return t != Total{} }

func (t Total) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", t.Passed, t.Failed, t.Skipped)
}

// Write writes the counts of each place in the order given, the skips by reason, the failures, and the total alone on
// the last line.
func Write(w io.Writer, places []string, results []Result) error {
	var b strings.Builder
	tab := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tab, "place\tpassed\tfailed\tskipped\t\n")
	for _, place := range places {
		t := Count(slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return r.Place != place }))
		fmt.Fprintf(tab, "%s\t%d\t%d\t%d\t\n", place, t.Passed, t.Failed, t.Skipped)
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	writeSkips(&b, places, results)
	writeFailures(&b, results)
	fmt.Fprintf(&b, "\n%s\n", Count(results))
	_, err := io.WriteString(w, b.String())
	return err
}

// writeSkips lists each reason once, with how many tests it kept from running and where.
func writeSkips(b *strings.Builder, places []string, results []Result) {
	type group struct {
		reason string
		count  int
		at     map[string]int
	}
	var groups []*group
	for _, r := range results {
		if r.Outcome != Skipped {
			continue
		}
		i := slices.IndexFunc(groups, func(g *group) bool { return g.reason == r.Reason })
		if i < 0 {
			i = len(groups)
			groups = append(groups, &group{reason: r.Reason, at: map[string]int{}})
		}
		groups[i].count++
		groups[i].at[r.Place]++
	}
	if len(groups) == 0 {
		return
	}
	slices.SortStableFunc(groups, func(a, b *group) int { return b.count - a.count })
	b.WriteString("\nskipped, by reason:\n")
	for _, g := range groups {
		var where []string
		for _, place := range places {
			if n := g.at[place]; n > 0 {
				where = append(where, fmt.Sprintf("%s %d", place, n))
			}
		}
		fmt.Fprintf(b, "%6d  %s (%s)\n", g.count, g.reason, strings.Join(where, ", "))
	}
}

func writeFailures(b *strings.Builder, results []Result) {
	title := "\nfailed:\n"
	for _, r := range results {
		if r.Outcome != Failed {
			continue
		}
		fmt.Fprintf(b, "%s  %s  %s", title, r.Place, r.Name())
		if r.Reason != "" {
			fmt.Fprintf(b, ": %s", r.Reason)
		}
		b.WriteString("\n")
		title = ""
	}
}
