package print

import (
	"bytes"
	"strings"
	"testing"

	"sonde/internal/prog"
)

func TestMixed(t *testing.T) {
	one := &prog.RowType{Name: "one", Fields: []prog.Field{{Key: "a", Kind: prog.Uint}, {Key: "both", Kind: prog.Text}}}
	two := &prog.RowType{Name: "two", Fields: []prog.Field{{Key: "both", Kind: prog.Text}}}
	cols := []prog.Column{{Head: "A", Field: "a", Width: 3}, {Head: "BOTH", Field: "both"}}
	rows := []*prog.Row{
		{Type: two, Values: []prog.Value{{Bytes: []byte("x")}}},
		{Type: one, Values: []prog.Value{{Num: 7}, {Bytes: []byte("y")}}},
	}
	for _, c := range []struct {
		name string
		sink func(w *bytes.Buffer, typ *prog.RowType, first bool) Sink
		want string
	}{
		{"text", func(w *bytes.Buffer, typ *prog.RowType, first bool) Sink {
			return NewColumns(w, typ, cols, ColumnOptions{NoHeading: !first})
		}, "A   BOTH\n-   x\n7   y\n"},
		{"json", func(w *bytes.Buffer, typ *prog.RowType, _ bool) Sink { return NewJSON(w, typ, nil) },
			`{"type":"two","both":"x"}` + "\n" + `{"type":"one","a":7,"both":"y"}` + "\n" + `{"type":"summary","events":2,`},
	} {
		var w bytes.Buffer
		m := NewMixed(Typed{one, c.sink(&w, one, true)}, Typed{two, c.sink(&w, two, false)})
		for _, r := range rows {
			if err := m.Row(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := m.Summary(&prog.Summary{Events: 2}); err != nil {
			t.Fatal(err)
		}
		if got := w.String(); !strings.HasPrefix(got, c.want) || c.name == "text" && got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		for _, typ := range []*prog.RowType{nil, {Name: "three"}} {
			if err := m.Row(&prog.Row{Type: typ}); err == nil {
				t.Errorf("%s: a row of another type is taken", c.name)
			}
		}
	}
}

func TestDecimals(t *testing.T) {
	typ := &prog.RowType{Name: "n", Fields: []prog.Field{{Key: "n", Kind: prog.Duration}}}
	for _, c := range []struct {
		n        int64
		divide   int64
		decimals int
		want     string
	}{
		{0, 1e6, 3, "0.000"},
		{999, 1e6, 3, "0.000"},
		{1_999_999, 1e6, 3, "1.999"},
		{12_345_678_901, 1e6, 3, "12345.678"},
		{-5_000_000, 1e6, 3, "-5"}, // none of what has decimals is less than nothing
		{1536, 1024, 1, "1.5"},
		{1536, 1024, 0, "1"},
		{7, 0, 3, "7"},
		{1<<63 - 1, 1e6, 2, "9223372036854.77"},
	} {
		var w bytes.Buffer
		s := NewColumns(&w, typ, []prog.Column{{Head: "N", Field: "n", Divide: c.divide, Decimals: c.decimals}}, ColumnOptions{NoHeading: true})
		if err := s.Row(&prog.Row{Type: typ, Values: []prog.Value{{Num: c.n}}}); err != nil || w.String() != c.want+"\n" {
			t.Errorf("%d by %d with %d decimals: %q (%v), want %q", c.n, c.divide, c.decimals, w.String(), err, c.want)
		}
	}
}
