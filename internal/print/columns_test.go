package print

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/prog"
)

func TestColumnsGolden(t *testing.T) {
	bcc := []prog.Column{
		{Head: "TIME(s)", Field: "time", Width: 7, Time: prog.TimeRelative},
		{Head: "PCOMM", Field: "comm", Width: 16},
		{Head: "PID", Field: "pid", Width: 7},
		{Head: "PPID", Field: "ppid", Width: 7},
		{Head: "RET", Field: "ret", Width: 3, Right: true},
		{Head: "ARGS", Field: "argv", MaxWords: 2},
	}
	clocks := []prog.Column{
		{Head: "TIME", Field: "time", Width: 8},
		{Head: "FULL", Field: "time", Width: 35, Time: prog.TimeFull},
		{Head: "ERR", Field: "errno", Width: 12},
		{Head: "ERRNO", Field: "errno", Width: 5, Right: true, RawErr: true},
		{Head: "INO", Field: "ino", Width: 20, Right: true},
		{Head: "CUT", Field: "argv_truncated", Width: 5},
		{Head: "FLAGS", Field: "flags", Width: 12},
		{Head: "NONE", Field: "nosuch", Width: 4},
		{Head: "ARGS", Field: "argv", Quote: true},
	}
	zone := time.FixedZone("", 2*3600)
	for _, c := range []struct {
		name string
		cols []prog.Column
		opt  ColumnOptions
	}{
		{"pipe", sample.Columns, ColumnOptions{}},
		{"terminal-120", sample.Columns, ColumnOptions{Width: 120}},
		{"terminal-60", sample.Columns, ColumnOptions{Width: 60}},
		{"terminal-10", sample.Columns, ColumnOptions{Width: 10}},
		{"colour", sample.Columns, ColumnOptions{Width: 120, Colour: true}},
		{"exact", bcc, ColumnOptions{Exact: true, Start: sampleStart, Width: 20, Colour: true}},
		{"clocks", clocks, ColumnOptions{Location: zone}},
		{"no-heading", sample.Columns[:2], ColumnOptions{NoHeading: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := show(t, func(w *bytes.Buffer) Sink { return NewColumns(w, sample, c.cols, c.opt) }, sampleRows()...)
			golden(t, "columns-"+c.name, got)
			heading := 1
			if c.opt.NoHeading {
				heading = 0
			}
			if n := bytes.Count(got, []byte("\n")); n != len(sampleRows())+heading {
				t.Errorf("%d rows and %d heading made %d lines", len(sampleRows()), heading, n)
			}
		})
	}
}

// TestExactIsPrintf pins the promise of Exact against the format string of the classic.
func TestExactIsPrintf(t *testing.T) {
	cols := []prog.Column{{Field: "comm", Width: 16}, {Field: "pid", Width: 7}, {Field: "ret", Width: 3, Right: true}, {Field: "argv"}}
	for _, c := range []struct {
		comm     string
		pid, ret int64
		args     []string
		want     string
	}{
		{"sh", 1, 0, []string{"a", "b"}, "sh               1         0 a b"},
		{"sixteen-bytes-no", 12345678, -40960, []string{"a"}, "sixteen-bytes-no 12345678 -40960 a"},
		{"more-than-sixteen", 1, 0, nil, "more-than-sixteen 1         0 "},
		{"né", 1, -2, []string{"", ""}, "né              1        -2  "}, // three bytes, as in C
		{"", 1, -2, []string{"x\ny"}, `                 1        -2 x\ny`},
	} {
		row := execRow(num(0), num(c.pid), num(0), text(c.comm), words(c.args...), num(0), num(c.ret))
		got := show(t, func(w *bytes.Buffer) Sink {
			return NewColumns(w, sample, cols, ColumnOptions{Exact: true, NoHeading: true})
		}, row)
		if diff := cmp.Diff(c.want+"\n", string(got)); diff != "" {
			t.Errorf("%q:\n%s", c.comm, diff)
		}
	}
}

