package script

import (
	"bytes"
	ejson "encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sonde/internal/compile"
	"sonde/internal/compile/check"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/stream"
)

// The quirks of printf: zeros pad on any side, # is nothing for 0, the precision is ignored, 32 bits without a length.
func TestPrintf(t *testing.T) {
	str := types.StringOf(8)
	for _, tt := range []struct {
		format string
		t      *types.Type
		v      any
		want   string
	}{
		{"%d", types.TInt64, -5, "-5"},
		{"%05d", types.TInt64, -3, "000-3"},
		{"%-05d", types.TInt64, 5, "50000"},
		{"%+d", types.TInt64, 5, "+5"},
		{"%+d", types.TInt64, 0, "+0"},
		{"%+05d", types.TInt64, 5, "000+5"},
		{"% d", types.TInt64, 5, "5"},
		{"%+u", types.TUint64, 5, "5"},
		{"%#x", types.TUint64, 255, "0xff"},
		{"%#x", types.TUint64, 0, "0"},
		{"%#X", types.TUint64, 255, "0XFF"},
		{"%#o", types.TUint64, 8, "010"},
		{"%#08x", types.TUint64, 5, "000000x5"},
		{"%.3d", types.TInt64, 7, "7"},
		{"%8.3d", types.TInt64, 7, "       7"},
		{"%d", types.TUint64, uint64(0x923456789abcdef0), "-1698898192"},
		{"%x", types.TUint64, uint64(0x923456789abcdef0), "9abcdef0"},
		{"%hhd", types.TUint64, uint64(0x923456789abcdef0), "-16"},
		{"%hd", types.TUint64, uint64(0x923456789abcdef0), "-8464"},
		{"%ld", types.TUint64, uint64(0x923456789abcdef0), "-7911603569390985488"},
		{"%Ld", types.TUint64, uint64(0x923456789abcdef0), "-1698898192"},
		{"%lu", types.TUint64, uint64(0x923456789abcdef0), "10535140504318566128"},
		{"%o", types.TUint64, uint64(0x923456789abcdef0), "23257157360"},
		{"%hho", types.TUint64, uint64(0x923456789abcdef0), "360"},
		{"%hhp", types.TUint64, uint64(0x923456789abcdef0), "0x923456789abcdef0"},
		{"%p", types.TUint64, 0, "0"},
		{"%05p", types.TUint64, 5, "000x5"},
		{"%20p", types.TInt8, int8(5), "                 0x5"},
		{"%u", types.TInt8, int8(-1), "4294967295"},
		{"%x", types.TInt8, int8(-1), "ffffffff"},
		{"%lx", types.TInt16, int16(-1), "ffffffffffffffff"},
		{"%d", types.TUint16, uint16(65535), "65535"},
		{"%c", types.TInt64, 65, "A"},
		{"%5c|", types.TInt64, 65, "    A|"},
		{"%05c", types.TInt64, 65, "0000A"},
		{"%c", types.TInt64, 0, "\x00"},
		{"%s", types.TInt64, -5, "-5"},
		{"%+s", types.TInt64, 5, "+5"},
		{"%05s", types.TInt64, 5, "00005"},
		{"%s", types.TUint64, -1, "18446744073709551615"},
		{"%s", types.TBool, uint8(1), "true"},
		{"%d", types.TBool, uint8(1), "1"},
		{"%5s", types.TBool, uint8(1), " true"},
		{"%s", tEnum, uint32(1), "ONE"},
		{"%d", tEnum, uint32(1), "1"},
		{"%s", tPtr, 0, "0x0"},
		{"%d", tPtr, 0x1234, "4660"},
		{"%10s|", str, fixed("abc", 8), "       abc|"},
		{"%-10s|", str, fixed("abc", 8), "abc       |"},
		{"%-010s", str, fixed("abc", 8), "abc0000000"},
		{"%10.2s|", str, fixed("abc", 8), "       abc|"},
		{"%r", tBuf, bin(uint32(3), "a\nb", "     "), `a\x0ab`},
		{"%rx", tBuf, bin(uint32(3), "a\nb", "     "), `\x61\x0a\x62`},
		{"%rh", tBuf, bin(uint32(3), "a\nb", "     "), "61 0a 62"},
		{"%10r|", tBuf, bin(uint32(3), "a\nb", "     "), `    a\x0ab|`},
		{"%s", tBuf, bin(uint32(0), "xxxxxxxx"), ""},
		{"%gr", types.TUint64, 5, "GFP_DMA|GFP_DMA32"},
		{"%-20gr|", types.TUint64, 5, "GFP_DMA|GFP_DMA32   |"},
		{"%gr", types.TUint64, 0x400cc0, "GFP_KERNEL_ACCOUNT"},
		{"%gr", types.TUint64, 0x1100cca, "GFP_HIGHUSER|__GFP_SKIP_ZERO|0x8"},
		{"%gr", types.TUint64, 0, "0"},
		{"%s", tInet, inet4(127, 0, 0, 1), "127.0.0.1"},
		{"%12s|", tInet, inet4(127, 0, 0, 1), "   127.0.0.1|"},
		{"%s", tPair, bin(int8(1), "ab\x00\x00"), "(1, ab)"},
		{"100%% %y %s", types.TInt8, int8(1), "100% %y 1"},
	} {
		s := values(compile.SitePrintf, tt.format, tt.t)
		if tt.t.Kind == types.String {
			s.Fields[0].Tail = false
			s.Size += tt.t.Size - 4
		}
		g := newRig(t, &compile.Program{Sites: []compile.Site{s}}, nil)
		if err := g.Record(record(0, tt.v)); err != nil {
			t.Fatal(err)
		}
		if got, _ := g.take(); got != tt.want {
			t.Errorf("%q of %v: %q, want %q", tt.format, tt.v, got, tt.want)
		}
	}
	two := &compile.Program{Sites: []compile.Site{values(compile.SitePrintf, "%5d|%-5d|", types.TInt64, types.TInt64)}}
	g := newRig(t, two, nil)
	g.Record(record(0, 3, 4))
	if got, _ := g.take(); got != "    3|4    |" {
		t.Errorf("%q", got)
	}
}

