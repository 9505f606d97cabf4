package open

import (
	"testing"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
)

// TestKernelFleeting looks at how the kernel made the map of opens under way, and that the ring which was made ahead of all else
// is the one that is used.
func TestKernelFleeting(t *testing.T) {
	need(t)
	plan, err := Choose(HookAuto, facts(t))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := Spec(Options{Plan: plan, RingBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s, err := attach.Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	info, err := s.Map(bpfMapStarts).Info()
	if err != nil {
		t.Fatal(err)
	}
	// bpf_ktime_get_tai_ns is as old as the allocator.
	late, want := info.Flags&unix.BPF_F_NO_PREALLOC != 0, kernel.Live(attach.Trials()).Has(kernel.KtimeTAI)
	if late != want {
		t.Errorf("elements are made when they come: %v, want %v", late, want)
	}
	ring, err := s.Map(spec.Ring).Info()
	if err != nil {
		t.Fatal(err)
	}
	if ring.MaxEntries != 1<<20 || ring.Name != bpfMapRecords {
		t.Errorf("the ring is %s of %d bytes", ring.Name, ring.MaxEntries)
	}
}
