package proc

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/stream"
)

var update = flag.Bool("update", false, "write the goldens again")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// sink shows all kinds of rows as text with these columns, or as JSON with all default fields.
func sink(to *bytes.Buffer, cols []prog.Column, exact bool) print.Sink {
	var sinks []print.Typed
	for i, typ := range []*prog.RowType{ExitType, ExecType, ForkType} {
		s := print.NewJSON(to, typ, nil)
		if cols != nil {
			s = print.NewColumns(to, typ, cols, print.ColumnOptions{NoHeading: i > 0, Exact: exact, Location: time.UTC})
		}
		sinks = append(sinks, print.Typed{Type: typ, Sink: s})
	}
	return print.NewMixed(sinks...)
}

func run(t *testing.T, show Show, records []prog.Record) *Tracer {
	t.Helper()
	show.PageSize = 4096
	tr := NewTracer(show)
	for _, r := range records {
		if err := tr.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Finish(); err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestShown(t *testing.T) {
	full := append(append([]prog.Column(nil), RowType.Columns[:7]...), UsageColumns...)
	full = append(full, RowType.Columns[7])
	for _, c := range []struct {
		name string
		cols []prog.Column
		show Show
	}{
		{"json", nil, Show{Execs: true, Forks: true, Argv: true}},
		{"text", RowType.Columns, Show{Execs: true}},
		{"text-args", full, Show{Execs: true, Forks: true, Args: true, Argv: true}},
		{"text-failures", RowType.Columns, Show{Failures: true, MinAge: 5 * ms}},
		{"classic", ClassicColumns, Show{Execs: true, Classic: true}},
		{"classic-min", ClassicColumns, Show{Classic: true, MinAge: 1000 * ms}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			c.show.Sink = sink(&out, c.cols, c.show.Classic)
			tr := run(t, c.show, family)
			if notes := tr.Notes(); len(notes) > 0 {
				t.Errorf("notes %q", notes)
			}
			golden(t, c.name, out.Bytes())
		})
	}
}

// What two CPUs tell comes in the order in which it happened.
func TestOrder(t *testing.T) {
	var out bytes.Buffer
	var mixed []prog.Record
	for i := len(family) - 1; i >= 0; i-- {
		mixed = append(mixed, family[i])
	}
	run(t, Show{Sink: sink(&out, RowType.Columns, false), Execs: true}, mixed)
	golden(t, "text", out.Bytes())
}

func TestCount(t *testing.T) {
	var out bytes.Buffer
	tr := NewTracer(Show{Sink: sink(&out, RowType.Columns, false), Execs: true, Count: 2})
	for _, r := range family {
		if err := tr.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Finish(); !errors.Is(err, stream.ErrStop) || tr.Events() != 2 || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("%v after %d events:\n%s", err, tr.Events(), out.String())
	}
}

func TestBadRecords(t *testing.T) {
	var out bytes.Buffer
	tr := run(t, Show{Sink: sink(&out, RowType.Columns, false), Execs: true, Forks: true}, []prog.Record{
		{Type: recordExit, Body: make([]byte, exitSize-1)}, {Type: recordFork}, {Type: recordExec, Body: []byte("short")}, {Type: 99},
		{Type: recordTreeEnded},
	})
	if notes := strings.Join(tr.Notes(), "; "); !strings.Contains(notes, "2 records could not be read") || !strings.Contains(notes, "1 records could not be read") {
		t.Errorf("notes %q", notes)
	}
	if !tr.TreeEnded() || tr.Events() != 0 || tr.Holds() {
		t.Errorf("tree ended %v, %d events, holds %v", tr.TreeEnded(), tr.Events(), tr.Holds())
	}
}
