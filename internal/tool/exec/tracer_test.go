package exec

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/prog"
	"sonde/internal/stream"
)

// fakeSink writes down what it is shown.
type fakeSink struct {
	lines []string
	rows  int
	err   error
}

func (s *fakeSink) Row(r *prog.Row) error {
	if s.err != nil {
		return s.err
	}
	s.rows++
	var line []string
	for _, w := range r.Values[fArgv].List {
		if w == nil {
			line = append(line, "<null>")
		} else {
			line = append(line, string(w))
		}
	}
	if r.Values[fArgvTruncated].Num != 0 {
		line = append(line, "...")
	}
	s.lines = append(s.lines, strings.Join(line, " "))
	return nil
}

func (s *fakeSink) Flush() error                { return nil }
func (s *fakeSink) Summary(*prog.Summary) error { return nil }

// step is a record, or the release of what began up to a time.
type step struct {
	cpu     uint16
	seq     uint64
	time    uint64
	exec    *made
	args    *chunk
	other   uint16 // the type of a record that is neither
	body    []byte
	release uint64
}

func (s step) record() prog.Record {
	r := prog.Record{CPU: s.cpu, Seq: s.seq, Time: s.time, Type: s.other, Body: s.body}
	switch {
	case s.exec != nil:
		r.Type, r.Body = recordExec, s.exec.body()
	case s.args != nil:
		r.Type, r.Body = recordArgs, s.args.body()
	}
	return r
}

// feed puts steps through a Tracer to its end. A record's body is overwritten when Record returns, as the ring is.
func feed(t *Tracer, steps []step) error {
	for _, s := range steps {
		var err error
		if s.release > 0 {
			err = t.Release(s.release)
		} else {
			r := s.record()
			r.Body = append([]byte(nil), r.Body...)
			err = t.Record(r)
			for i := range r.Body {
				r.Body[i] = 0xaa
			}
		}
		if err != nil {
			return err
		}
	}
	return t.Finish()
}

func whole(argv ...string) *made { return &made{args: words(argv...)} }

func begun(argv string) *made { return &made{flags: flagMore, args: argv} }

func TestTracer(t *testing.T) {
	for _, c := range []struct {
		name  string
		show  Show
		steps []step
		want  []string
		notes int
		err   error
	}{
		{name: "nothing"},
		{
			name:  "in the order in which they began",
			steps: []step{{cpu: 1, time: 30, exec: whole("c")}, {cpu: 0, time: 10, exec: whole("a")}, {cpu: 1, time: 20, exec: whole("b")}},
			want:  []string{"a", "b", "c"},
		},
		{
			name: "only what the watermark allows",
			steps: []step{
				{time: 10, exec: whole("a")}, {time: 30, exec: whole("c")}, {release: 15}, {time: 20, exec: whole("b")}, {release: 40},
			},
			want: []string{"a", "b", "c"},
		},
		{
			name:  "too late for the order: shown at once, and told",
			steps: []step{{time: 30, exec: whole("b")}, {release: 40}, {time: 10, exec: whole("a")}},
			want:  []string{"b", "a"}, notes: 1,
		},
		{
			name: "arguments in parts, interleaved with those of another CPU",
			steps: []step{
				{cpu: 0, seq: 1, time: 10, exec: begun("a\x00a1\x00")},
				{cpu: 3, seq: 1, time: 11, exec: begun("b\x00b1")},
				{cpu: 0, seq: 2, args: &chunk{seq: 1, data: "a2\x00a"}},
				{cpu: 3, seq: 2, args: &chunk{seq: 1, data: "x\x00", last: true}},
				{cpu: 0, seq: 3, args: &chunk{seq: 1, data: "3\x00", last: true}},
			},
			want: []string{"a a1 a2 a3", "b b1x"},
		},
		{
			name: "the last part is missing, the next exec shows it",
			steps: []step{
				{seq: 1, time: 10, exec: begun("a\x00")}, {seq: 2, args: &chunk{seq: 1, data: "a1\x00"}},
				{seq: 4, time: 20, exec: whole("b")},
			},
			want: []string{"a a1 ...", "b"},
		},
		{
			name:  "the last part is missing, the end shows it",
			steps: []step{{seq: 1, time: 10, exec: begun("a\x00")}},
			want:  []string{"a ..."},
		},
		{
			name:  "parts of an exec whose own record was lost",
			steps: []step{{cpu: 9, args: &chunk{seq: 7, data: "x\x00", last: true}}, {time: 1, exec: whole("a")}},
			want:  []string{"a"},
		},
		{
			name: "parts of a lost exec behind an open one",
			steps: []step{
				{seq: 1, time: 10, exec: begun("a\x00")}, {seq: 4, args: &chunk{seq: 3, data: "x\x00", last: true}},
				{seq: 5, time: 20, exec: whole("b")},
			},
			want: []string{"a ...", "b"}, notes: 1,
		},
		{
			name:  "a bad record does not stop the rest",
			steps: []step{{time: 1, other: recordExec, body: []byte{1, 2, 3}}, {time: 2, exec: whole("b")}},
			want:  []string{"b"}, notes: 1,
		},
		{
			name:  "a record of a kind that is not known",
			steps: []step{{time: 1, other: 999, body: []byte{1}}, {time: 2, exec: whole("b")}},
			want:  []string{"b"},
		},
		{
			name: "by name",
			show: Show{Comm: func(comm []byte) bool { return string(comm) == "yes" }},
			steps: []step{
				{time: 1, exec: &made{comm: "yes", args: words("a")}}, {time: 2, exec: &made{comm: "no", args: words("b")}},
				{time: 3, exec: &made{comm: "yes\x00rest", args: words("c")}},
				{seq: 4, time: 4, exec: &made{comm: "no", flags: flagMore}}, {args: &chunk{seq: 4, data: words("d"), last: true}},
			},
			want: []string{"a", "c"},
		},
		{
			name: "by line, across words",
			show: Show{Line: regexp.MustCompile(`^/bin/a -x$`)},
			steps: []step{
				{time: 1, exec: &made{filename: "/bin/a\x00", args: words("a", "-x")}},
				{time: 2, exec: &made{filename: "/bin/a\x00", args: words("a", "-x", "")}},
			},
			want: []string{"a -x"},
		},
		{
			name:  "a count",
			show:  Show{Count: 2},
			steps: []step{{time: 3, exec: whole("c")}, {time: 1, exec: whole("a")}, {time: 2, exec: whole("b")}},
			want:  []string{"a", "b"}, err: stream.ErrStop,
		},
		{
			name: "a count counts what is shown",
			show: Show{Count: 1, Line: regexp.MustCompile("b")},
			steps: []step{
				{time: 1, exec: whole("a", "a")}, {time: 2, exec: whole("b", "b")}, {time: 3, exec: whole("b", "b2")},
			},
			want: []string{"b b"}, err: stream.ErrStop,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			sink := &fakeSink{}
			c.show.Sink = sink
			tr := NewTracer(c.show)
			if err := feed(tr, c.steps); !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if diff := cmp.Diff(c.want, sink.lines); diff != "" {
				t.Errorf("shown (-want +got):\n%s", diff)
			}
			if notes := tr.Notes(); len(notes) != c.notes {
				t.Errorf("notes %q, want %d", notes, c.notes)
			}
			if tr.Events() != uint64(len(c.want)) {
				t.Errorf("%d events, want %d", tr.Events(), len(c.want))
			}
			if c.err == nil && tr.Holds() {
				t.Error("something is still held after Finish")
			}
		})
	}
}