// Constants are not in the record; they are part of the text from the start.
func TestConstants(t *testing.T) {
	s := values(compile.SitePrintf, "%s=%d %5x %s %s %c|\n", types.TInt64)
	s.Fields = []compile.Field{
		{Type: types.StringOf(4), Const: &check.Const{Kind: check.ConstString, Str: "a\x1bb"}},
		s.Fields[0],
		{Type: types.TInt8, Const: &check.Const{Int: 0xffffffffffffff85}},
		{Type: tEnum, Const: &check.Const{Int: 2}},
		{Type: types.TBool, Const: &check.Const{Kind: check.ConstBool, Int: 1}},
		{Type: types.TInt64, Const: &check.Const{Int: 'x'}},
	}
	g := newRig(t, &compile.Program{Sites: []compile.Site{s}}, func(e *Env) { e.Terminal = true })
	if n := len(g.sites[0].ops); n != 3 {
		t.Errorf("%d steps, want 3", n)
	}
	g.Record(record(0, 7))
	if got, _ := g.take(); got != "a\x1bb=7 ffffff85 TWO true x|\n" {
		t.Errorf("%q", got)
	}
	v := values(compile.SitePrintValue, "")
	v.Fields = []compile.Field{{Type: types.StringOf(4), Const: &check.Const{Kind: check.ConstString, Str: "abc"}}}
	for _, form := range []struct {
		edit func(*Env)
		want string
	}{{nil, "abc\n"}, {json, `{"type": "value", "data": "abc"}` + "\n"}} {
		g = newRig(t, &compile.Program{Sites: []compile.Site{v}}, form.edit)
		g.Record(record(0))
		if got, _ := g.take(); got != form.want {
			t.Errorf("%q, want %q", got, form.want)
		}
	}
}

