package malloc

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"

	"sonde/internal/prog"
	"sonde/internal/tool/malloc/allocator"
)

// Options say what the programs are to gather. Whom they trace is target's business.
type Options struct {
	Outstanding bool   // keep track of what is not given back
	Sample      uint32 // count one call of so many; 0 and 1: all
	MinSize     uint64 // only requests of so many bytes
	Stacks      int    // how many different stacks there is room for; 0 is DefaultStacks
	Live        int    // how many pieces that are not given back there is room for; 0 is DefaultLive
	RingBytes   int    // a power of two of at least a page; 0 is DefaultRingBytes
	// Filter has the programs look whose call it is: the probes are in files, not in single processes.
	Filter bool
	// Cookie says that programs can be told by the probe which function it is for (5.15), Multi that one link takes many
	// functions and can be for one process.
	Cookie, Multi bool
	// Functions is how many functions there are to be told apart without cookies: each needs a program of its own.
	Functions int
}

// How much there is room for where nothing else is asked.
const (
	DefaultStacks    = 16384
	DefaultLive      = 1 << 18
	DefaultRingBytes = 4 << 20
)

// LostReasons are the loss counters of the programs, in their order; the last is target.bpf.h's.
var LostReasons = []string{"stack_not_told", "process_not_told", "calls_under_way_full", "live_table_full", "", "", "", "tree_table_full"}

// Names of programs that the probes of processes run, and of the maps that say which function a probe is for.
const (
	programEnter = bpfProgEnterCookie
	programLeave = bpfProgLeave
	programGive  = bpfProgGive
	programTell  = bpfProgMapped
)

// numbered is the program for the function with that number, where probes do not tell.
func numbered(i int) string { return fmt.Sprintf("enter_%d", i) }

// number is the counterpart of numbered.
func number(name string) (n int, ok bool) {
	text, ok := strings.CutPrefix(name, "enter_")
	n, err := strconv.Atoi(text)
	return n, ok && err == nil
}

// maxNumbered is how many such programs there are.
const maxNumbered = 24

// Gives counts the functions of a file that give memory.
func (o Options) Gives(of *allocator.Object) (n int) {
	for _, f := range of.Functions {
		if !f.Frees && (!f.Kept || o.Outstanding) {
			n++
		}
	}
	return n
}

// Spec builds what is to be loaded. Of its probes only those of processes come and go are in it: which functions are probed
// is said later, by Places.
func Spec(opt Options) (*prog.Spec, error) {
	coll, err := loadBpf()
	if err != nil {
		return nil, fmt.Errorf("malloc: the embedded object: %w", err)
	}
	size := func(name string, n, usual int) {
		if n == 0 {
			n = usual
		}
		coll.Maps[name].MaxEntries = uint32(n)
	}
	size(bpfMapRecords, opt.RingBytes, DefaultRingBytes)
	size(bpfMapTotals, opt.Stacks, DefaultStacks)
	if opt.Outstanding {
		size(bpfMapLive, opt.Live, DefaultLive)
	}
	for name, value := range opt.constants() {
		if err := coll.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("malloc: constant %s: %w", name, err)
		}
	}
	maps.DeleteFunc(coll.Programs, func(name string, p *ebpf.ProgramSpec) bool {
		switch n, one := number(name); {
		case one:
			return opt.Cookie || n >= opt.Functions
		case name == programEnter:
			return !opt.Cookie
		case name == programGive:
			return !opt.Outstanding
		}
		return false
	})
	if opt.Multi {
		for _, name := range []string{programEnter, programLeave, programGive, programTell} {
			if p := coll.Programs[name]; p != nil {
				p.AttachType = ebpf.AttachTraceUprobeMulti
			}
		}
	}
	return &prog.Spec{
		Name:       "malloc",
		Collection: coll,
		Probes: []prog.Probe{
			{Program: bpfProgTargetFork, Kind: prog.RawTracepoint, Name: "sched_process_fork"},
			{Program: bpfProgTaskFork, Kind: prog.RawTracepoint, Name: "sched_process_fork"},
			// What is told of an end is told while the process is still one of the tree.
			{Program: bpfProgTaskExit, Kind: prog.RawTracepoint, Name: "sched_process_exit"},
			{Program: bpfProgTargetExit, Kind: prog.RawTracepoint, Name: "sched_process_exit"},
			{Program: bpfProgTaskExec, Kind: prog.RawTracepoint, Name: "sched_process_exec"},
		},
		Ring:        bpfMapRecords,
		Counters:    bpfMapCounters,
		LostReasons: LostReasons,
		Uncosted:    true,
	}, nil
}

func (o Options) constants() map[string]any {
	bit := func(b bool) uint32 {
		if b {
			return 1
		}
		return 0
	}
	return map[string]any{
		bpfVarWantFilter: bit(o.Filter), bpfVarWantOutstanding: bit(o.Outstanding), bpfVarWantSample: max(1, o.Sample),
		bpfVarWantMin: o.MinSize, bpfVarWantCookie: bit(o.Cookie),
		bpfVarHashSeed: rand.Uint64(), bpfVarHashOdd: rand.Uint64() | 1, bpfVarCheckOdd: rand.Uint64() | 1,
	}
}

// TreeLive and TreeSeeded name the variables that count the living processes of the followed tree: see open.
const (
	TreeLive   = bpfVarTargetLive
	TreeSeeded = bpfVarTargetSeeded
)

// Missed says what it means when the kernel left out runs of the programs.
const Missed = "so many calls are missing in the sums"
