package open

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"sonde/internal/fileevent"
	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// Options say what the programs are to gather. Whom they trace is target's business.
type Options struct {
	Plan      Plan
	Fields    []string         // keys of RowType that will be shown
	FullPath  bool             // absolute paths are needed even if no field of them is shown
	Failed    bool             // only opens that failed
	Write     bool             // only opens for writing, or that truncate
	Created   bool             // only opens that made the file
	Flags     []fileevent.Flag // only opens with one of these flags; nil: all
	TID       uint32           // only opens by this thread; 0: all
	Paths     *Globs           // those that user space will keep; nil: all
	Subvolume kernel.Subvolume // where btrfs keeps the device that stat(2) tells
	RingBytes int              // a power of two of at least a page; 0 is DefaultRingBytes
}

// DefaultRingBytes is the size of the ring that records come through.
const DefaultRingBytes = 8 << 20

// What the programs gather: open.bpf.c, WANT_*.
const (
	wantTime = 1 << iota
	wantID
	wantFile
	wantBase
	wantIDs
)

// Fields that cost extra work in the kernel, by what they need.
var costs = map[string]uint32{
	"time": wantTime, "duration_ns": wantTime, "dev": wantID, "ino": wantID, "marks": wantID, "file": wantID | wantFile,
	"full": wantID | wantFile | wantBase, "pcomm": wantIDs, "ppid": wantIDs, "cgroup_id": wantIDs, "cgroup": wantIDs, "container": wantIDs,
}

func (o Options) want() (want uint32) {
	for _, key := range o.Fields {
		want |= costs[key]
	}
	if o.Created {
		want |= wantID
	}
	if o.FullPath {
		want |= costs["full"]
	}
	return want
}

// Timed says whether records come some time after the time that they bear, so that they have to be put in order.
func (o Options) Timed() bool { return o.Plan.Hook != HookLSM && o.want()&wantTime != 0 }

// LostReasons are the loss counters of the programs, in their order; the last is target.bpf.h's.
var LostReasons = []string{"ring_full", "open_table_full", "", "", "", "", "", "tree_table_full"}

// Spec builds what is to be loaded.
func Spec(opt Options) (*prog.Spec, error) {
	load := loadBpf
	if opt.Plan.hooks() {
		load = loadBpfHooks
	}
	coll, err := load()
	if err != nil {
		return nil, fmt.Errorf("open: the embedded object: %w", err)
	}
	if opt.RingBytes == 0 {
		opt.RingBytes = DefaultRingBytes
	}
	coll.Maps[bpfMapRecords].MaxEntries = uint32(opt.RingBytes)
	for name, value := range opt.constants() {
		if name == bpfHooksVarInnerCompat && !opt.Plan.hooks() {
			continue
		}
		if err := coll.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("open: constant %s: %w", name, err)
		}
	}
	probes := opt.probes()
	needed := make(map[string]bool)
	for _, p := range probes {
		needed[p.Program] = true
		aim(coll.Programs[p.Program], p)
	}
	maps.DeleteFunc(coll.Programs, func(name string, _ *ebpf.ProgramSpec) bool { return !needed[name] })
	return &prog.Spec{
		Name:        "open",
		Collection:  coll,
		Probes:      probes,
		Ring:        bpfMapRecords,
		Counters:    bpfMapCounters,
		LostReasons: LostReasons,
		Fleeting:    []string{bpfMapStarts},
	}, nil
}

// aim says what a program attaches to that has to know it when it is loaded.
func aim(p *ebpf.ProgramSpec, probe prog.Probe) {
	if p != nil && (probe.Kind == prog.Fentry || probe.Kind == prog.Fexit || probe.Kind == prog.LSM) {
		p.AttachTo = probe.Name
	}
}

func (o Options) constants() map[string]any {
	bit := func(b bool) uint32 {
		if b {
			return 1
		}
		return 0
	}
	c := map[string]any{
		bpfVarWant: o.want(), bpfVarWantFailed: bit(o.Failed), bpfVarWantWrite: bit(o.Write), bpfVarWantCreated: bit(o.Created),
		bpfVarWantTid:       o.TID,
		bpfVarSubvolumeRoot: o.Subvolume.Root, bpfVarSubvolumeDev: o.Subvolume.Dev,
		bpfVarWantFlags: bit(len(o.Flags) > 0), bpfHooksVarInnerCompat: bit(o.Plan.Hook == HookTracepoint),
	}
	var anyBits uint64
	var modes uint32
	var allBits [2]uint64
	several := allBits[:0]
	for _, f := range o.Flags {
		switch {
		case f.Mask == accessMode:
			modes |= 1 << f.Value
		case f.Mask&(f.Mask-1) == 0:
			anyBits |= f.Mask
		case !slices.Contains(several, f.Mask):
			several = append(several, f.Mask)
		}
	}
	copy(allBits[:], several)
	var tests [pathTests]pathTest
	c[bpfVarPathTestCount] = uint32(copy(tests[:], o.Paths.tests()))
	c[bpfVarPathTests] = tests
	c[bpfVarAnyBits], c[bpfVarAccessModes], c[bpfVarAllBits] = anyBits, modes, allBits
	return c
}

// accessMode is O_ACCMODE.
const accessMode = 3