// siteRows are one record of each kind of site, and what it makes.
var siteRows = []struct {
	name             string
	site             compile.Site
	body             []byte
	text, err, json  string
	warnings         bool // left out with --no-warnings
	sameErrorsInJSON bool
}{
	{
		name: "printf", site: values(compile.SitePrintf, "%d \"%s\"\n", types.TInt64, types.StringOf(16)), body: bin(5, uint32(2), "x\x00"),
		text: "5 \"x\"\n", json: `{"type": "printf", "data": "5 \"x\"\n"}` + "\n",
	},
	{
		name: "errorf", site: values(compile.SiteErrorf, "bad %d", types.TInt64), body: bin(5),
		err: "stdin:2:3-18: ERROR: bad 5\n", json: `{"type": "errorf", "msg": "bad 5", "filename": "stdin", "line": 2, "col": 3}` + "\n",
	},
	{
		name: "errorf with its own newline", site: values(compile.SiteErrorf, "two\nlines\n"),
		err: "stdin:2:3-18: ERROR: two\nlines\n", json: `{"type": "errorf", "msg": "two\nlines\n", "filename": "stdin", "line": 2, "col": 3}` + "\n",
	},
	{
		name: "warnf", site: values(compile.SiteWarnf, "odd %s", types.StringOf(4)), body: bin(uint32(2), "x\x00"), warnings: true,
		err: "stdin:2:3-18: WARNING: odd x\n", json: `{"type": "warnf", "msg": "odd x", "filename": "stdin", "line": 2, "col": 3}` + "\n",
	},
	{
		name: "time", site: compile.Site{Kind: compile.SiteTime, Text: "%H:%M:%S\n", Size: stream.HeaderSize},
		text: "22:13:20\n", json: `{"type": "time", "data": "22:13:20\n"}` + "\n",
	},
	{
		name: "join", site: values(compile.SiteJoin, ",", types.StringOf(9), types.StringOf(9), types.StringOf(9), types.StringOf(9)),
		body: bin(uint32(2), uint32(1), uint32(4), uint32(0), "a\x00", "\x00", "b c\x00"),
		text: "a,,b c\n", json: `{"type": "join", "data": "a,,b c"}` + "\n",
	},
	{
		name: "join of nothing", site: values(compile.SiteJoin, ",", types.StringOf(9)), body: bin(uint32(0)),
		text: "\n", json: `{"type": "join", "data": ""}` + "\n",
	},
	{
		name: "cat", site: values(compile.SiteCat, "testdata/%s.txt", types.StringOf(9)), body: bin(uint32(6), "three\x00"),
		text: "one\ntwo\nth", json: `{"type": "cat", "data": "one\ntwo\nth"}` + "\n",
	},
	{
		name: "cat of no file", site: values(compile.SiteCat, "testdata/none%d", types.TInt64), body: bin(4),
		err: "stdin:2:3-18: ERROR: cat: open testdata/none4: no such file or directory\n", sameErrorsInJSON: true,
	},
	{
		name: "system", site: values(compile.SiteSystem, "echo %d; echo err >&2", types.TInt64), body: bin(4),
		text: "4\n\n", err: "err\n", json: `{"type": "syscall", "data": "4\n"}` + "\n", sameErrorsInJSON: true,
	},
	{
		name: "system that fails", site: values(compile.SiteSystem, "printf x; exit 3"),
		text: "x\n", err: "stdin:2:3-18: ERROR: system: the command ended with status 3\n",
		json: `{"type": "syscall", "data": "x"}` + "\n", sameErrorsInJSON: true,
	},
	{
		name: "system that is killed", site: values(compile.SiteSystem, "kill -9 $$"),
		err: "stdin:2:3-18: ERROR: system: the command was ended by a signal (signal: killed)\n", sameErrorsInJSON: true,
	},
	{
		name: "runtime error", site: compile.Site{Kind: compile.SiteRuntimeError, Text: "division by 0", Span: syntax.Span{Start: 10, End: 16}, Size: stream.HeaderSize},
		err:  "stdin:2:3-9: WARNING: division by 0\n  printf(\"%d\", 1);\n  ~~~~~~\n",
		json: `{"type": "runtime_error", "msg": "division by 0", "filename": "stdin", "line": 2, "col": 3}` + "\n", warnings: true,
	},
	{
		name: "runtime error over lines", site: compile.Site{Kind: compile.SiteRuntimeError, Text: "no", Span: syntax.Span{Start: 0, End: 20}, Size: stream.HeaderSize},
		err:  "stdin:1-2: WARNING: no\nbegin {\n  printf(\"%d\", 1);\n",
		json: `{"type": "runtime_error", "msg": "no", "filename": "stdin", "line": 1, "col": 1}` + "\n", warnings: true,
	},
	{
		name: "helper error", site: values(compile.SiteHelperError, "probe_read_kernel", types.TUint32, types.TInt32), body: bin(uint32(113), int32(-14)),
		err:  "stdin:2:3-18: WARNING: the kernel's probe_read_kernel failed: Bad address (probe_read_kernel returned -14)\n  printf(\"%d\", 1);\n  ~~~~~~~~~~~~~~~\n",
		json: `{"type": "helper_error", "msg": "Bad address", "helper": "probe_read_kernel", "retcode": -14, "filename": "stdin", "line": 2, "col": 3}` + "\n", warnings: true,
	},
	{
		name: "full map", site: values(compile.SiteHelperError, "map_update_elem", types.TUint32, types.TInt32), body: bin(uint32(2), int32(-7)),
		err:  "stdin:2:3-18: WARNING: the map is full and this value is lost: set max_map_keys in the config block, or declare the map with its size, e.g. let @m = hash(10000); (map_update_elem returned -7)\n  printf(\"%d\", 1);\n  ~~~~~~~~~~~~~~~\n",
		json: `{"type": "helper_error", "msg": "Argument list too long", "helper": "map_update_elem", "retcode": -7, "filename": "stdin", "line": 2, "col": 3}` + "\n", warnings: true,
	},
	{name: "debug", site: compile.Site{Kind: compile.SiteDebug, Size: stream.HeaderSize}},
	{name: "print of no map", site: compile.Site{Kind: compile.SitePrintMap, Map: "@none", Size: stream.HeaderSize}},
}

