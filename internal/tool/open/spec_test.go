package open

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"sonde/internal/fileevent"
)

var fexitPlan = Plan{Hook: HookFentry, Call: "do_sys_openat2", Handle: "do_handle_open", Inner: "do_file_open"}

func TestSpecPrograms(t *testing.T) {
	for _, c := range []struct {
		name   string
		plan   Plan
		fields string
		want   string
	}{
		{"raw, without time", Plan{Hook: HookRaw}, "pid path", "raw_exit"},
		{"raw, with time", Plan{Hook: HookRaw}, "time", "open_abandon raw_enter raw_exit"},
		{"raw and inner", Plan{Hook: HookRaw, Inner: "do_filp_open"}, "path", "fexit_inner raw_exit"},
		{"raw and inner, with time", Plan{Hook: HookRaw, Inner: "do_filp_open"}, "duration_ns", "fentry_inner fexit_inner open_abandon raw_enter raw_exit"},
		{"raw and inner by kprobes", Plan{Hook: HookRaw, Inner: "do_filp_open", InnerKprobe: true}, "path", "kprobe_inner kretprobe_inner open_abandon raw_exit"},
		{"raw and exec", Plan{Hook: HookRaw, Exec: true}, "path", "exec_commit raw_exit"},
		{"events", Plan{Hook: HookTracepoint}, "path", "event_enter2 event_enter3 event_enter4 event_exit open_abandon"},
		{"kprobe", Plan{Hook: HookKprobe, Call: "do_sys_openat2"}, "path", "kprobe_exit kprobe_openat2 open_abandon"},
		{"kprobe before 5.6", Plan{Hook: HookKprobe, Call: "do_sys_open"}, "path", "kprobe_exit kprobe_open open_abandon"},
		{"fentry", fexitPlan, "path", "fexit_handle fexit_inner fexit_openat2"},
		{"fentry, with time", fexitPlan, "time", "fentry_call fentry_handle fentry_inner fexit_handle fexit_inner fexit_openat2 open_abandon"},
		{"lsm", Plan{Hook: HookLSM}, "time", "fexit_security"},
	} {
		s, err := Spec(Options{Plan: c.plan, Fields: strings.Fields(c.fields)})
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Sorted(slices.Values(append(strings.Fields(c.want), "target_fork", "target_exit")))
		if got := slices.Sorted(maps.Keys(s.Collection.Programs)); !slices.Equal(got, want) {
			t.Errorf("%s: programs %v, want %v", c.name, got, want)
		}
		for _, p := range s.Probes {
			program := s.Collection.Programs[p.Program]
			if program == nil {
				t.Errorf("%s: no program %s", c.name, p.Program)
			} else if program.Type == ebpf.Tracing && program.AttachTo != p.Name {
				t.Errorf("%s: program %s is for %s, its probe for %s", c.name, p.Program, program.AttachTo, p.Name)
			}
		}
	}
}

// An end is switched on before what begins an open, or the first opens would be noted and never told of.
func TestSpecOrder(t *testing.T) {
	for _, plan := range []Plan{{Hook: HookRaw, Inner: "do_filp_open"}, {Hook: HookTracepoint}, {Hook: HookKprobe, Call: "do_sys_openat2"}, fexitPlan} {
		s, err := Spec(Options{Plan: plan, Fields: []string{"time"}})
		if err != nil {
			t.Fatal(err)
		}
		begun := ""
		for _, p := range s.Probes {
			switch {
			case strings.Contains(p.Program, "enter") || strings.HasPrefix(p.Program, "fentry") || p.Program == "kprobe_openat2":
				begun = p.Program
			case begun != "":
				t.Errorf("%s: %s comes after %s", plan.Hook, p.Program, begun)
			}
		}
	}
}

func TestSpecConstants(t *testing.T) {
	flag := func(name string) fileevent.Flag {
		f, ok := fileevent.FlagNamed(name)
		if !ok {
			t.Fatal(name)
		}
		return f
	}
	word := func(s *ebpf.CollectionSpec, name string) (v uint32) {
		if err := s.Variables[name].Get(&v); err != nil {
			t.Fatal(name, err)
		}
		return v
	}
	for _, c := range []struct {
		opt  Options
		name string
		want uint32
	}{
		{Options{}, "want", 0},
		{Options{Fields: []string{"file"}}, "want", wantID | wantFile},
		{Options{Fields: []string{"container"}}, "want", wantIDs},
		{Options{Created: true}, "want", wantID},
		{Options{FullPath: true}, "want", wantID | wantFile | wantBase},
		{Options{Failed: true}, "want_failed", 1},
		{Options{Write: true}, "want_write", 1},
		{Options{Created: true}, "want_created", 1},
		{Options{TID: 7}, "want_tid", 7},
		{Options{}, "want_flags", 0},
		{Options{Flags: []fileevent.Flag{flag("O_RDONLY"), flag("O_RDWR")}}, "access_modes", 5},
		{Options{Flags: []fileevent.Flag{flag("O_RDONLY")}}, "want_flags", 1},
		{Options{Plan: Plan{Hook: HookTracepoint}}, "inner_compat", 1},
	} {
		s, err := Spec(c.opt)
		if err != nil {
			t.Fatal(err)
		}
		if got := word(s.Collection, c.name); got != c.want {
			t.Errorf("%+v: %s is %d, want %d", c.opt, c.name, got, c.want)
		}
	}
	s, err := Spec(Options{RingBytes: 4096})
	if err != nil || s.Collection.Maps["records"].MaxEntries != 4096 {
		t.Errorf("ring of %d bytes, want 4096 (%v)", s.Collection.Maps["records"].MaxEntries, err)
	}
}

// bpf/file.h and fileevent say the same thing twice.
func TestLayout(t *testing.T) {
	for name, object := range map[string][]byte{"bpf": _BpfBytes, "hooks": _BpfHooksBytes} {
		coll, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
		if err != nil {
			t.Fatal(err)
		}
		var s *btf.Struct
		if err := coll.Types.TypeByName("file_event", &s); err != nil {
			t.Fatal(err)
		}
		checkLayout(t, name, s)
	}
}

func checkLayout(t *testing.T, object string, s *btf.Struct) {
	t.Helper()
	const header = 24
	if s.Size != header+fileevent.Fixed {
		t.Errorf("%s: struct file_event has %d bytes, fileevent counts %d behind the header", object, s.Size, fileevent.Fixed)
	}
	layout := fileevent.Layout()
	for _, m := range s.Members[1:] {
		at, ok := layout[m.Name]
		if !ok {
			if m.Name != "pad" {
				t.Errorf("%s: fileevent does not know %s", object, m.Name)
			}
			continue
		}
		delete(layout, m.Name)
		size, err := btf.Sizeof(m.Type)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]int{int(m.Offset.Bytes()) - header, size}; got != at {
			t.Errorf("%s: %s has its place and size at %v, fileevent at %v", object, m.Name, got, at)
		}
	}
	for name := range layout {
		t.Errorf("%s: file_event has no %s", object, name)
	}
}