// probes lists them in the order in which they go on: what ends an open before what begins one, so that no start is left
// without its end.
func (o Options) probes() []prog.Probe {
	list := []prog.Probe{
		{Program: bpfProgTargetFork, Kind: prog.RawTracepoint, Name: "sched_process_fork"},
		{Program: bpfProgTargetExit, Kind: prog.RawTracepoint, Name: "sched_process_exit"},
	}
	ends, begins := o.call()
	innerEnds, innerBegins := o.inner()
	ends, begins = append(ends, innerEnds...), append(begins, innerBegins...)
	if len(begins) > 0 {
		list = append(list, prog.Probe{Program: bpfProgOpenAbandon, Kind: prog.RawTracepoint, Name: "sched_process_exit"})
	}
	return append(append(list, ends...), begins...)
}

// call is what sees system calls: their ends, and their beginnings where those are needed.
func (o Options) call() (ends, begins []prog.Probe) {
	timed := o.Timed()
	switch o.Plan.Hook {
	case HookTracepoint:
		for _, e := range events {
			ends = append(ends, e.probe(bpfHooksProgEventExit, "sys_exit_"))
			begins = append(begins, e.probe(e.enter, "sys_enter_"))
		}
		return ends, begins
	case HookKprobe:
		enter := bpfHooksProgKprobeOpenat2
		if o.Plan.Call == oldCall {
			enter = bpfHooksProgKprobeOpen
		}
		return []prog.Probe{{Program: bpfHooksProgKprobeExit, Kind: prog.Kretprobe, Name: o.Plan.Call}},
			[]prog.Probe{{Program: enter, Kind: prog.Kprobe, Name: o.Plan.Call}}
	case HookFentry:
		ends = []prog.Probe{{Program: bpfHooksProgFexitOpenat2, Kind: prog.Fexit, Name: o.Plan.Call}}
		if timed {
			begins = []prog.Probe{{Program: bpfHooksProgFentryCall, Kind: prog.Fentry, Name: o.Plan.Call}}
		}
		if o.Plan.Handle != "" {
			ends = append(ends, prog.Probe{Program: bpfHooksProgFexitHandle, Kind: prog.Fexit, Name: o.Plan.Handle})
			if timed {
				begins = append(begins, prog.Probe{Program: bpfHooksProgFentryHandle, Kind: prog.Fentry, Name: o.Plan.Handle})
			}
		}
		return ends, begins
	case HookLSM:
		return []prog.Probe{{Program: bpfHooksProgFexitSecurity, Kind: prog.Fexit, Name: "security_file_open"}}, nil
	}
	ends = []prog.Probe{{Program: bpfProgRawExit, Kind: prog.RawTracepoint, Name: "sys_exit"}}
	if timed {
		begins = []prog.Probe{{Program: bpfProgRawEnter, Kind: prog.RawTracepoint, Name: "sys_enter"}}
	}
	return ends, begins
}

// inner is what sees opens that are no system call of the family.
func (o Options) inner() (ends, begins []prog.Probe) {
	p := o.Plan
	switch {
	case p.Inner != "" && p.InnerKprobe:
		return []prog.Probe{{Program: bpfHooksProgKretprobeInner, Kind: prog.Kretprobe, Name: p.Inner}},
			[]prog.Probe{{Program: bpfHooksProgKprobeInner, Kind: prog.Kprobe, Name: p.Inner}}
	case p.Inner != "":
		ends = []prog.Probe{{Program: bpfHooksProgFexitInner, Kind: prog.Fexit, Name: p.Inner}}
		if o.Timed() {
			begins = []prog.Probe{{Program: bpfHooksProgFentryInner, Kind: prog.Fentry, Name: p.Inner}}
		}
		return ends, begins
	case p.Exec:
		return []prog.Probe{{Program: bpfProgExecCommit, Kind: prog.RawTracepoint, Name: "sched_process_exec"}}, nil
	}
	return nil, nil
}

// oldCall is the function behind the system calls before 5.6.
const oldCall = "do_sys_open"

// event is the syscalls:* events of one call, and the program for as many arguments as it has.
type event struct{ call, enter string }

// Not every architecture has all of the calls.
var events = []event{
	{"open", bpfHooksProgEventEnter3},
	{"openat", bpfHooksProgEventEnter4},
	{"openat2", bpfHooksProgEventEnter4},
	{"creat", bpfHooksProgEventEnter2},
	{"open_by_handle_at", bpfHooksProgEventEnter3},
}

func (e event) probe(program, prefix string) prog.Probe {
	p := prog.Probe{Program: program, Kind: prog.Tracepoint, Group: "syscalls", Name: prefix + e.call}
	if e.call != "openat" {
		p.Missing = prog.MissingIgnore
	}
	return p
}

// InFlight names the variable that counts opens under way.
const InFlight = bpfVarInFlight

// Closing names the variable that, set to 1, keeps new opens from being noted.
const Closing = bpfVarClosing

// TreeLive names the variable that counts the living processes of the followed tree.
const TreeLive = bpfVarTargetLive

// TreeSeeded names the variable in which user space counts the processes it entered into the tree.
const TreeSeeded = bpfVarTargetSeeded

// WantsCgroups says whether cgroup paths or containers are among the fields.
func WantsCgroups(fields []string) bool {
	return slices.Contains(fields, "cgroup") || slices.Contains(fields, "container")
}

// Missed says what it means when the kernel left out runs of the programs.
const Missed = "opens may be missing or be without their time, a descendant not be followed"
