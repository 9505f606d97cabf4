package proc

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"sonde/internal/prog"
	"sonde/internal/tool/exec"
)

// Options say what the programs are to gather. Whom they trace is target's business.
type Options struct {
	Execs       bool     // tell of execs
	Forks       bool     // tell of forks
	MaxArgBytes int      // of one argument vector; 0 is exec.DefaultMaxArgBytes
	RingBytes   int      // a power of two of at least a page; 0 is DefaultRingBytes
	Fields      []string // keys of RowType that will be shown
	Usage       bool     // what a process has used is wanted even if no field of it is shown
	// Events takes the events sched:* and task:* instead of raw tracepoints: for kernels that may preempt programs of these.
	Events bool
}

// DefaultRingBytes is the size of the ring that records come through.
const DefaultRingBytes = 1 << 20

// LostReasons are the loss counters of the programs, in their order; the last is target.bpf.h's.
var LostReasons = exec.LostReasons

// Names of the programs, and of their constants and maps, in the object.
const (
	programExec = "proc_exec"
	programNote = "proc_note"
	programExit = "proc_exit"
	programFork = "proc_fork"
	programRest = "exec_rest" // arguments that one record does not hold
	treeFork    = "target_fork"
	treeExit    = "target_exit"

	mapRecords  = "records"
	mapCounters = "counters"
	mapStarts   = "starts"
)

// Spec builds what is to be loaded.
func Spec(opt Options) (*prog.Spec, error) {
	coll, err := exec.Object(opt.Events)
	if err != nil {
		return nil, err
	}
	if opt.MaxArgBytes == 0 {
		opt.MaxArgBytes = exec.DefaultMaxArgBytes
	}
	if opt.RingBytes == 0 {
		opt.RingBytes = DefaultRingBytes
	}
	coll.Maps[mapRecords].MaxEntries = uint32(opt.RingBytes)
	if !opt.Events {
		coll.Maps[mapStarts].MaxEntries = 1 // for exec only
	}
	for name, value := range map[string]any{
		"want":          exec.Want(opt.Fields),
		"want_failed":   uint32(0),
		"max_arg_bytes": uint32(opt.MaxArgBytes),
		"want_usage":    bit(opt.Usage || anyOf(opt.Fields, usageFields)),
	} {
		if err := coll.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("proc: constant %s: %w", name, err)
		}
	}
	probes := opt.probes()
	needed := map[string]bool{programRest: opt.Execs}
	for _, p := range probes {
		needed[p.Program] = true
	}
	exec.WithoutWalk(coll)
	maps.DeleteFunc(coll.Programs, func(name string, _ *ebpf.ProgramSpec) bool { return !needed[name] })
	for _, m := range coll.Maps {
		m.Contents = slices.DeleteFunc(m.Contents, func(slot ebpf.MapKV) bool {
			name, ok := slot.Value.(string)
			return ok && m.Type == ebpf.ProgramArray && !needed[name]
		})
	}
	return &prog.Spec{
		Name:        "proc",
		Collection:  coll,
		Probes:      probes,
		Ring:        mapRecords,
		Counters:    mapCounters,
		LostReasons: LostReasons,
	}, nil
}

// probes lists them in the order in which they go on, which is that in which the kernel runs those of one tracepoint: the end of a
// process is told before it leaves the followed tree.
func (o Options) probes() (list []prog.Probe) {
	raw := func(program, name string) {
		list = append(list, prog.Probe{Program: program, Kind: prog.RawTracepoint, Name: name})
	}
	probe := func(program, group, name string) {
		if o.Events {
			list = append(list, prog.Probe{Program: program, Kind: prog.Tracepoint, Group: group, Name: name})
			return
		}
		raw(program, name)
	}
	probe(programExit, "sched", "sched_process_exit")
	raw(treeExit, "sched_process_exit")
	if o.Execs {
		if o.Events {
			raw(programNote, "sched_process_exec")
		}
		probe(programExec, "sched", "sched_process_exec")
	}
	raw(treeFork, "sched_process_fork")
	switch {
	case o.Forks && o.Events:
		probe(programFork, "task", "task_newtask")
	case o.Forks:
		raw(programFork, "sched_process_fork")
	}
	return list
}

func bit(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

func anyOf(have, wanted []string) bool {
	return slices.ContainsFunc(have, func(key string) bool { return slices.Contains(wanted, key) })
}

// Names of the variables that user space reads and writes, as in exec.
const (
	InFlight   = exec.InFlight
	Closing    = exec.Closing
	TreeLive   = exec.TreeLive
	TreeSeeded = exec.TreeSeeded
)

// WantsCgroups says whether cgroup paths or containers are among the fields.
func WantsCgroups(fields []string) bool { return exec.WantsCgroups(fields) }

// Missed says what it means when the kernel left out runs of the programs.
const Missed = "a process may be missing, or its start; a descendant not be followed"
