package report

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrite(t *testing.T) {
	results := []Result{
		{"host", "p", "TestA", Passed, ""},
		{"host", "p", "TestB", Skipped, "kernel lacks kprobe: no"},
		{"5.10", "p", "TestA", Passed, ""},
		{"5.10", "p", "TestB", Passed, ""},
		{"5.10", "p", "TestC", Skipped, "kernel lacks bpf_lsm: not active"},
		{"6.1", "p", "TestC", Failed, ""},
		{"6.1", "", "", Failed, "no end after 10m0s"},
		{"6.1", "q", "", Failed, "does not build"},
		{"6.1", "p", "TestD", Skipped, "kernel lacks kprobe: no"},
	}
	var b strings.Builder
	if err := Write(&b, []string{"host", "5.10", "6.1", "7.2"}, results); err != nil {
		t.Fatal(err)
	}
	want := `  place  passed  failed  skipped
   host       1       0        1
   5.10       2       0        1
    6.1       0       3        1
    7.2       0       0        0

skipped, by reason:
     2  kernel lacks kprobe: no (host 1, 6.1 1)
     1  kernel lacks bpf_lsm: not active (5.10 1)

failed:
  6.1  p TestC
  6.1  (no package): no end after 10m0s
  6.1  q: does not build

3 passed, 3 failed, 3 skipped
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTotalAny(t *testing.T) {
	if Count(nil).Any() {
		t.Error("nothing counts as something")
	}
	if !Count([]Result{{Outcome: Skipped}}).Any() {
		t.Error("a skip counts as nothing")
	}
}
