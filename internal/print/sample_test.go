package print

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/prog"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// golden compares got with testdata/NAME.golden.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); go test -update rewrites it:\n%s", path, diff)
	}
}

// sample is like the row type of sonde exec, with a field of every kind.
var sample = &prog.RowType{
	Name: "exec",
	Fields: []prog.Field{
		{Key: "time", Kind: prog.Time, Doc: "when the call began"},
		{Key: "pid", Kind: prog.Int, Doc: "process"},
		{Key: "ppid", Kind: prog.Int, Doc: "its parent"},
		{Key: "comm", Kind: prog.Text, Doc: "name of the process"},
		{Key: "argv", Kind: prog.Words, Doc: "argument vector"},
		{Key: "argv_truncated", Kind: prog.Bool, Doc: "argv is not complete"},
		{Key: "ret", Kind: prog.Int, Doc: "return value"},
		{Key: "errno", Kind: prog.Errno, Doc: "error"},
		{Key: "exectime_ns", Kind: prog.Duration, Doc: "time inside the call"},
		{Key: "ino", Kind: prog.Uint, Doc: "inode", Extra: true},
		{Key: "flags", Kind: prog.Symbols, Doc: "memfd, script"},
	},
	Columns: []prog.Column{
		{Head: "PCOMM", Field: "comm", Width: 16},
		{Head: "PID", Field: "pid", Width: 7},
		{Head: "PPID", Field: "ppid", Width: 7},
		{Head: "EXECTIME(US)", Field: "exectime_ns", Width: 8, Right: true, Divide: 1000},
		{Head: "RET", Field: "ret", Width: 3, Right: true},
		{Head: "ARGS", Field: "argv", Mark: "argv_truncated"},
	},
}

var sampleStart = time.Date(2026, 11, 20, 9, 8, 7, 5_000_000, time.UTC)

func words(s ...string) prog.Value {
	v := prog.Value{List: [][]byte{}}
	for _, w := range s {
		v.List = append(v.List, []byte(w))
	}
	return v
}

func text(s string) prog.Value { return prog.Value{Bytes: []byte(s)} }

func num(n int64) prog.Value { return prog.Value{Num: n} }

func at(d time.Duration) prog.Value { return num(sampleStart.Add(d).UnixNano()) }

// execRow makes a row of the sample; the fields in the order above.
func execRow(v ...prog.Value) *prog.Row { return &prog.Row{Type: sample, Values: v} }

var nothing = prog.Value{Null: true}

func sampleRows() []*prog.Row {
	return []*prog.Row{
		execRow(at(0), num(4711), num(4700), text("sh"), words("/bin/sh", "-c", "ls / | wc -l; true"), num(0),
			num(0), num(0), num(412_345), num(77), words()),
		execRow(at(1500*time.Millisecond), num(4712), num(4711), text("ls"), words("ls", "", "/"), num(0),
			num(0), num(0), num(1_999), num(-1), words("script", "memfd")),
		execRow(at(1500*time.Millisecond+1), num(4713), num(4711), text("sh"), words("/usr/bin/nothere"), num(0),
			num(-2), num(2), num(9_000), num(1), words()),
		execRow(at(2*time.Second), num(4194304), num(1), text("a-name-wider-than-its-column"), words("x", "y"), num(1),
			num(0), num(0), num(123_456_789_000), num(1), words()),
		execRow(at(-time.Millisecond), num(5), num(1), text("\x1b[31m\xff\n"), words("a\nb\t\r\x00", "\u202eevil\u2069", `q"\`), num(1),
			num(-512), num(512), num(1), num(1), words()),
		execRow(at(3*time.Second), num(6), num(1), text("日本語テキスト"), words("日本", "e\u0301t\u00e9", "\u009b2J"), num(0),
			num(-4095), num(4095), num(0), num(1), words()),
		execRow(nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing),
		execRow(at(0), num(7), num(1), text(""), words(), num(0), num(0), num(0), num(0), num(0), words()),
	}
}

// show runs rows through a sink made by with.
func show(t *testing.T, with func(*bytes.Buffer) Sink, rows ...*prog.Row) []byte {
	t.Helper()
	var out bytes.Buffer
	s := with(&out)
	for _, r := range rows {
		if err := s.Row(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
