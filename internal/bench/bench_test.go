package bench

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/bench/report"
)

// A figure whose key has no row would never be shown.
func TestRowsAreDistinctAndComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range Table(Full(1)).Rows {
		if seen[row.ID] || row.Title == "" {
			t.Errorf("row %q: its key is taken or it has no title", row.ID)
		}
		seen[row.ID] = true
	}
	for _, s := range storms {
		for _, figure := range []string{".printed", ".lost", ".cpu", ".rss"} {
			if !seen[s.key+figure] {
				t.Errorf("no row for %s", s.key+figure)
			}
		}
	}
	for _, row := range GuestTable().Rows {
		if row.Target != (report.Target{}) {
			t.Errorf("row %q has a target in a guest", row.ID)
		}
	}
}

func TestPick(t *testing.T) {
	keys := func(tools []Tool) []string {
		var list []string
		for _, tool := range tools {
			list = append(list, tool.Key)
		}
		return list
	}
	all := keys(Tools("sonde"))
	for _, test := range []struct {
		there Where
		keys  []string
		want  []string
	}{
		{Here, all, []string{"sonde", "libbpf", "bpftrace"}},
		{Guest, all, []string{"sonde", "libbpf", "bpfcc"}},
		{Here, []string{"bpfcc"}, nil},
		{Guest, []string{"bpfcc", "bpftrace"}, []string{"bpfcc"}},
	} {
		if diff := cmp.Diff(test.want, keys(Pick(Tools("sonde"), test.there, test.keys))); diff != "" {
			t.Errorf("%v of %v: %s", test.there, test.keys, diff)
		}
	}
}

func TestPeersComeFromTheirRoot(t *testing.T) {
	for _, tool := range Tools("/build/sonde") {
		command := tool.command("/root-of-peers")
		if own := tool.Key == judged; own != (command.Root == "") {
			t.Errorf("%s runs in root %q", tool.Key, command.Root)
		}
	}
}

func TestReadGuest(t *testing.T) {
	for _, test := range []struct {
		name, in, shown string
		want            *report.Results
	}{
		{"with progress before it", "round 1\n\n" + resultMark + `{"machine":"m"}` + "\n", "round 1\n", &report.Results{Machine: "m"}},
		{"none", "round 1\nbenchall: no\n", "round 1\nbenchall: no\n", nil},
		{"broken", "\n" + resultMark + "{\n", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readGuest([]byte(test.in))
			if (err == nil) != (test.want != nil) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			var shown bytes.Buffer
			p := &progress{to: &shown}
			if n, err := io.WriteString(p, test.in); n != len(test.in) || err != nil {
				t.Fatal(n, err)
			}
			if diff := cmp.Diff(test.shown, shown.String()); diff != "" {
				t.Errorf("shown: %s", diff)
			}
		})
	}
}

func TestEachTakesTurnsAndGoesOn(t *testing.T) {
	b := &Bench{Tools: Tools("sonde")[:2], Log: io.Discard, Results: &report.Results{}}
	var order []string
	b.each(context.Background(), "what", 2, func(tool Tool) error {
		order = append(order, tool.Key)
		if tool.Key == reference && len(order) == 2 {
			return errors.New("once")
		}
		return nil
	})
	if want := []string{"sonde", "libbpf", "sonde", "libbpf"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if len(b.Results.Failures) != 1 || !strings.Contains(b.Results.Failures[0], "once") {
		t.Errorf("failures %q", b.Results.Failures)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b.each(ctx, "what", 2, func(Tool) error { t.Error("ran although it was stopped"); return nil })
}
