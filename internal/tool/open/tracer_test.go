package open

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/fileevent"
	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/stream"
)

// fakeSink writes down what it is shown.
type fakeSink struct {
	lines []string
	err   error
}

func (s *fakeSink) Row(r *prog.Row) error {
	if s.err == nil {
		s.lines = append(s.lines, string(r.Values[RowType.Index("path")].Bytes))
	}
	return s.err
}

func (s *fakeSink) Flush() error                { return nil }
func (s *fakeSink) Summary(*prog.Summary) error { return nil }

// opened is the record of an open.
func opened(time uint64, pid uint32, path string) prog.Record {
	e := fileevent.Event{PID: pid, TID: pid}
	return prog.Record{Type: recordOpen, Seq: time, Time: time, Body: e.AppendBody(nil, [16]byte{'c', 'a', 't'}, []byte(path))}
}

func TestTracer(t *testing.T) {
	globs := func(patterns ...string) *Globs {
		g, err := ParseGlobs(patterns)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	three := []prog.Record{opened(30, 1, "/c"), opened(10, 1, "/a"), opened(20, 2, "/a")}
	for _, c := range []struct {
		name    string
		show    Show
		records []prog.Record
		want    string
		notes   int
		err     error
	}{
		{name: "nothing"},
		{name: "as they come", records: three, want: "/c /a /a"},
		{name: "in the order in which they began", show: Show{Ordered: true}, records: three, want: "/a /a /c"},
		{name: "each once", show: Show{Unique: true, Ordered: true}, records: append(three, opened(40, 1, "/a"), opened(50, 1, "/c")), want: "/a /a /c"},
		{name: "by path", show: Show{Paths: globs("/a")}, records: three, want: "/a /a"},
		{name: "not by path", show: Show{Paths: globs("!/a")}, records: three, want: "/c"},
		{name: "by name", show: Show{Comm: func(comm []byte) bool { return string(comm) == "dog" }}, records: three},
		{name: "by its own name", show: Show{Comm: func(comm []byte) bool { return string(comm) == "cat" }}, records: three, want: "/c /a /a"},
		{name: "a count", show: Show{Count: 2, Ordered: true}, records: three, want: "/a /a", err: stream.ErrStop},
		{name: "a count counts what is shown", show: Show{Count: 1, Paths: globs("/c")}, records: three, want: "/c", err: stream.ErrStop},
		{name: "a bad record", records: []prog.Record{{Type: recordOpen, Body: []byte{1, 2}}, opened(1, 1, "/a")}, want: "/a", notes: 1},
		{name: "a record of a kind that is not known", records: []prog.Record{{Type: 99}, opened(1, 1, "/a")}, want: "/a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sink := new(fakeSink)
			c.show.Sink = sink
			tr := NewTracer(c.show)
			var err error
			for _, r := range c.records {
				// The ring's memory is another record's when Record has returned.
				r.Body = append([]byte(nil), r.Body...)
				if err = tr.Record(r); err != nil {
					break
				}
				for i := range r.Body {
					r.Body[i] = 0xaa
				}
			}
			if err == nil {
				err = tr.Finish()
			}
			if !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if diff := cmp.Diff(c.want, strings.Join(sink.lines, " ")); diff != "" {
				t.Errorf("shown (-want +got):\n%s", diff)
			}
			if notes := tr.Notes(); len(notes) != c.notes {
				t.Errorf("notes %q, want %d", notes, c.notes)
			}
			if tr.Events() != uint64(len(sink.lines)) || c.err == nil && tr.Holds() {
				t.Errorf("%d events for %d lines; holds: %v", tr.Events(), len(sink.lines), tr.Holds())
			}
		})
	}
}

