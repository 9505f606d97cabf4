package script

import (
	"encoding/binary"
	"io"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"sonde/internal/compile"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
	"sonde/internal/print"
	"sonde/internal/stream"
	"sonde/internal/vmtest"
)

// A map of 100,000 keys, from the kernel to the last line.
func BenchmarkKernelPrintMap(b *testing.B) {
	vmtest.Need(b, kernel.RingBuffer)
	if err := rlimit.RemoveMemlock(); err != nil {
		b.Fatal(err)
	}
	const n = 100_000
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: n})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	var key, value [8]byte
	for i := range uint64(n) {
		binary.LittleEndian.PutUint64(key[:], i)
		binary.LittleEndian.PutUint64(value[:], i*7919%100_003)
		if err := m.Put(key[:], value[:]); err != nil {
			b.Fatal(err)
		}
	}
	p := &compile.Program{Maps: []compile.Map{{Name: "@x", BPF: "at_x", Key: types.TInt64, Value: types.TInt64}}}
	g := newRig(b, p, func(e *Env) {
		e.Out = print.NewOutput(io.Discard)
		e.Maps = stream.NewMaps(func(string) *ebpf.Map { return m })
	})
	before := cpu(b)
	for b.Loop() {
		if err := g.PrintMaps(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/n, "cpu-ns/entry")
}

func cpu(b *testing.B) int64 {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		b.Fatal(err)
	}
	return ru.Utime.Nano() + ru.Stime.Nano()
}
