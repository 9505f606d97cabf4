package script

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"testing"
	"time"

	"sonde/internal/compile"
	"sonde/internal/compile/check"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/prog"
	"sonde/internal/stream"
)

// output keeps what is written.
type output struct {
	bytes.Buffer
	flushes int
}

func (o *output) Flush() error { o.flushes++; return nil }

// fakeMaps are hash maps and memory that a test filled.
type fakeMaps struct {
	tables  map[string]*stream.Table
	memory  []byte
	cleared []string
}

func (f *fakeMaps) Read(name string, t *stream.Table) error {
	from := f.tables[name]
	if from == nil {
		return fmt.Errorf("no map %s", name)
	}
	t.N, t.KeySize, t.ValueSize, t.CPUs = from.N, from.KeySize, from.ValueSize, from.CPUs
	t.Keys = append(t.Keys[:0], from.Keys...)
	t.Values = append(t.Values[:0], from.Values...)
	return nil
}

func (f *fakeMaps) Clear(name string, t *stream.Table) error {
	f.cleared = append(f.cleared, "clear "+name)
	f.tables[name].N, f.tables[name].Keys, f.tables[name].Values = 0, nil, nil
	return nil
}

func (f *fakeMaps) Zero(name string, t *stream.Table) error {
	f.cleared = append(f.cleared, "zero "+name)
	clear(f.tables[name].Values)
	return nil
}

func (f *fakeMaps) ReadAt(_ string, p []byte, off int) error {
	if off < 0 || off+len(p) > len(f.memory) {
		return io.EOF
	}
	copy(p, f.memory[off:])
	return nil
}

func (f *fakeMaps) WriteAt(_ string, p []byte, off int) error {
	if off < 0 || off+len(p) > len(f.memory) {
		return io.EOF
	}
	copy(f.memory[off:], p)
	return nil
}

// fakeSymbols knows a few addresses.
type fakeSymbols struct {
	asked    int
	observed []uint32
	mapped   []compile.Mapping
}

func (s *fakeSymbols) Kernel(addr uint64) Frame {
	s.asked++
	switch addr &^ 0xf {
	case 0xffffffff81000000:
		return Frame{Name: "vfs_read", Offset: addr & 0xf}
	case 0xffffffffc0000000:
		return Frame{Name: "ext4_sync", Offset: addr & 0xf, Module: "ext4"}
	}
	return Frame{}
}

func (s *fakeSymbols) User(pid, probe uint32, addr uint64) Frame {
	s.asked++
	if pid == 7 && addr&^0xf == 0x401000 {
		return Frame{Name: "main", Offset: addr & 0xf, Module: "/bin/x"}
	}
	return Frame{}
}

func (s *fakeSymbols) Mapped(m compile.Mapping) { s.mapped = append(s.mapped, m) }

func (s *fakeSymbols) Observe(pid uint32, _, _ uint64) { s.observed = append(s.observed, pid) }

// rig is a Runner over fakes.
type rig struct {
	*Runner
	out  *output
	err  *bytes.Buffer
	maps *fakeMaps
	syms *fakeSymbols
}

// source is the script that positions of tests point into.
const source = "begin {\n  printf(\"%d\", 1);\n}\n"

func config() check.Config {
	return check.Config{MaxStrlen: 64, MaxCatBytes: 10240, PrintMapsOnExit: true, StrTruncTrailer: ".."}
}

func newRig(t testing.TB, p *compile.Program, edit func(*Env)) *rig {
	t.Helper()
	if p.Source == nil {
		p.Source = syntax.NewSource("stdin", []byte(source))
	}
	if p.Config == (check.Config{}) {
		p.Config = config()
	}
	g := &rig{out: new(output), err: new(bytes.Buffer), maps: &fakeMaps{tables: map[string]*stream.Table{}}, syms: new(fakeSymbols)}
	env := Env{
		Out: g.out, Err: g.err, Maps: g.maps, Symbols: g.syms, Location: time.UTC,
		Wall: func(boot uint64) int64 { return 1700000000e9 + int64(boot) },
		Now:  func() time.Time { return time.Unix(1700000000, 123456789) },
		User: func(uid uint32) (string, bool) { return map[uint32]string{0: "root"}[uid], uid == 0 },
		CgroupPath: func(id uint64, pattern string) string {
			if id == 1 && pattern != "none" {
				return "unified:/a b,cpu:/"
			}
			return ""
		},
	}
	if edit != nil {
		edit(&env)
	}
	var err error
	if g.Runner, err = New(p, env); err != nil {
		t.Fatal(err)
	}
	return g
}

// take returns what was written, and forgets it.
func (g *rig) take() (out, err string) {
	out, err = g.out.String(), g.err.String()
	g.out.Reset()
	g.err.Reset()
	return out, err
}

func json(e *Env) { e.JSON = true }

// bin lays numbers, strings and bytes out one behind the other, without padding.
func bin(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		case int:
			b = binary.LittleEndian.AppendUint64(b, uint64(p))
		default:
			var err error
			if b, err = binary.Append(b, binary.LittleEndian, p); err != nil {
				panic(err)
			}
		}
	}
	return b
}

// fixed is a string of n bytes.
func fixed(s string, n int) []byte {
	b := make([]byte, n)
	copy(b, s)
	return b
}

func record(site int, body ...any) prog.Record {
	return prog.Record{Type: uint16(site), Body: bin(body...)}
}

// values makes a site whose record holds values of those types, strings in the tail.
func values(kind compile.SiteKind, text string, ts ...*types.Type) compile.Site {
	s := compile.Site{Kind: kind, Text: text, Span: syntax.Span{Start: 10, End: 25}, Size: stream.HeaderSize}
	for _, t := range ts {
		f := compile.Field{Type: t, Offset: s.Size}
		if t.Kind == types.String {
			f.Tail = true
			s.Size += 4
		} else {
			s.Size += t.Size
		}
		s.Fields = append(s.Fields, f)
	}
	return s
}