func TestSites(t *testing.T) {
	for _, row := range siteRows {
		c := config()
		c.MaxCatBytes = 10
		p := &compile.Program{Sites: []compile.Site{row.site}, Config: c}
		g := newRig(t, p, nil)
		if err := g.Record(record(0, row.body)); err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		if out, err := g.take(); out != row.text || err != row.err {
			t.Errorf("%s: %q and %q, want %q and %q", row.name, out, err, row.text, row.err)
		}
		g = newRig(t, p, json)
		if err := g.Record(record(0, row.body)); err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		wantErr := ""
		if row.sameErrorsInJSON {
			wantErr = row.err
		}
		out, err := g.take()
		if out != row.json || err != wantErr {
			t.Errorf("%s: JSON %q and %q, want %q and %q", row.name, out, err, row.json, wantErr)
		}
		if out != "" && !ejson.Valid([]byte(out)) {
			t.Errorf("%s: no JSON: %s", row.name, out)
		}
		for _, edit := range []func(*Env){func(e *Env) {}, json} {
			g = newRig(t, p, func(e *Env) { edit(e); e.NoWarnings = true })
			g.Record(record(0, row.body))
			if out, err := g.take(); row.warnings && out+err != "" {
				t.Errorf("%s: without warnings %q and %q", row.name, out, err)
			}
		}
	}
}

func TestExit(t *testing.T) {
	p := &compile.Program{Sites: []compile.Site{
		values(compile.SiteExit, "", types.TInt64),
		values(compile.SitePrintf, "x"),
		values(compile.SiteExit, ""),
	}}
	g := newRig(t, p, nil)
	g.Record(record(1))
	if err := g.Record(record(0, 0x1ff)); !errors.Is(err, stream.ErrStop) {
		t.Errorf("exit gave %v", err)
	}
	if code, exited := g.Exited(); code != 255 || !exited {
		t.Errorf("exited %v with %d", exited, code)
	}
	// What was sent before anyone knew of it is left out; what end sends is not.
	if err := g.Record(record(1)); err != nil {
		t.Error(err)
	}
	g.AtEnd()
	g.Record(record(1))
	if got, _ := g.take(); got != "xx" {
		t.Errorf("%q", got)
	}
	if code, exited := g.Exited(); code != 255 || exited {
		t.Errorf("at the end exited %v with %d", exited, code)
	}
	g = newRig(t, p, nil)
	g.Record(record(2))
	if code, exited := g.Exited(); code != 0 || !exited {
		t.Errorf("exited %v with %d", exited, code)
	}
}

func TestNewProcess(t *testing.T) {
	g := newRig(t, &compile.Program{Sites: []compile.Site{values(compile.SiteNewProcess, "", types.TUint64, types.TUint64, types.TUint64)}}, nil)
	g.Record(record(0, uint64(1234), uint64(0), uint64(0)))
	if fmt.Sprint(g.syms.observed) != "[1234]" {
		t.Errorf("observed %v", g.syms.observed)
	}
}

// Processes and mappings are told of after exit(), too: what the maps hold is still to be named.
func TestMapping(t *testing.T) {
	g := newRig(t, &compile.Program{Sites: []compile.Site{
		{Kind: compile.SiteExit}, {Kind: compile.SiteMapping},
		values(compile.SiteNewProcess, "", types.TUint64, types.TUint64, types.TUint64),
	}}, nil)
	g.Record(record(0))
	g.Record(record(1, make([]byte, 10)))
	g.Record(record(1, make([]byte, 4096)))
	g.Record(record(2, uint64(5), uint64(0), uint64(0)))
	if len(g.syms.mapped) != 1 || len(g.syms.observed) != 1 {
		t.Errorf("%+v", g.syms)
	}
}

