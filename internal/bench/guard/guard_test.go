package guard

import (
	"os"
	"strings"
	"testing"

	"sonde/internal/bench/workload"
)

// A figure whose key has no row would never be shown.
func TestRows(t *testing.T) {
	seen, err := Table().IDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		if !seen["open."+k.key] {
			t.Errorf("no row for %s", k.key)
		}
	}
	for _, id := range []string{"constant", "armed." + nobody.key, "armed." + many.key} {
		if !seen[id] {
			t.Errorf("no row %s", id)
		}
	}
}

func TestLayout(t *testing.T) {
	l := layout{t.TempDir()}
	if err := l.make(100); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{l.guarded(0), l.guarded(99), workload.FilePath(l.plain(), 7), workload.FilePath(l.deep(), 7)} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	below, ok := strings.CutPrefix(l.deep(), l.tree())
	if n := strings.Count(below, "/"); !ok || n != depth {
		t.Errorf("%s is %d directories below %s, want %d", l.deep(), n, l.tree(), depth)
	}
}

func TestRules(t *testing.T) {
	l := layout{"/x"}
	want := "rules:\n  - {action: deny, access: write, files: [{file: /x/guarded/00000}]}\n"
	if got := l.text(few); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := l.text(kinds[len(kinds)-1]); !strings.Contains(got, "{tree: /x/tree}") {
		t.Errorf("no tree in %q", got)
	}
	if got := strings.Count(l.text(many), "\n"); got != 1+10_000 {
		t.Errorf("%d lines", got)
	}
	for _, others := range []bool{false, true} {
		argv := strings.Join((&bench{sonde: "/sonde", files: l}).command("lsm", others).Argv, " ")
		if !strings.HasPrefix(argv, "/sonde guard --mechanism lsm -f /x/rules.yaml") || strings.Contains(argv, " -p ") != others {
			t.Errorf("about others %v: %s", others, argv)
		}
	}
}

func TestUse(t *testing.T) {
	l := layout{t.TempDir()}
	for _, k := range kinds {
		if err := l.use(k); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(l.inUse()); string(got) != l.text(k) || err != nil {
			t.Errorf("%s: %d bytes (%v)", k.title, len(got), err)
		}
	}
}

func TestInGuestRefuses(t *testing.T) {
	for _, rounds := range []string{"", "0", "x"} {
		if err := InGuest(t.Context(), rounds, nil, nil); err == nil {
			t.Errorf("%q rounds are no error", rounds)
		}
	}
}
