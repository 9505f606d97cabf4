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
			for _, p := range spec.Probes {
				if ps := spec.Collection.Programs[p.Program]; ps == nil || p.Kind != prog.RawTracepoint || ps.Type != ebpf.RawTracepoint {
					t.Errorf("probe %v: program %v", p, ps)
				}
			}
			// What is tail called must be there, and nothing that is not.
			for _, slot := range spec.Collection.Maps["walkers"].Contents {
				if spec.Collection.Programs[slot.Value.(string)] == nil {
					t.Errorf("slot %v calls program %v, which is left out", slot.Key, slot.Value)
				}
			}
			if n := len(spec.Collection.Maps["walkers"].Contents); n != 1+len(c.programs) {
				t.Errorf("%d programs to be tail called, want %d", n, 1+len(c.programs))
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
	spec, err := Spec(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range spec.Probes {
		names = append(names, p.Name)
	}
	want := []string{"sched_process_fork", "sched_process_exit", "sched_process_exit", "sys_exit", "sched_process_exec", "sys_enter"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error("order of probes (-want +got):\n", diff)
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
	spec, err := Spec(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{InFlight, TreeLive, TreeSeeded} {
		if spec.Collection.Variables[name] == nil {
			t.Errorf("no variable %s, which user space reads", name)
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