func TestTracerReleases(t *testing.T) {
	sink := new(fakeSink)
	tr := NewTracer(Show{Sink: sink, Ordered: true})
	for _, r := range []prog.Record{opened(30, 1, "/c"), opened(10, 1, "/a")} {
		if err := tr.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Release(15); err != nil || strings.Join(sink.lines, " ") != "/a" || !tr.Holds() {
		t.Errorf("shown %q, error %v", sink.lines, err)
	}
	if err := tr.Record(opened(5, 1, "/late")); err != nil || len(tr.Notes()) != 1 {
		t.Errorf("error %v, notes %q", err, tr.Notes())
	}
}

func TestTracerTreeEnded(t *testing.T) {
	tr := NewTracer(Show{Sink: new(fakeSink)})
	if tr.TreeEnded() {
		t.Error("ended before it began")
	}
	if err := tr.Record(prog.Record{Type: recordTreeEnded}); err != nil || !tr.TreeEnded() {
		t.Errorf("error %v, ended %v", err, tr.TreeEnded())
	}
}

func TestTracerSinkFails(t *testing.T) {
	broken := errors.New("disk full")
	tr := NewTracer(Show{Sink: &fakeSink{err: broken}})
	if err := tr.Record(opened(1, 1, "/a")); !errors.Is(err, broken) || tr.Events() != 0 {
		t.Errorf("error %v and %d events, want the sink's and 0", err, tr.Events())
	}
}

type fakeCgroups struct{ asked []string }

func (c *fakeCgroups) Of(pid uint32, id, cssSet uint64) (path, container []byte) {
	c.asked = append(c.asked, fmt.Sprint(pid, " ", id, " ", cssSet))
	return []byte("/a"), nil
}

// Cgroups are asked for when the record comes, not when it is shown, and not for what is not shown.
func TestTracerAsksCgroupsAtOnce(t *testing.T) {
	var c fakeCgroups
	globs, err := ParseGlobs([]string{"/b"})
	if err != nil {
		t.Fatal(err)
	}
	tr := NewTracer(Show{Sink: new(fakeSink), Cgroups: &c, Ordered: true, Paths: globs})
	for _, r := range []prog.Record{opened(1, 6, "/a"), opened(2, 7, "/b")} {
		if err := tr.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"7 0 0"}, c.asked); diff != "" {
		t.Error("asked (-want +got):\n", diff)
	}
}

func TestRow(t *testing.T) {
	value := func(e *fileevent.Event, key string) prog.Value {
		return newRowMaker(0, nil).make(e).Values[RowType.Index(key)]
	}
	for _, c := range []struct {
		e    fileevent.Event
		key  string
		want string
	}{
		{fileevent.Event{Ret: 3, How: fileevent.ByOpenat}, "fd", "3"},
		{fileevent.Event{Ret: -2, How: fileevent.ByOpenat}, "fd", "-1"},
		{fileevent.Event{How: fileevent.ByExec}, "fd", "-1"},
		{fileevent.Event{Mode: 0o644}, "perm", "0644"},
		{fileevent.Event{Mode: 0, Marks: fileevent.NoMode}, "perm", "null"},
		{fileevent.Event{How: fileevent.ByIOUring}, "how", "io_uring"},
		{fileevent.Event{How: 999}, "how", ""},
		{fileevent.Event{PPID: 9}, "ppid", "9"},
		{fileevent.Event{}, "ppid", "null"},
		{fileevent.Event{Marks: fileevent.Created | fileevent.Compat}, "marks", "compat created"},
	} {
		v, got := value(&c.e, c.key), ""
		switch RowType.Fields[RowType.Index(c.key)].Kind {
		case prog.Text:
			got = string(v.Bytes)
		case prog.Symbols:
			var words []string
			for _, w := range v.List {
				words = append(words, string(w))
			}
			got = strings.Join(words, " ")
		default:
			got = fmt.Sprint(v.Num)
		}
		if v.Null {
			got = "null"
		}
		if got != c.want {
			t.Errorf("%s of %+v is %q, want %q", c.key, c.e, got, c.want)
		}
	}
	for _, c := range RowType.Columns {
		if RowType.Index(c.Field) < 0 {
			t.Errorf("column %s: no field %s", c.Head, c.Field)
		}
	}
}

// Whatever comes through the ring, the Tracer and both forms of output take it: no panic, and no more rows than records.
func FuzzTracer(f *testing.F) {
	f.Add(opened(1, 2, "/etc/passwd").Body, uint64(5), uint8(0))
	f.Add(opened(1, 2, "").Body, uint64(0), uint8(7))
	f.Add([]byte("short"), uint64(1), uint8(3))
	f.Fuzz(func(t *testing.T, body []byte, time uint64, how uint8) {
		out := print.NewOutput(io.Discard)
		sink := print.NewJSON(out, RowType, nil)
		if how&1 != 0 {
			sink = print.NewColumns(out, RowType, RowType.Columns, print.ColumnOptions{})
		}
		tr := NewTracer(Show{Sink: sink, Ordered: how&2 != 0, Unique: how&4 != 0})
		for i := range uint64(3) {
			if err := tr.Record(prog.Record{Type: recordOpen, Seq: i, Time: time - i, Body: body}); err != nil {
				t.Fatal(err)
			}
		}
		if err := tr.Finish(); err != nil || tr.Events() > 3 {
			t.Fatalf("%d events, error %v", tr.Events(), err)
		}
	})
}
