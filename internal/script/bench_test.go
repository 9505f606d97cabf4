package script

import (
	"io"
	"math/rand/v2"
	"testing"

	"sonde/internal/compile"
	"sonde/internal/compile/types"
	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/stream"
)

func benchRecord(b *testing.B, s compile.Site, body []byte, edit func(*Env)) {
	g := newRig(b, &compile.Program{Sites: []compile.Site{s}}, func(e *Env) {
		e.Out = print.NewOutput(io.Discard)
		if edit != nil {
			edit(e)
		}
	})
	rec := prog.Record{Body: body}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := g.Record(rec); err != nil {
			b.Fatal(err)
		}
	}
}

// The line of opensnoop: numbers, a short string and a path.
func BenchmarkPrintf(b *testing.B) {
	s := values(compile.SitePrintf, "%-8d %-16s %4d %3d %s\n", types.TUint32, types.StringOf(16), types.TInt32, types.TInt32, types.StringOf(64))
	body := bin(uint32(12345), uint32(8), int32(3), int32(0), uint32(30), "openssl\x00", "/usr/lib/ssl/openssl.cnf.file\x00")
	b.Run("text", func(b *testing.B) { benchRecord(b, s, body, nil) })
	b.Run("json", func(b *testing.B) { benchRecord(b, s, body, json) })
}

func BenchmarkPrintStack(b *testing.B) {
	s := values(compile.SitePrintf, "%s\n", stackType(types.KStack, "bpftrace", 16, 8))
	body := bin(10, make([]byte, 16*8))
	for i := range 10 {
		copy(body[8+8*i:], bin(uint64(0xffffffff81000000)+uint64(i)))
	}
	benchRecord(b, s, body, nil)
}

func benchMap(b *testing.B, m compile.Map, t *stream.Table, edit func(*Env)) {
	m.Name, m.BPF = "@x", "at_x"
	g := newRig(b, &compile.Program{Maps: []compile.Map{m}}, func(e *Env) {
		e.Out = print.NewOutput(io.Discard)
		if edit != nil {
			edit(e)
		}
	})
	g.maps.tables["at_x"] = t
	b.ReportAllocs()
	for b.Loop() {
		if err := g.PrintMaps(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(t.N), "ns/entry")
}

func BenchmarkPrintMap(b *testing.B) {
	const n = 100_000
	random := rand.New(rand.NewPCG(1, 2))
	ints := &stream.Table{KeySize: 8, ValueSize: 8, CPUs: 4}
	strs := &stream.Table{KeySize: 16, ValueSize: 8, CPUs: 1}
	for range n {
		k := random.Uint64()
		ints.N++
		ints.Keys = append(ints.Keys, bin(k)...)
		ints.Values = append(ints.Values, bin(k%7, 1, 1, 1)...)
		strs.N++
		strs.Keys = append(strs.Keys, fixed(string(appendPointer(nil, k)[:12]), 16)...)
		strs.Values = append(strs.Values, bin(k>>40)...)
	}
	b.Run("counts", func(b *testing.B) {
		benchMap(b, compile.Map{Key: types.TInt64, Value: tCount, Storage: compile.StorePerCPUHash}, ints, nil)
	})
	b.Run("strings", func(b *testing.B) {
		benchMap(b, compile.Map{Key: types.StringOf(16), Value: types.TInt64}, strs, nil)
	})
	b.Run("json", func(b *testing.B) {
		benchMap(b, compile.Map{Key: types.StringOf(16), Value: types.TInt64}, strs, json)
	})
}
