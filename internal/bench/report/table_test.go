package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/bench/measure"
)

func sample() (Table, *Results) {
	table := Table{
		Judged: "own", Reference: "c",
		Rows: []Row{
			{Section: "Start", ID: "first", Title: "first record after", Unit: "ms", Target: RatioAtMost(0.7)},
			{ID: "rss", Title: "peak RSS", Unit: "MiB", Target: AtMost(12)},
			{Section: "Never run", ID: "nothing", Title: "nothing", Target: Always(0)},
			{Section: "Storm", ID: "lost", Title: "lost", Target: Always(0)},
			{ID: "free", Title: "for information | only"},
		},
	}
	r := &Results{
		Machine: "2 cores",
		Columns: []Column{{Key: "own", Title: "sonde"}, {Key: "c", Title: "execsnoop", Version: "0.37"}, {Key: "bt", Title: "execsnoop.bt", Version: "0.27"}},
		Notes:   []string{"A note."},
	}
	for _, v := range []float64{10, 12, 11} {
		r.Add("first", "own", v)
		r.Add("first", "c", 2*v)
	}
	r.Add("rss", "own", 12.5)
	r.Add("lost", "own", 0)
	r.Add("lost", "own", 0)
	r.Add("free", "bt", 1234.5)
	return table, r
}

func TestMarkdown(t *testing.T) {
	table, r := sample()
	r.Failures = []string{"start, execsnoop.bt:\n  it ended"}
	const want = `| | sonde | execsnoop 0.37 | execsnoop.bt 0.27 | sonde ÷ execsnoop | target | |
| --- | ---: | ---: | ---: | ---: | ---: | --- |
| **Start** | | | | | | |
| first record after, ms | 11 [10–12] | 22 [20–24] | – | 0.50 | ≤ 0.7 × | met |
| peak RSS, MiB | 12.5 | – | – | – | ≤ 12 MiB | **not met** |
| **Storm** | | | | | | |
| lost | 0 | – | – | – | always 0 | met |
| for information \| only | – | – | 1234 | – | | |

A note.

Rounds without a figure:

- start, execsnoop.bt: it ended
`
	if diff := cmp.Diff(want, table.Markdown(r)); diff != "" {
		t.Error(diff)
	}
}

func TestMarkdownWithTwoReferences(t *testing.T) {
	table, r := sample()
	table.Second = "bt"
	table.Rows = table.Rows[:1]
	table.Rows[0].Second = RatioAtMost(1.1)
	r.Notes = nil
	r.Add("first", "bt", 8)
	const want = `| | sonde | execsnoop 0.37 | execsnoop.bt 0.27 | sonde ÷ execsnoop | target | | sonde ÷ execsnoop.bt | target | |
| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | --- |
| **Start** | | | | | | | | | |
| first record after, ms | 11 [10–12] | 22 [20–24] | 8 | 0.50 | ≤ 0.7 × | met | 1.38 | ≤ 1.1 × | **not met** |
`
	if diff := cmp.Diff(want, table.Markdown(r)); diff != "" {
		t.Error(diff)
	}
}

func TestVerdict(t *testing.T) {
	one := func(v float64) measure.Summary { return measure.Summarize([]float64{v}) }
	for _, test := range []struct {
		name           string
		target         Target
		own, reference measure.Summary
		want           string
	}{
		{"no target", Target{}, one(1), one(1), ""},
		{"ratio, at the limit", RatioAtMost(0.5), one(1), one(2), "met"},
		{"ratio, over it", RatioAtMost(0.5), one(1.01), one(2), "**not met**"},
		{"ratio to nothing", RatioAtMost(0.5), one(1), measure.Summary{}, "not measured"},
		{"ratio to zero", RatioAtMost(0.5), one(1), one(0), "not measured"},
		{"ratio of nothing", RatioAtMost(0.5), measure.Summary{}, one(1), "not measured"},
		{"at most, at the limit", AtMost(4), one(4), one(1), "met"},
		{"below, at the limit", Below(4), one(4), one(1), "**not met**"},
		{"below nothing", Below(4), measure.Summary{}, one(1), "not measured"},
		{"always, once not", Always(0), measure.Summarize([]float64{0, 0, 0, 1}), one(1), "**not met**"},
	} {
		if got := test.target.verdict(test.own, test.reference); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[float64]string{
		0: "0", 5000: "5000", 0.126: "0.13", -1.5: "-1.50", 23.84: "23.8", 178.8: "179", -178.8: "-179",
	} {
		if got := number(in); got != want {
			t.Errorf("number(%v) = %q, want %q", in, got, want)
		}
	}
}

func TestWriteJSON(t *testing.T) {
	_, r := sample()
	path := filepath.Join(t.TempDir(), "out.json")
	if err := WriteJSON(path, r); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var back []*Results
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*Results{r}, back); diff != "" {
		t.Error(diff)
	}
}

// A table that compares with nobody has no column of ratios.
func TestMarkdownWithoutReference(t *testing.T) {
	table := Table{Judged: "own", Rows: []Row{{ID: "rss", Title: "peak RSS", Unit: "MiB", Target: AtMost(12)}, {ID: "free", Title: "free"}}}
	r := &Results{Columns: []Column{{Key: "own", Title: "sonde"}, {Key: "other", Title: "sonde, otherwise"}}}
	r.Add("rss", "own", 12)
	r.Add("rss", "other", 13)
	r.Add("free", "other", 1)
	const want = `| | sonde | sonde, otherwise | target | |
| --- | ---: | ---: | ---: | --- |
| peak RSS, MiB | 12 | 13 | ≤ 12 MiB | met |
| free | – | 1 | | |
`
	if diff := cmp.Diff(want, table.Markdown(r)); diff != "" {
		t.Error(diff)
	}
}

func TestIDs(t *testing.T) {
	table, _ := sample()
	ids, err := table.IDs()
	if err != nil || len(ids) != len(table.Rows) || !ids["rss"] {
		t.Errorf("got %v, %v", ids, err)
	}
	for _, row := range []Row{{ID: "rss", Title: "again"}, {ID: "untitled"}} {
		if _, err := (Table{Rows: append(table.Rows, row)}).IDs(); err == nil {
			t.Errorf("%+v is no error", row)
		}
	}
}
