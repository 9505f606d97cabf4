package attach

import (
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"sonde/internal/kernel"
)

// TestKernelTrials compares the quick tries with those that make the probes run.
func TestKernelTrials(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	fresh := &kernelTrials{features: make(map[kernel.Feature]bool), helpers: make(map[helperQuestion]bool)}
	for _, f := range kernel.AllFeatures() {
		start := time.Now()
		has := fresh.Has(f)
		t.Logf("%-16s %-5v %v", f, has, time.Since(start).Round(time.Microsecond))
		if found := Try(f); found.Reason != "sonde knows no such feature" && has != (found.State == kernel.Present) {
			t.Errorf("%s: %v, but to Try it is %s: %s", f, has, found.State, found.Reason)
		}
		if fresh.Has(f) != has {
			t.Errorf("%s: asked again it is another", f)
		}
	}
}

// TestKernelTrialsAtOnce compares what one program for a typed tracepoint tells with the answers one by one.
func TestKernelTrialsAtOnce(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	atOnce := &kernelTrials{features: make(map[kernel.Feature]bool), helpers: make(map[helperQuestion]bool)}
	if typed := atOnce.Has(kernel.TypedTracepoint); !typed && len(atOnce.features) > 1 {
		t.Error("other answers are known from a program that was not taken")
	}
	for f, has := range atOnce.features {
		alone := &kernelTrials{features: make(map[kernel.Feature]bool), helpers: make(map[helperQuestion]bool)}
		if f != kernel.TypedTracepoint && alone.Has(f) != has {
			t.Errorf("%s: %v, but alone %v", f, has, !has)
		}
	}
	for q, may := range atOnce.helpers {
		if tryHelper(ebpf.ProgramType(q.progType), q.helper) != may {
			t.Errorf("helper %d of type %d: %v, but alone %v", q.helper, q.progType, may, !may)
		}
	}
	if len(atOnce.features) > 1 && len(atOnce.helpers) == 0 {
		t.Error("the helper of the running task is not known")
	}
}

func TestKernelHelperTrials(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	fresh := &kernelTrials{features: make(map[kernel.Feature]bool), helpers: make(map[helperQuestion]bool)}
	for _, tt := range []struct {
		kind   ebpf.ProgramType
		helper asm.BuiltinFunc
		want   bool
	}{
		{ebpf.Kprobe, asm.FnMapLookupElem, true},
		{ebpf.Kprobe, asm.FnKtimeGetNs, true},
		{ebpf.Kprobe, asm.FnGetStackid, true},
		{ebpf.TracePoint, asm.FnGetCurrentComm, true},
		{ebpf.RawTracepoint, asm.FnPerfEventOutput, true},
		{ebpf.PerfEvent, asm.FnPerfProgReadValue, true},
		{ebpf.Kprobe, asm.FnPerfProgReadValue, false},
		{ebpf.Kprobe, asm.FnSkbStoreBytes, false},
		{ebpf.RawTracepoint, asm.FnCopyFromUser, false}, // may sleep
		{ebpf.Kprobe, 100_000, false},
		{ebpf.ProgramType(1000), asm.FnMapLookupElem, false},
	} {
		if got := fresh.Helper(uint32(tt.kind), uint32(tt.helper)); got != tt.want {
			t.Errorf("%v, %v: got %v", tt.kind, tt.helper, got)
		}
	}
	if _, err := kernel.RunningTypes(); err != nil {
		return
	}
	for _, tt := range []struct {
		helper asm.BuiltinFunc
		want   bool
	}{
		{asm.FnSeqWrite, true}, // of iterators only
		{asm.FnGetCurrentPidTgid, true},
		{asm.FnSkbStoreBytes, false},
	} {
		if got := fresh.Helper(uint32(ebpf.Tracing), uint32(tt.helper)); got != tt.want {
			t.Errorf("tracing, %v: got %v", tt.helper, got)
		}
	}
}
