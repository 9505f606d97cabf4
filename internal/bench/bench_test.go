package bench

import (
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
	seen, err := Table(Full(1)).IDs()
	if err != nil {
		t.Fatal(err)
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
