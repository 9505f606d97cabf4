package exec

import (
	"maps"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"sonde/internal/prog"
)

func allFields() (keys []string) {
	for _, f := range RowType.Fields {
		keys = append(keys, f.Key)
	}
	return keys
}

func TestSpec(t *testing.T) {
	always := []string{"exec_abandon", "exec_commit", "exec_enter", "exec_exit", "exec_rest", "target_exit", "target_fork"}
	events := []string{"exec_enter_at", "exec_rest_commit"}
	for _, c := range []struct {
		name                  string
		opt                   Options
		want, failed, argsMax uint32
		ring                  uint32
		programs              []string
	}{
		{name: "nothing asked for", argsMax: 128 << 10, ring: 1 << 20},
		{name: "failed ones too", opt: Options{Failed: true}, failed: 1, argsMax: 128 << 10, ring: 1 << 20, programs: []string{"exec_walk"}},
		{name: "sizes", opt: Options{MaxArgBytes: LimitArgBytes, RingBytes: 64 << 10}, argsMax: 6 << 20, ring: 64 << 10},
		{name: "cheap fields", opt: Options{Fields: []string{"time", "pid", "argv", "ret"}}, argsMax: 128 << 10, ring: 1 << 20},
		{name: "a path", opt: Options{Fields: []string{"pid", "cwd"}}, want: wantPaths, argsMax: 128 << 10, ring: 1 << 20},
		{name: "flags need the file", opt: Options{Fields: []string{"flags"}}, want: wantPaths, argsMax: 128 << 10, ring: 1 << 20},
		{name: "an id", opt: Options{Fields: []string{"tty"}}, want: wantIDs, argsMax: 128 << 10, ring: 1 << 20},
		{name: "all", opt: Options{Fields: allFields()}, want: wantPaths | wantIDs, argsMax: 128 << 10, ring: 1 << 20},
		{name: "by events", opt: Options{Events: true}, argsMax: 128 << 10, ring: 1 << 20, programs: events},
		{
			name: "by events, failed ones too", opt: Options{Events: true, Failed: true, Fields: []string{"exe"}},
			want: wantPaths, failed: 1, argsMax: 128 << 10, ring: 1 << 20, programs: append([]string{"exec_walk"}, events...),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec, err := Spec(c.opt)
			if err != nil {
				t.Fatal(err)
			}
			programs := slices.Sorted(maps.Keys(spec.Collection.Programs))
			want := slices.Sorted(slices.Values(append(slices.Clone(always), c.programs...)))
			if diff := cmp.Diff(want, programs); diff != "" {
				t.Error("programs (-want +got):\n", diff)
			}
			used := map[string]bool{}
			for _, p := range spec.Probes {
				used[p.Program] = true
				kind := ebpf.RawTracepoint
				if p.Kind == prog.Tracepoint {
					kind = ebpf.TracePoint
				}
				if ps := spec.Collection.Programs[p.Program]; ps == nil || ps.Type != kind {
					t.Errorf("probe %v: program %v", p, ps)
				}
			}
			// What is tail called must be there.
			for _, m := range spec.Collection.Maps {
				if m.Type != ebpf.ProgramArray {
					continue
				}
				for _, slot := range m.Contents {
					name := slot.Value.(string)
					used[name] = true
					if spec.Collection.Programs[name] == nil {
						t.Errorf("%s: slot %v calls program %v, which is left out", m.Name, slot.Key, name)
					}
				}
			}
			if diff := cmp.Diff(programs, slices.Sorted(maps.Keys(used))); diff != "" {
				t.Error("programs there and programs used (-there +used):\n", diff)
			}
			for name, want := range map[string]uint32{"want": c.want, "want_failed": c.failed, "max_arg_bytes": c.argsMax} {
				var got uint32
				if err := spec.Collection.Variables[name].Get(&got); err != nil || got != want {
					t.Errorf("constant %s: %d (%v), want %d", name, got, err, want)
				}
			}
			if got := spec.Collection.Maps[spec.Ring].MaxEntries; got != c.ring {
				t.Errorf("ring of %d bytes, want %d", got, c.ring)
			}
			if spec.Collection.Maps[spec.Counters] == nil {
				t.Errorf("no map %q", spec.Counters)
			}
		})
	}
}

// A Spec is loaded with the start probes last, so that no start is left without its end.
func TestSpecProbeOrder(t *testing.T) {
	for _, c := range []struct {
		events bool
		want   []string
	}{
		{false, []string{"sched_process_fork", "sched_process_exit", "sched_process_exit", "sys_exit", "sched_process_exec", "sys_enter"}},
		{true, []string{
			"sched_process_fork", "sched_process_exit", "sched_process_exit", "sys_exit_execve", "sys_exit_execveat",
			"sched_process_exec", "sys_enter_execve", "sys_enter_execveat",
		}},
	} {
		spec, err := Spec(Options{Events: c.events})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range spec.Probes {
			names = append(names, p.Name)
		}
		if diff := cmp.Diff(c.want, names); diff != "" {
			t.Errorf("events %v: order of probes (-want +got):\n%s", c.events, diff)
		}
	}
}

// Two Specs share nothing that one of them may change.
func TestSpecIsFresh(t *testing.T) {
	a, err := Spec(Options{Failed: true, RingBytes: 4096})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Spec(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Collection.Maps["records"].MaxEntries != 4096 || b.Collection.Maps["records"].MaxEntries != DefaultRingBytes {
		t.Errorf("rings of %d and %d bytes, want 4096 and %d", a.Collection.Maps["records"].MaxEntries,
			b.Collection.Maps["records"].MaxEntries, DefaultRingBytes)
	}
	if a.Collection.Programs["exec_walk"] == nil || b.Collection.Programs["exec_walk"] != nil {
		t.Error("one Spec's programs show in the other")
	}
}

func TestSpecVariables(t *testing.T) {
	for _, events := range []bool{false, true} {
		spec, err := Spec(Options{Events: events})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{InFlight, TreeLive, TreeSeeded} {
			if spec.Collection.Variables[name] == nil {
				t.Errorf("events %v: no variable %s, which user space reads", events, name)
			}
		}
	}
}

func TestWantsCgroups(t *testing.T) {
	for _, c := range []struct {
		fields []string
		want   bool
	}{
		{nil, false},
		{[]string{"pid", "cgroup_id"}, false},
		{[]string{"pid", "cgroup"}, true},
		{[]string{"container"}, true},
	} {
		if got := WantsCgroups(c.fields); got != c.want {
			t.Errorf("%q: %v, want %v", c.fields, got, c.want)
		}
	}
}

// The fields that cost something are spelt as the row type spells them.
func TestCostlyFieldsExist(t *testing.T) {
	for _, key := range slices.Concat(pathFields, idFields) {
		if RowType.Index(key) < 0 {
			t.Errorf("no field %q", key)
		}
	}
	for _, c := range RowType.Columns {
		if RowType.Index(c.Field) < 0 {
			t.Errorf("column %s shows %q, which is no field", c.Head, c.Field)
		}
	}
}
