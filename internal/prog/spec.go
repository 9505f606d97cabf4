package prog

import "github.com/cilium/ebpf"

// ProbeKind is how a program is attached: the kernel's own name for it.
type ProbeKind uint8

const (
	RawTracepoint ProbeKind = iota // Name is the tracepoint ("sys_enter")
	Tracepoint                     // Group and Name ("syscalls", "sys_enter_execve")

	TypedTracepoint // Name is the tracepoint; a program of type Tracing with expected attach type TraceRawTp (tp_btf)
	Kprobe          // Name (function or address in Address), Offset; Group is the module or ""
	Kretprobe
	KprobeMulti // Names, all with one link (6.0 upstream: CONFIG_FPROBE)
	KretprobeMulti
	KprobeSession // Names; one program for entry and return
	Uprobe        // Path, Addresses (file offsets), PID
	Uretprobe
	UprobeMulti // Path, Addresses; all with one link
	UretprobeMulti
	Fentry   // Name; Group is the module or "" for vmlinux
	Fexit    // the same
	Interval // Period in ns, one CPU
	Profile  // Frequency in Hz or Period in ns, every CPU
	Software // Name of the event, Period is its count; every CPU
	Hardware
	Iter          // Name ("task"); Path is where to pin, "" for none
	Watchpoint    // Address, Length, Mode, PID; on every CPU
	TestRun       // run by Session.Run with BPF_PROG_TEST_RUN, never attached: begin, end, self
	LSM           // Name is the hook ("file_open"); a program of type LSM. Where BPF LSM is not active it attaches and never runs
	FmodRet       // Name is the function ("security_file_open"); a program of type Tracing with expected attach type ModifyReturn
	UprobeSession // Path, Addresses; one program for entry and return (6.13)
)

// Probe ties one program of the collection to one attach point.
type Probe struct {
	Program string // name in Spec.Collection.Programs
	Kind    ProbeKind
	Group   string
	Name    string

	Offset    uint64   // of kprobes: bytes behind the symbol
	Address   uint64   // of a kprobe on an address
	Names     []string // of multi kinds: the functions
	Cookies   []uint64 // of multi kinds, parallel to Names or Addresses; nil for none
	Cookie    uint64   // of single kinds, for bpf_get_attach_cookie where the kernel has it
	Path      string   // of uprobes: the file
	Addresses []uint64 // of uprobes: offsets in the file
	// RefCounters are offsets in the file, parallel to Addresses: words that the kernel counts up while the uprobe is on
	// (semaphores of USDT). nil for none, 0 for an address without.
	RefCounters []uint64
	PID         int    // only this process (uprobes, perf events); 0 for all
	Period      uint64 // of timers, in ns; of events, in counts
	Frequency   uint64 // of timers, in Hz; instead of Period
	Length      uint64 // of watchpoints: bytes
	Mode        string // of watchpoints: of the letters r, w and x

	// Shown is the attach point as the user knows it ("kprobe:vfs_read"), for messages.
	Shown string
	// Missing says what to do when it cannot be attached.
	Missing MissingPolicy
	// Alternative is a number that probes have in common which are alternatives of each other, 0 for others: that some of
	// them cannot be attached is told, that none can is as Missing says.
	Alternative int
}

// MissingPolicy says what a probe that cannot be attached means.
type MissingPolicy uint8

const (
	MissingError  MissingPolicy = iota // the run fails
	MissingWarn                        // it is told, the run goes on
	MissingIgnore                      // the run goes on
)

// Spec is the hand-over object: what a ready tool, a script or an object file wants to run. It is pure: the same
// source and the same flags give the same Spec, on any kernel and without privileges.
type Spec struct {
	Name       string
	Collection *ebpf.CollectionSpec
	Probes     []Probe
	// Ring names the ring buffer map that records come through; empty if there is none.
	Ring string
	// Urgent names a second ring buffer map, for records that cannot wait until others are read; empty if there is none.
	Urgent string
	// Counters names the per-CPU array whose one value is a Counters block (see stream); empty if there is none.
	Counters string
	// LostReasons names the loss counters of that block, in its order.
	LostReasons []string
	// Pins maps a map's name to the path of a pinned map that takes its place.
	Pins map[string]string
	// Fill holds first contents of maps: written after load, before any probe is attached.
	Fill []MapFill
	// Fleeting names hash maps whose elements come and go with each event, in programs that run where interrupts come through
	// (those for system calls do). Their elements are made when they come, where the kernel has an allocator for that (6.1);
	// else all at the start.
	Fleeting []string
	// Lean says that no instruction has CO-RE relocations, that each program's instructions are complete (with the
	// subprograms and callbacks that they refer to), and that there are no Variables: loading takes a shorter way then, and
	// counts what the programs cost only where Stats asks for it. Maps with BPF_F_RDONLY_PROG are frozen after their
	// Contents are written.
	Lean bool
	// Foreign says that the programs are the user's own: what the verifier refuses is for the user to mend (the error is a
	// *Refused), and the types of maps and the lines of the source are given to the kernel with them.
	Foreign bool
	// Stats switches the kernel's statistics of BPF programs on for a Lean Spec; that costs each run some 90 ns.
	Stats bool
	// Uncosted leaves those statistics off for any other Spec too.
	Uncosted bool
}

// MapFill is one entry to be written to a map before the probes are on. Key and Value are as Map.Put takes them.
type MapFill struct {
	Map        string
	Key, Value any
}

// Record is one record from the kernel. Body is only valid until the handler that got it returns.
type Record struct {
	Type uint16 // the tool's own numbering
	CPU  uint16 // on which it was made
	Seq  uint64 // counts the records of that CPU from 1, lost ones too
	Time uint64 // CLOCK_BOOTTIME or CLOCK_MONOTONIC nanoseconds, as the tool's programs took it
	Body []byte // what follows the common header
}

// ProgramName is a MapFill Value for a program array: the program of the Spec's collection that has that name.
type ProgramName string

// CgroupPath is a MapFill Value for a cgroup array: the cgroup v2 directory at that path.
type CgroupPath string
