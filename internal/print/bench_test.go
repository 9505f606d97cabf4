package print

import (
	"io"
	"strings"
	"testing"
	"time"

	"sonde/internal/prog"
)

// benchRow is an exec of ten words, 70 bytes of them.
func benchRow() *prog.Row {
	return execRow(at(0), num(4711), num(4700), text("cc1"),
		words(strings.Fields("/usr/lib/gcc/cc1 -quiet -O2 -Wall -I include -o obj/print.o src/print.c -g")...),
		num(0), num(0), num(0), num(412_345), num(77), words("script"))
}

var benchColumns = append([]prog.Column{{Head: "TIME", Field: "time", Width: 8}}, sample.Columns...)

var benchSinks = []struct {
	name string
	with func(io.Writer) Sink
}{
	{"columns", func(w io.Writer) Sink { return NewColumns(w, sample, benchColumns, ColumnOptions{}) }},
	{"terminal", func(w io.Writer) Sink {
		return NewColumns(w, sample, benchColumns, ColumnOptions{Width: 60, Colour: true})
	}},
	{"exact", func(w io.Writer) Sink { return NewColumns(w, sample, benchColumns, ColumnOptions{Exact: true}) }},
	{"json", func(w io.Writer) Sink { return NewJSON(w, sample, nil) }},
}

func BenchmarkRow(b *testing.B) {
	hostile := benchRow()
	for i := range hostile.Values[4].List {
		hostile.Values[4].List[i] = []byte("né日\x1b\xff")
	}
	for _, rows := range []struct {
		name string
		row  *prog.Row
	}{{"plain", benchRow()}, {"hostile", hostile}} {
		for _, s := range benchSinks {
			b.Run(s.name+"/"+rows.name, func(b *testing.B) {
				sink := s.with(NewOutput(io.Discard))
				b.ReportAllocs()
				for b.Loop() {
					if err := sink.Row(rows.row); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestNoAllocations: in steady state a row costs no memory, the clock's change of second, a failed row and the flush
// included.
func TestNoAllocations(t *testing.T) {
	rows := append(sampleRows(), benchRow())
	for _, s := range benchSinks {
		sink := s.with(NewOutput(io.Discard))
		moment := sampleStart
		round := func() {
			for _, r := range rows {
				if r.Values[0].Null {
					continue
				}
				moment = moment.Add(700 * time.Millisecond)
				r.Values[0].Num = moment.UnixNano()
				if err := sink.Row(r); err != nil {
					t.Fatal(err)
				}
			}
			if err := sink.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		round()
		if n := testing.AllocsPerRun(200, round); n != 0 {
			t.Errorf("%s: %v allocations in %d rows", s.name, n, len(rows))
		}
	}
}
