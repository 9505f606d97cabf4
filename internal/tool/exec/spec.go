package exec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"sonde/internal/prog"
)

// Options say what the programs are to gather. Whom they trace is target's business.
type Options struct {
	Failed      bool     // failed execs too
	MaxArgBytes int      // of one argument vector; 0 is DefaultMaxArgBytes
	RingBytes   int      // a power of two of at least a page; 0 is DefaultRingBytes
	Fields      []string // keys of RowType that will be shown
	Classic     bool     // ARGS as the classic execsnoop shows them
	// Events takes the syscalls:* events instead of raw tracepoints: for kernels that may preempt raw tracepoint programs of
	// system calls. They do not see failed execs by 32-bit callers, nor when an exec by one began.
	Events bool
}

const (
	DefaultMaxArgBytes = 128 << 10
	DefaultRingBytes   = 1 << 20

	// LimitArgBytes is what the programs can carry: 33 chained calls of 32 chunks of 8 KiB, below the kernel's own limit of 6 MiB.
	LimitArgBytes = 6 << 20
)

const (
	wantPaths = 1 << iota // exec.bpf.c: WANT_PATHS
	wantIDs
)

// LostReasons are the loss counters of the programs, in their order; the last is target.bpf.h's.
var LostReasons = []string{"ring_full", "exec_table_full", "arguments_ring_full", "end_not_seen", "", "", "", "tree_table_full"}

// Spec builds what is to be loaded.
func Spec(opt Options) (*prog.Spec, error) {
	coll, err := Object(opt.Events)
	if err != nil {
		return nil, err
	}
	if opt.MaxArgBytes == 0 {
		opt.MaxArgBytes = DefaultMaxArgBytes
	}
	if opt.RingBytes == 0 {
		opt.RingBytes = DefaultRingBytes
	}
	coll.Maps[bpfMapRecords].MaxEntries = uint32(opt.RingBytes)
	for name, value := range map[string]uint32{
		bpfVarWant:        Want(opt.Fields),
		bpfVarWantFailed:  uint32(truth(opt.Failed)),
		bpfVarMaxArgBytes: uint32(opt.MaxArgBytes),
	} {
		if err := coll.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("exec: constant %s: %w", name, err)
		}
	}
	maps.DeleteFunc(coll.Programs, func(name string, _ *ebpf.ProgramSpec) bool { return strings.HasPrefix(name, "proc_") })
	for _, name := range others {
		delete(coll.Maps, name)
	}
	if !opt.Failed {
		WithoutWalk(coll)
	}
	return &prog.Spec{
		Name:        "exec",
		Collection:  coll,
		Probes:      probes(opt.Events),
		Ring:        bpfMapRecords,
		Counters:    bpfMapCounters,
		LostReasons: LostReasons,
		Fleeting:    []string{bpfMapStarts},
	}, nil
}

// WithoutWalk leaves out what reads the arguments of failed execs: the longest of the programs to verify.
func WithoutWalk(coll *ebpf.CollectionSpec) {
	delete(coll.Programs, bpfProgExecWalk)
	walkers := coll.Maps[bpfMapWalkers]
	walkers.Contents = slices.DeleteFunc(walkers.Contents, func(slot ebpf.MapKV) bool { return slot.Value == bpfProgExecWalk })
}

// InFlight names the variable that counts execs under way.
const InFlight = bpfVarInFlight

// Closing names the variable that, set to 1, keeps new execs from being noted.
const Closing = bpfVarClosing

// TreeLive names the variable that counts the living processes of the followed tree.
const TreeLive = bpfVarTargetLive

// probes lists them in the order in which they go on: what ends an exec before what begins one, so that no start is left
// without its end.
func probes(events bool) []prog.Probe {
	raw := func(program, name string) prog.Probe {
		return prog.Probe{Program: program, Kind: prog.RawTracepoint, Name: name}
	}
	event := func(program, name string) prog.Probe {
		return prog.Probe{Program: program, Kind: prog.Tracepoint, Group: "syscalls", Name: name}
	}
	list := []prog.Probe{
		raw(bpfProgTargetFork, "sched_process_fork"),
		raw(bpfProgTargetExit, "sched_process_exit"),
		raw(bpfProgExecAbandon, "sched_process_exit"),
	}
	if events {
		return append(list,
			event(bpfEventsProgExecExit, "sys_exit_execve"),
			event(bpfEventsProgExecExit, "sys_exit_execveat"),
			raw(bpfEventsProgExecCommit, "sched_process_exec"),
			event(bpfEventsProgExecEnter, "sys_enter_execve"),
			event(bpfEventsProgExecEnterAt, "sys_enter_execveat"),
		)
	}
	return append(list,
		raw(bpfProgExecExit, "sys_exit"),
		raw(bpfProgExecCommit, "sched_process_exec"),
		raw(bpfProgExecEnter, "sys_enter"),
	)
}

func anyOf(have, wanted []string) bool {
	return slices.ContainsFunc(have, func(key string) bool { return slices.Contains(wanted, key) })
}

// TreeSeeded names the variable in which user space counts the processes it entered into the tree.
const TreeSeeded = bpfVarTargetSeeded

// WantsCgroups says whether cgroup paths or containers are among the fields.
func WantsCgroups(fields []string) bool { return anyOf(fields, []string{"cgroup", "container"}) }

// Missed says what it means when the kernel left out runs of the programs.
const Missed = "an exec that failed may be missing, one that succeeded be without its time, a descendant not be followed"
