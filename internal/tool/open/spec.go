package open

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"sonde/internal/fileevent"
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
func (o Options) Timed() bool { return o.want()&wantTime != 0 }

// LostReasons are the loss counters of the programs, in their order; the last is target.bpf.h's.
var LostReasons = []string{"ring_full", "open_table_full", "", "", "", "", "", "tree_table_full"}

// Spec builds what is to be loaded.
func Spec(opt Options) (*prog.Spec, error) {
	load := loadBpf
	if opt.Plan.Senders {
		load = loadBpfSenders
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
		bpfVarWantFlags: bit(len(o.Flags) > 0),
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
	c[bpfVarAnyBits], c[bpfVarAccessModes], c[bpfVarAllBits] = anyBits, modes, allBits
	return c
}

// accessMode is O_ACCMODE.
const accessMode = 3

// probes lists them in the order in which they go on: what ends an open before what begins one, so that no start is left
// without its end.
func (o Options) probes() []prog.Probe {
	raw := func(program, name string) prog.Probe {
		return prog.Probe{Program: program, Kind: prog.RawTracepoint, Name: name}
	}
	list := []prog.Probe{
		raw(bpfProgTargetFork, "sched_process_fork"),
		raw(bpfProgTargetExit, "sched_process_exit"),
	}
	timed := o.Timed()
	if timed {
		list = append(list, raw(bpfProgOpenAbandon, "sched_process_exit"))
	}
	list = append(list, raw(bpfProgRawExit, "sys_exit"))
	if timed {
		list = append(list, raw(bpfProgRawEnter, "sys_enter"))
	}
	return list
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
