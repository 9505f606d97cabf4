package turns

import (
	"bytes"
	"context"
	"slices"
	"testing"
)

func TestTake(t *testing.T) {
	var order []string
	ctx, cancel := context.WithCancel(t.Context())
	note := func(name string, then func()) Measure[*[]string] {
		return Measure[*[]string]{name, func(list *[]string, _ context.Context) { *list = append(*list, name); then() }}
	}
	measures := []Measure[*[]string]{note("a", func() {}), note("b", cancel), note("c", func() {})}
	if err := Take(t.Context(), &order, measures[:1]); err != nil || !slices.Equal(order, []string{"a"}) {
		t.Errorf("took %q, %v", order, err)
	}
	order = nil
	if err := Take(ctx, &order, measures); err == nil || !slices.Equal(order, []string{"a", "b"}) {
		t.Errorf("took %q, %v although it was stopped in b", order, err)
	}
	if got := Names(measures); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("names %q", got)
	}
}

func TestRounds(t *testing.T) {
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	Rounds(ctx, &log, "what", 3, func() {
		if n++; n == 2 {
			cancel()
		}
	})
	if want := "what: round 1 of 3\nwhat: round 2 of 3\n"; n != 2 || log.String() != want {
		t.Errorf("%d rounds, log %q", n, log.String())
	}
}