func TestWords(t *testing.T) {
	long := make([]string, 25)
	for i := range long {
		long[i] = "w"
	}
	for _, c := range []struct {
		name  string
		col   prog.Column
		exact bool
		cut   bool
		words []string
		want  string
	}{
		{"plain", prog.Column{}, false, false, []string{"a", "b c"}, "a b c"},
		{"empty word", prog.Column{}, false, false, []string{"a", "", "b"}, `a "" b`},
		{"only an empty word", prog.Column{}, false, false, []string{""}, `""`},
		{"empty word, exact", prog.Column{}, true, false, []string{"a", "", "b"}, "a  b"},
		{"quoted", prog.Column{Quote: true}, true, false, []string{`a"b`, `c\d`, "", "e f", "\n"}, `"a\"b" "c\\d" "" "e f" "\n"`},
		{"backslash outside quotes", prog.Column{}, false, false, []string{`\d+"`}, `\d+"`},
		{"limit reached exactly", prog.Column{MaxWords: 2}, false, false, []string{"a", "b"}, "a b"},
		{"over the limit", prog.Column{MaxWords: 2}, false, false, []string{"a", "b", "c"}, "a b ..."},
		{"20 of 25", prog.Column{MaxWords: 20}, true, false, long, strings.Repeat("w ", 20) + "..."},
		{"cut before", prog.Column{Mark: "argv_truncated"}, false, true, []string{"a"}, "a ..."},
		{"not cut", prog.Column{Mark: "argv_truncated"}, false, false, []string{"a"}, "a"},
		{"both marks are one", prog.Column{Mark: "argv_truncated", MaxWords: 1}, false, true, []string{"a", "b"}, "a ..."},
		{"marks stand outside quotes", prog.Column{Quote: true, MaxWords: 1}, false, false, []string{"a", "b"}, `"a" ...`},
		{"a mark the type lacks", prog.Column{Mark: "nosuch"}, false, true, []string{"a"}, "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.col.Field = "argv"
			mark := num(0)
			if c.cut {
				mark = num(1)
			}
			got := show(t, func(w *bytes.Buffer) Sink {
				return NewColumns(w, sample, []prog.Column{c.col}, ColumnOptions{Exact: c.exact, NoHeading: true})
			}, execRow(num(0), num(0), num(0), text(""), words(c.words...), mark))
			if diff := cmp.Diff(c.want+"\n", string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	typ := &prog.RowType{Fields: []prog.Field{{Key: "i"}, {Key: "u", Kind: prog.Uint}, {Key: "d", Kind: prog.Duration},
		{Key: "t", Kind: prog.Time}, {Key: "e", Kind: prog.Errno}}}
	day := time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	for _, c := range []struct {
		col  prog.Column
		n    int64
		want string
	}{
		{prog.Column{Field: "i"}, -9223372036854775808, "-9223372036854775808"},
		{prog.Column{Field: "i", Divide: 1000}, -1999, "-1"},
		{prog.Column{Field: "i", Divide: -3}, 6, "6"},
		{prog.Column{Field: "u"}, -1, "18446744073709551615"},
		{prog.Column{Field: "u", Divide: 10}, -1, "1844674407370955161"},
		{prog.Column{Field: "d", Divide: 1000}, 412_999, "412"},
		{prog.Column{Field: "t"}, day.UnixNano(), "23:59:59"},
		{prog.Column{Field: "t", Time: prog.TimeFull}, day.UnixNano(), "1969-12-31T23:59:59.999999999Z"},
		{prog.Column{Field: "t", Time: prog.TimeRelative}, day.UnixNano() + 12_345_600_000, "12.346"},
		{prog.Column{Field: "t", Time: prog.TimeRelative}, day.UnixNano() - 1_500_000, "-0.002"},
		{prog.Column{Field: "e"}, 0, ""},
		{prog.Column{Field: "e", RawErr: true}, 0, "0"},
		{prog.Column{Field: "e", RawErr: true}, 2, "2"},
		{prog.Column{Field: "e"}, 11, "EAGAIN"},
		{prog.Column{Field: "e"}, 516, "ERESTART_RESTARTBLOCK"},
		{prog.Column{Field: "e"}, 600, "E600"},
		{prog.Column{Field: "e"}, -7, "E-7"},
		{prog.Column{Field: "e"}, 1<<32 + 2, "E4294967298"},
	} {
		row := &prog.Row{Type: typ, Values: make([]prog.Value, 5)}
		row.Values[typ.Index(c.col.Field)].Num = c.n
		got := show(t, func(w *bytes.Buffer) Sink {
			return NewColumns(w, typ, []prog.Column{c.col}, ColumnOptions{NoHeading: true, Start: day, Location: time.UTC})
		}, row)
		if diff := cmp.Diff(c.want+"\n", string(got)); diff != "" {
			t.Errorf("%+v of %d:\n%s", c.col, c.n, diff)
		}
	}
}

// TestRelativeFromFirst: without a Start the run starts with its first row.
func TestRelativeFromFirst(t *testing.T) {
	cols := []prog.Column{{Field: "time", Time: prog.TimeRelative}}
	got := show(t, func(w *bytes.Buffer) Sink {
		return NewColumns(w, sample, cols, ColumnOptions{NoHeading: true})
	}, execRow(at(0)), execRow(at(250*time.Millisecond)))
	if string(got) != "0.000\n0.250\n" {
		t.Errorf("got %q", got)
	}
}

// TestFitKeepsTheLast: whatever the width, the last column is whole, and what was cut elsewhere is marked.
func TestFitKeepsTheLast(t *testing.T) {
	args := strings.Repeat("long ", 50) + "end"
	row := execRow(num(0), num(1), num(1), text("a-name-wider-than-its-column"), words(strings.Fields(args)...), num(0), num(0), num(0), num(0))
	for width := 1; width < 200; width++ {
		out := string(show(t, func(w *bytes.Buffer) Sink {
			return NewColumns(w, sample, sample.Columns, ColumnOptions{Width: width})
		}, row))
		if !strings.HasSuffix(out, " "+args+"\n") || strings.Count(out, "\n") != 2 {
			t.Fatalf("width %d: %q", width, out)
		}
		if !strings.Contains(out, "a-name-wider-than-its-column") && !strings.Contains(out, "…") {
			t.Fatalf("width %d: cut without a mark: %q", width, out)
		}
	}
}

func TestColumnsSummaryWritesNothing(t *testing.T) {
	var out bytes.Buffer
	s := NewColumns(&out, sample, sample.Columns, ColumnOptions{NoHeading: true})
	if err := s.Summary(&prog.Summary{Events: 3}); err != nil || out.Len() != 0 {
		t.Errorf("%v, %q", err, out.String())
	}
}

func TestRowOfAnotherType(t *testing.T) {
	other := &prog.Row{Type: &prog.RowType{Name: "open"}}
	for _, s := range []Sink{NewColumns(&bytes.Buffer{}, sample, sample.Columns, ColumnOptions{}), NewJSON(&bytes.Buffer{}, sample, nil)} {
		if err := s.Row(other); err == nil || err.Error() != `a row of type "open" came to the sink of type "exec"` {
			t.Errorf("%T: %v", s, err)
		}
	}
}
