package compile_test

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"sonde/internal/attach"
	"sonde/internal/compile"
	"sonde/internal/kernel"
	"sonde/internal/stream"
	"sonde/internal/vmtest"
)

// probed is a function for a uprobe: its first argument is the address of a text.
//
//go:noinline
func probed(text *byte) { runtime.KeepAlive(text) }

// fileOffset is where in the test binary a function is.
func fileOffset(t *testing.T, fn any) uint64 {
	addr := uint64(reflect.ValueOf(fn).Pointer())
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to, offset uint64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s %x", &from, &to, &mode, &offset); err == nil && from <= addr && addr < to {
			return addr - from + offset
		}
	}
	t.Fatal("the function is in no mapping")
	return 0
}

// TestKernelScratchOfUprobes: runs of a uprobe's program that overlap on one CPU do not share memory. That they overlap is
// made up: the test marks memory as busy, as a run that was preempted would leave it.
func TestKernelScratchOfUprobes(t *testing.T) {
	vmtest.Need(t, kernel.Uprobe, kernel.FetchAtomics)
	register := map[string]string{"amd64": "ax", "arm64": "r0"}[runtime.GOARCH] // of Go's own calling convention
	script := fmt.Sprintf(`uprobe:%s:clock_gettime { @[str(reg(%q))] = count(); }`, vdso(t), register)
	p, diags := compile.Compile([]byte(script), "test", live, compile.Options{})
	if p.Spec == nil {
		t.Fatal(diags)
	}
	probe := &p.Spec.Probes[0]
	probe.Path, probe.Addresses, probe.PID = "/proc/self/exe", []uint64{fileOffset(t, probed)}, os.Getpid()
	s, err := attach.Open(p.Spec)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Attach(); err != nil {
		t.Fatal(err)
	}
	counters, err := stream.NewCounters(s.Map(p.Spec.Counters), p.Spec.LostReasons)
	if err != nil {
		t.Fatal(err)
	}
	lost := func() (n uint64) {
		tally, err := counters.Read()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range tally.Lost {
			n += c.N
		}
		return n
	}
	scratch := s.Map("scratch_" + probe.Program)
	if scratch == nil {
		t.Fatalf("no scratch map among %v", p.Spec.Collection.Maps)
	}
	if scratch.MaxEntries() < 2 {
		t.Fatal("one memory for all runs on a CPU")
	}
	const mark = 0xa5
	setBusy := func(slots uint32, busy byte) {
		value := make([]byte, scratch.ValueSize())
		for i := range value {
			value[i] = mark
		}
		copy(value, []byte{busy, 0, 0, 0, 0, 0, 0, 0})
		all := make([][]byte, ebpf.MustPossibleCPU())
		for i := range all {
			all[i] = value
		}
		for i := range slots {
			if err := scratch.Put(i, all); err != nil {
				t.Fatal(err)
			}
		}
	}
	touched := func(slots uint32) bool {
		for i := range slots {
			var all [][]byte
			if err := scratch.Lookup(i, &all); err != nil {
				t.Fatal(err)
			}
			for _, v := range all {
				if strings.Trim(string(v[8:]), string([]byte{mark})) != "" {
					return true
				}
			}
		}
		return false
	}
	hit := func(text string) uint64 {
		data := append([]byte(text), 0)
		probed(&data[0])
		key := make([]byte, s.Map(p.Maps[0].BPF).KeySize())
		copy(key, text)
		var counts []uint64
		if err := s.Map(p.Maps[0].BPF).Lookup(key, &counts); err != nil {
			return 0
		}
		sum := uint64(0)
		for _, n := range counts {
			sum += n
		}
		return sum
	}

	if n := hit("alone"); n != 1 || lost() != 0 {
		t.Fatalf("a run by itself: counted %d, lost %d", n, lost())
	}
	busy := scratch.MaxEntries() - 1
	setBusy(busy, 1)
	if n := hit("preempting"); n != 1 || lost() != 0 {
		t.Errorf("with %d runs preempted: counted %d, lost %d", busy, n, lost())
	}
	if touched(busy) {
		t.Error("the memory of a preempted run was written to")
	}
	setBusy(scratch.MaxEntries(), 1)
	if n := hit("too many"); n != 0 || lost() != 1 {
		t.Errorf("with all memory in use: counted %d, lost %d; want 0 and 1", n, lost())
	}
	setBusy(scratch.MaxEntries(), 0)
	for range 20 {
		hit("again")
	}
	if n := hit("again"); n != 21 || lost() != 1 {
		t.Errorf("with all memory free again: counted %d, lost %d; want 21 and 1", n, lost())
	}
}