// Past its count a Tracer shows nothing, however often it is asked.
func TestTracerAfterCount(t *testing.T) {
	sink := &fakeSink{}
	tr := NewTracer(Show{Sink: sink, Count: 1})
	for i := range 3 {
		if err := tr.Record(step{time: uint64(i), exec: whole("x")}.record()); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := tr.Finish(); !errors.Is(err, stream.ErrStop) && tr.Holds() {
			t.Errorf("error %v, want stream.ErrStop", err)
		}
	}
	if sink.rows != 1 {
		t.Errorf("%d rows, want 1", sink.rows)
	}
}

func TestTracerTreeEnded(t *testing.T) {
	tr := NewTracer(Show{Sink: &fakeSink{}})
	if tr.TreeEnded() {
		t.Error("ended before it began")
	}
	if err := tr.Record(prog.Record{Type: recordTreeEnded}); err != nil || !tr.TreeEnded() {
		t.Errorf("error %v, ended %v; want nil and true", err, tr.TreeEnded())
	}
}

func TestTracerSinkFails(t *testing.T) {
	broken := errors.New("disk full")
	tr := NewTracer(Show{Sink: &fakeSink{err: broken}})
	if err := tr.Record(step{time: 1, exec: whole("x")}.record()); err != nil {
		t.Fatal(err)
	}
	if err := tr.Release(2); !errors.Is(err, broken) || tr.Events() != 0 {
		t.Errorf("error %v and %d events, want the sink's and 0", err, tr.Events())
	}
}

type fakeCgroups struct{ asked []string }

func (c *fakeCgroups) Of(pid uint32, id, cssSet uint64) (path, container []byte) {
	c.asked = append(c.asked, fmt.Sprint(pid, " ", id, " ", cssSet))
	return []byte("/a"), nil
}

// Cgroups are asked for when the record comes, not when it is shown: by then the process may be gone.
func TestTracerAsksCgroupsAtOnce(t *testing.T) {
	var c fakeCgroups
	tr := NewTracer(Show{Sink: &fakeSink{}, Cgroups: &c})
	if err := tr.Record(step{time: 1, exec: &made{pid: 7, cgroup: 8}}.record()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"7 8 0"}, c.asked); diff != "" {
		t.Error("asked (-want +got):\n", diff)
	}
}

// More execs than the reorder window holds are shown early, in order as far as can be, and counted.
func TestTracerBounds(t *testing.T) {
	sink := &fakeSink{}
	tr := NewTracer(Show{Sink: sink})
	for i := range orderItems + 10 {
		if err := tr.Record(step{time: uint64(i + 1), exec: whole(fmt.Sprint(i))}.record()); err != nil {
			t.Fatal(err)
		}
	}
	if sink.rows != 10 {
		t.Errorf("%d shown before any watermark, want 10", sink.rows)
	}
	if notes := tr.Notes(); len(notes) != 1 || !strings.HasPrefix(notes[0], "10 shown early") {
		t.Errorf("notes %q, want that 10 were shown early", notes)
	}
	if err := tr.Finish(); err != nil {
		t.Fatal(err)
	}
	for i, line := range sink.lines {
		if line != fmt.Sprint(i) {
			t.Fatalf("row %d is %q", i, line)
		}
	}
}