func TestAttachedAndLost(t *testing.T) {
	g := newRig(t, &compile.Program{}, nil)
	g.Attached(1)
	g.Attached(3)
	g.Lost(5)
	g.Lost(1)
	if out, err := g.take(); out != "" || err != "Attached 1 probe\nAttached 3 probes\nLost 5 events\nLost 1 events\n" {
		t.Errorf("%q and %q", out, err)
	}
	g = newRig(t, &compile.Program{}, json)
	g.Attached(3)
	g.Lost(5)
	if out, err := g.take(); err != "" ||
		out != `{"type": "attached_probes", "count": 3, "data": {"probes": 3}}`+"\n"+`{"type": "lost_events", "count": 5, "data": {"events": 5}}`+"\n" {
		t.Errorf("%q and %q", out, err)
	}
}

// Output goes out when there is nothing more to do, and before what stands behind it on the other stream.
func TestFlush(t *testing.T) {
	p := &compile.Program{Sites: []compile.Site{values(compile.SitePrintf, "x"), values(compile.SiteErrorf, "y")}}
	g := newRig(t, p, nil)
	g.Record(record(0))
	g.Drained(1, true)
	g.Drained(2, true)
	if g.out.flushes != 1 {
		t.Errorf("%d flushes, want 1", g.out.flushes)
	}
	g.Record(record(0))
	g.Record(record(1))
	if g.out.flushes != 2 {
		t.Errorf("%d flushes before a message, want 2", g.out.flushes)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
func (failing) Flush() error              { return io.ErrClosedPipe }

// Who cannot be written to is told of, by whatever record.
func TestOutputFails(t *testing.T) {
	for _, row := range siteRows {
		g := newRig(t, &compile.Program{Sites: []compile.Site{row.site}}, func(e *Env) { e.Out, e.JSON = failing{}, true })
		if err := g.Record(record(0, row.body)); row.json != "" && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// A Program that makes no sense is found before it runs.
func TestNewRefuses(t *testing.T) {
	outside := values(compile.SitePrintValue, "", types.TInt64)
	outside.Fields[0].Offset = stream.HeaderSize + 1
	before := values(compile.SitePrintValue, "", types.TInt64)
	before.Fields[0].Offset = 3
	bad := &types.Type{Kind: types.Struct, Size: 8, Fields: []types.Field{{Name: "a", Type: types.TInt64, Offset: 4}}}
	for name, s := range map[string]compile.Site{
		"field outside":      outside,
		"field before":       before,
		"two values":         values(compile.SitePrintValue, "", types.TInt8, types.TInt8),
		"too few values":     values(compile.SitePrintf, "%d %d", types.TInt8),
		"floating point":     values(compile.SitePrintf, "%f", types.TInt8),
		"no number":          values(compile.SitePrintf, "%d", tMAC),
		"field outside type": values(compile.SitePrintValue, "", bad),
		"stack without room": values(compile.SitePrintValue, "", &types.Type{Kind: types.UStack, Size: 8}),
		"no type":            {Kind: compile.SitePrintf, Text: "%d", Size: 32, Fields: []compile.Field{{Offset: 24}}},
	} {
		if _, err := New(&compile.Program{Sites: []compile.Site{s}}, Env{}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestHead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := head(path, 7); err != nil || len(b) != 7 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// A pipe that nobody writes to does not hold up the script.
func TestHeadOfPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	keep, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer keep.Close()
	if _, err := head(path, 7); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// Cgroups are looked for once, those that are not found once a second.
func TestCgroupsAreKept(t *testing.T) {
	asked := 0
	p := &compile.Program{Sites: []compile.Site{values(compile.SitePrintValue, "", tCgrp)}, Formats: formats}
	g := newRig(t, p, func(e *Env) {
		e.CgroupPath = func(id uint64, _ string) string {
			asked++
			return map[uint64]string{1: "unified:/"}[id]
		}
	})
	for i, want := range []int{2, 2, 3} {
		g.Before(uint64(i)*6e8 + 1)
		for id := range 2 {
			g.Record(record(0, id, 1))
		}
		if asked != want {
			t.Errorf("asked %d times, want %d", asked, want)
		}
	}
}

func TestIndexNUL(t *testing.T) {
	for length := range 40 {
		for at := range length + 1 {
			b := bytes.Repeat([]byte{0x80}, length)
			for i := range b {
				b[i] += byte(i % 2 * 0x81) // 0x80 and 0x01, which are next to a NUL in what is computed
			}
			want := -1
			for i := at; i < length; i += 3 {
				b[i] = 0
			}
			if at < length {
				want = at
			}
			if got := indexNUL(b); got != want {
				t.Errorf("% x: got %d, want %d", b, got, want)
			}
		}
	}
}
