package attach_test

import (
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/vmtest"
)

// emptySpec has one program that does nothing, on one probe, and a map to fill.
func emptySpec(probe prog.Probe) *prog.Spec {
	kind := ebpf.RawTracepoint
	if probe.Kind == prog.Tracepoint {
		kind = ebpf.TracePoint
	}
	return &prog.Spec{
		Name: "empty",
		Collection: &ebpf.CollectionSpec{
			Programs: map[string]*ebpf.ProgramSpec{"nothing": {
				Name: "nothing", Type: kind, License: "Dual BSD/GPL",
				Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
			}},
			Maps:      map[string]*ebpf.MapSpec{"words": {Name: "words", Type: ebpf.Hash, KeySize: 4, ValueSize: 1, MaxEntries: 8}},
			Variables: map[string]*ebpf.VariableSpec{},
		},
		Probes: []prog.Probe{probe},
		Fill:   []prog.MapFill{{Map: "words", Key: uint32(7), Value: uint8(1)}},
	}
}

func TestKernelSession(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	vmtest.Need(t, kernel.RawTracepoint, kernel.Tracepoint, kernel.Stats)
	for _, probe := range []prog.Probe{
		{Program: "nothing", Kind: prog.RawTracepoint, Name: "sched_process_exec"},
		{Program: "nothing", Kind: prog.Tracepoint, Group: "sched", Name: "sched_process_exec"},
	} {
		s, err := attach.Open(emptySpec(probe))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Attach(); err != nil {
			t.Fatal(err)
		}
		added, err := s.Add("words", uint32(8), uint8(1))
		if err != nil || !added {
			t.Errorf("a new key: %v, %v", added, err)
		}
		if added, err = s.Add("words", uint32(7), uint8(1)); err != nil || added {
			t.Errorf("a key that Fill put there: %v, %v", added, err)
		}
		if removed, err := s.Remove("words", uint32(7)); err != nil || !removed {
			t.Errorf("removing it: %v, %v", removed, err)
		}
		if removed, err := s.Remove("words", uint32(7)); err != nil || removed {
			t.Errorf("removing it again: %v, %v", removed, err)
		}
		keys, err := s.Keys32("words")
		if diff := cmp.Diff([]uint32{8}, keys); diff != "" || err != nil {
			t.Errorf("keys %v (-want +got):\n%s", err, diff)
		}
		if cost, err := s.Cost(); err != nil || !cost.Known {
			t.Errorf("cost %+v, %v", cost, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("closing twice: %v", err)
		}
	}
}

func TestKernelSessionRefuses(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	vmtest.Need(t, kernel.RawTracepoint, kernel.Tracepoint)
	for name, c := range map[string]struct {
		change func(*prog.Spec)
		want   string
	}{
		"no such raw tracepoint": {func(s *prog.Spec) { s.Probes[0].Name = "no_such_thing" },
			"raw tracepoint no_such_thing: this kernel has none of that name"},
		"no such program": {func(s *prog.Spec) { s.Probes[0].Program = "other" },
			`empty: no program "other" for probe sched_process_exec`},
		"no such map": {func(s *prog.Spec) { s.Fill[0].Map = "other" }, `empty: no map "other" to fill`},
	} {
		t.Run(name, func(t *testing.T) {
			spec := emptySpec(prog.Probe{Program: "nothing", Kind: prog.RawTracepoint, Name: "sched_process_exec"})
			c.change(spec)
			s, err := attach.Open(spec)
			if err == nil {
				defer s.Close()
				err = s.Attach()
			}
			if err == nil || err.Error() != c.want {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
