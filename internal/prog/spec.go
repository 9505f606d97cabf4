package prog

import "github.com/cilium/ebpf"

// ProbeKind is how a program is attached: the kernel's own name for it.
type ProbeKind uint8

const (
	RawTracepoint ProbeKind = iota // Name is the tracepoint ("sys_enter")
	Tracepoint                     // Group and Name ("syscalls", "sys_enter_execve")
)

// Probe ties one program of the collection to one attach point.
type Probe struct {
	Program string // name in Spec.Collection.Programs
	Kind    ProbeKind
	Group   string
	Name    string
}

// Spec is the hand-over object: what a ready tool, a script or an object file wants to run. It is pure: the same
// source and the same flags give the same Spec, on any kernel and without privileges.
type Spec struct {
	Name       string
	Collection *ebpf.CollectionSpec
	Probes     []Probe
	// Ring names the ring buffer map that records come through; empty if there is none.
	Ring string
	// Counters names the per-CPU array whose one value is a Counters block (see stream); empty if there is none.
	Counters string
	// LostReasons names the loss counters of that block, in its order.
	LostReasons []string
	// Pins maps a map's name to the path of a pinned map that takes its place.
	Pins map[string]string
	// Fill holds first contents of maps: written after load, before any probe is attached.
	Fill []MapFill
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

// CgroupPath is a MapFill Value for a cgroup array: the cgroup v2 directory at that path.
type CgroupPath string
