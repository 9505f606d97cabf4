package script

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/bench/peers"
	"sonde/internal/bench/process"
	"sonde/internal/bench/reference"
	"sonde/internal/bench/report"
	"sonde/internal/bench/workload"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == workload.Role {
		os.Exit(workload.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestCounted(t *testing.T) {
	for _, test := range []struct {
		name, output string
		want         int
	}{
		{"nothing", "", 0},
		{"a count", "Attached 1 probe\n\n\n@: 300000\n", 300000},
		{"keys", "@[exe]: 12\n@[a: 7]: 3\n@[x]: y]: 5\n", 20},
		{"values below zero are no counts", "@: -5\n", 0},
		{"another map", "@start[123]: 4567\n@: 2\n", 2},
		{"a histogram", "@: \n[0]                    3 |@@                  |\n[128, 256)          2994 |@@@@@@@@@@@@@@@@@@@@@|\n[1K, 2K)               3 |                     |\n", 3000},
		{"text of the script", "[hello] 5 |\nx [1, 2) 7 |\n", 5},
		{"no int", "@: 99999999999999999999999999\n", 0},
	} {
		if got := counted(strings.NewReader(test.output)); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}

// A figure whose key has no row would never be shown.
func TestRows(t *testing.T) {
	seen, err := Table().IDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range costs {
		if !seen["cost."+s.key] {
			t.Errorf("no row for the script %s", s.key)
		}
	}
	for _, key := range counting {
		if !slices.ContainsFunc(costs, func(s script) bool { return s.key == key }) {
			t.Errorf("no script %s", key)
		}
	}
}

// On a machine whose kernel others use too, no script may show what other processes do.
func TestScriptsWatchOneProcess(t *testing.T) {
	for _, s := range append(costs, opens, everyEntry, byDescriptor) {
		first, _, _ := strings.Cut(s.text, "{")
		if !strings.Contains(first, "/pid == $1") {
			t.Errorf("%s: %s", s.key, s.text)
		}
	}
}

func TestAssignments(t *testing.T) {
	lines := strings.Split(assignments(3), "\n")
	want := "\t@[\"" + strings.Repeat("0", 62) + "2\"] = 2;"
	if len(lines) != 7 || lines[3] != want {
		t.Errorf("got %q", lines)
	}
}

func TestTools(t *testing.T) {
	b := &Bench{
		Roots: map[string]peers.Root{"sid": {Dir: "/roots/sid"}, "bookworm": {Dir: "/roots/bookworm"}},
		dir:   "/tmp/x", reference: reference.Reference{Loader: "/tmp/x/loader", Dir: "/tmp/x"},
	}
	want := map[string]process.Command{
		judged:            {Argv: []string{"/build/sonde", "run", "-e", byPID.text, "7"}},
		newest:            {Root: "/roots/sid", Argv: []string{"/usr/bin/bpftrace", "-e", byPID.text, "7"}},
		"bpftrace-stable": {Root: "/roots/bookworm", Argv: []string{"/usr/bin/bpftrace", "-e", byPID.text, "7"}},
		inC:               {Argv: []string{"/tmp/x/loader", "/tmp/x/pid.o", "7"}},
	}
	for _, tool := range Tools("/build/sonde") {
		got := b.command(tool, byPID, 7)
		if diff := cmp.Diff(want[tool.Key], got); diff != "" {
			t.Errorf("%s: %s", tool.Key, diff)
		}
		here, there := b.temporary(tool, "f")
		if here != got.Root+there {
			t.Errorf("%s finds %s under %s", tool.Key, here, there)
		}
		if tool.can(everyEntry) == tool.Reference {
			t.Errorf("%s can run a script without a program in C: %v", tool.Key, !tool.Reference)
		}
	}
}

func TestEachTakesTurnsAndGoesOn(t *testing.T) {
	b := &Bench{Tools: Tools("sonde")[:2], Log: io.Discard, Results: &report.Results{}, slow: map[string]bool{"what" + newest: true}}
	var order []string
	run := func(tool Tool) error {
		order = append(order, tool.Key)
		return errors.New("once")
	}
	b.rounds(context.Background(), "what", 2, func() {
		b.each(context.Background(), "other", byPID, run)
		b.each(context.Background(), "what", byPID, run)
	})
	if want := []string{judged, newest, judged, judged, newest, judged}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if len(b.Results.Failures) != len(order) {
		t.Errorf("failures %q", b.Results.Failures)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b.rounds(ctx, "what", 2, func() { t.Error("ran although it was stopped") })
}
