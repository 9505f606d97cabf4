package traced

import (
	"strings"
	"testing"
	"time"
)

func TestMarkNumber(t *testing.T) {
	for _, test := range []struct {
		line string
		want int
		ok   bool
	}{
		{"true 10 1 0 /bin/true tag-7 a00000", 7, true},
		{"true 10 1 0 \"/bin/true\" \"tag-42\"", 42, true},
		{"sh -c ... sh 5000 tag 200", 0, false},
		{"sh tag 200 then tag-3", 3, true},
		{"tag-", 0, false},
		{"tag", 0, false},
		{"tag-x", 0, false},
		{"tag-99999999999999999999", 0, false},
		{"other-7", 0, false},
		{"", 0, false},
	} {
		if got, ok := markNumber([]byte(test.line), "tag"); got != test.want || ok != test.ok {
			t.Errorf("%q: got %d, %v; want %d, %v", test.line, got, ok, test.want, test.ok)
		}
	}
	if _, ok := markNumber([]byte("-7"), ""); ok {
		t.Error("no tag, but a mark")
	}
}

func TestWatchCounts(t *testing.T) {
	const output = "HEAD\nx tag-0 a\nx tag-1 a\nLost 5 events on CPU #1!\nx tag-1 a\nls lost 9\nold-2\nx tag-2"
	// However the output is cut into pieces, the count is the same; a line counts once its newline is there.
	for size := 1; size <= len(output); size++ {
		var w watch
		first := w.expect("tag")
		at := time.Unix(0, 0)
		for rest := output; rest != ""; {
			n := min(size, len(rest))
			at = at.Add(1)
			w.write([]byte(rest[:n]), at)
			rest = rest[n:]
		}
		got := w.count()
		if got.Distinct != 2 || got.Repeated != 1 {
			t.Fatalf("pieces of %d: %+v, want 2 distinct and 1 repeated", size, got)
		}
		select {
		case <-first:
		default:
			t.Fatalf("pieces of %d: the first record was not told", size)
		}
		if got.First.IsZero() || got.Last.Before(got.First) {
			t.Fatalf("pieces of %d: first %v, last %v", size, got.First, got.Last)
		}
		if r := w.lossRemarks(); r != "Lost 5 events on CPU #1!" {
			t.Fatalf("pieces of %d: remarks %q", size, r)
		}
		w.write([]byte("\n"), at)
		if got := w.count(); got.Distinct != 3 {
			t.Fatalf("pieces of %d: %+v after the last newline", size, got)
		}
	}
}

func TestWatchStartsAfresh(t *testing.T) {
	var w watch
	w.write([]byte("one-1\n"), time.Now()) // before anything is expected
	w.expect("one")
	w.write([]byte("one-1\none-2\n"), time.Now())
	w.expect("two")
	w.write([]byte("one-3\ntwo-1\n"), time.Now())
	if got := w.count(); got.Distinct != 1 || got.Repeated != 0 {
		t.Errorf("got %+v, want the one record of the second tag", got)
	}
}

func TestWatchBoundsItself(t *testing.T) {
	var w watch
	w.expect("tag")
	long := strings.Repeat("x", maxLine)
	for range 3 {
		w.write([]byte(long), time.Now())
	}
	if len(w.partial) > maxLine {
		t.Errorf("a line without an end keeps %d bytes, want at most %d", len(w.partial), maxLine)
	}
	w.write([]byte("\n"), time.Now())
	for range 3 * maxOther / 1024 {
		w.write([]byte("lost "+strings.Repeat("y", 1019)+"\n"), time.Now())
	}
	if n := len(w.lossRemarks()); n > 2*maxOther {
		t.Errorf("remarks keep %d bytes", n)
	}
}
