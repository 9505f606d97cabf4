package report

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteLongest(t *testing.T) {
	var times []Time
	for _, place := range []string{"host", "6.1"} {
		c := NewCollector(place)
		for _, e := range []Event{
			{Action: "pass", Package: "p", Test: "TestA/below", Elapsed: 99},
			{Action: "pass", Package: "p", Test: "TestA", Elapsed: 2},
			{Action: "fail", Package: "p", Test: "TestB", Elapsed: 7.4},
			{Action: "pass", Package: "q", Test: "TestA", Elapsed: 1},
			{Action: "run", Package: "q", Test: "TestC"},
		} {
			c.Add(e)
		}
		times = append(times, c.Times()...)
	}
	var b strings.Builder
	if err := WriteLongest(&b, times, 2); err != nil {
		t.Fatal(err)
	}
	const want = "\nlongest, in seconds:\n    15  p TestB (host 7, 6.1 7)\n     4  p TestA (host 2, 6.1 2)\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}
