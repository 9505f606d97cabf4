package proc

import (
	"maps"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"sonde/internal/prog"
)

func TestSpec(t *testing.T) {
	for _, c := range []struct {
		name   string
		opt    Options
		probes []string // program and hook, in the order in which they go on
		rest   bool
		usage  uint32
		want   uint32
	}{
		{
			name: "ends", probes: []string{"proc_exit sched_process_exit", "target_exit sched_process_exit", "target_fork sched_process_fork"},
		},
		{
			name: "execs and forks", opt: Options{Execs: true, Forks: true, Fields: []string{"cpu_ns", "cwd"}}, rest: true, usage: 1, want: 1,
			probes: []string{
				"proc_exit sched_process_exit", "target_exit sched_process_exit", "proc_exec sched_process_exec",
				"target_fork sched_process_fork", "proc_fork sched_process_fork",
			},
		},
		{
			name: "by events", opt: Options{Execs: true, Forks: true, Events: true, Usage: true, Fields: []string{"cgroup"}}, rest: true, usage: 1, want: 2,
			probes: []string{
				"proc_exit sched:sched_process_exit", "target_exit sched_process_exit", "proc_note sched_process_exec",
				"proc_exec sched:sched_process_exec", "target_fork sched_process_fork", "proc_fork task:task_newtask",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec, err := Spec(c.opt)
			if err != nil {
				t.Fatal(err)
			}
			var probes []string
			used := map[string]bool{}
			for _, p := range spec.Probes {
				name, kind := p.Name, ebpf.RawTracepoint
				if p.Kind == prog.Tracepoint {
					name, kind = p.Group+":"+name, ebpf.TracePoint
				}
				probes = append(probes, p.Program+" "+name)
				used[p.Program] = true
				if ps := spec.Collection.Programs[p.Program]; ps == nil || ps.Type != kind {
					t.Errorf("probe %v: program %v", p, ps)
				}
			}
			if diff := cmp.Diff(c.probes, probes); diff != "" {
				t.Error("probes (-want +got):\n", diff)
			}
			for _, m := range spec.Collection.Maps {
				if m.Type != ebpf.ProgramArray {
					continue
				}
				for _, slot := range m.Contents {
					used[slot.Value.(string)] = true
				}
			}
			if used[programRest] != c.rest {
				t.Errorf("arguments of more than a record are sent: %v, want %v", used[programRest], c.rest)
			}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(spec.Collection.Programs)), slices.Sorted(maps.Keys(used))); diff != "" {
				t.Error("programs there and programs used (-there +used):\n", diff)
			}
			for name, want := range map[string]uint32{"want": c.want, "want_usage": c.usage, "want_failed": 0, "max_arg_bytes": 128 << 10} {
				var got uint32
				if err := spec.Collection.Variables[name].Get(&got); err != nil || got != want {
					t.Errorf("constant %s: %d (%v), want %d", name, got, err, want)
				}
			}
			if got := spec.Collection.Maps[spec.Ring].MaxEntries; got != DefaultRingBytes {
				t.Errorf("ring of %d bytes, want %d", got, DefaultRingBytes)
			}
			for _, name := range []string{InFlight, Closing, TreeLive, TreeSeeded} {
				if spec.Collection.Variables[name] == nil {
					t.Errorf("no variable %s, which user space reads", name)
				}
			}
		})
	}
}

// The fields that cost something, and those that columns show, are spelt as the row types spell them.
func TestFieldsExist(t *testing.T) {
	for _, key := range usageFields {
		if ExitType.Index(key) < 0 {
			t.Errorf("no field %q", key)
		}
	}
	for _, c := range slices.Concat(RowType.Columns, UsageColumns, ClassicColumns) {
		if RowType.Index(c.Field) < 0 {
			t.Errorf("column %s shows %q, which is no field", c.Head, c.Field)
		}
	}
	for _, typ := range []*prog.RowType{ExecType, ExitType, ForkType} {
		if n := len(typ.Fields); typ.Index("event") != n-2 || typ.Index("detail") != n-1 {
			t.Errorf("%s: event and detail are not its last fields", typ.Name)
		}
	}
}
