// Package compile turns the source of a bpftrace script into a Program: what attach loads, what the running script
// does with the records. It is pure: the same source, options and answers of the Target give the same Program.
//
// The phases are packages: syntax, check, ir, codegen; only the lower_*.go files here see both the tree and the IR.
package compile

import (
	"sonde/internal/compile/check"
	"sonde/internal/compile/codegen"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/prog"
)

// Options are what the command line says.
type Options struct {
	check.Options
	// Tree restricts every probe to the processes in the map of that name (--tree); "" for none.
	Tree string
	// Warnings adds an event for every failed read and look-up (-k).
	Warnings bool
	// Stages are the phases whose text form is wanted: "ast", "types", "ir", "asm".
	Stages []string
	// NoOptimize keeps attach points and code as written.
	NoOptimize bool
	// ChildPID is the process of -c, for cpid; 0 if there is none.
	ChildPID int
	// Generate makes code of IR; nil for codegen.Generate. Tests have faults put in by it.
	Generate func(*ir.Program) (*codegen.Code, error)
	// ThreadSets is the size of tables by thread, in sets; 0 for the default. Tests make them small.
	ThreadSets int
	// RingSize is the size of the ring in bytes, 0 for the default.
	RingSize int
}

// Program is a compiled script.
type Program struct {
	Spec   *prog.Spec
	Source *syntax.Source
	Config check.Config
	Help   []check.ScriptOption
	Sites  []Site // the type of a record is an index into Sites
	Maps   []Map  // sorted by name
	// Formats are texts that values refer to by index: those of strftime and cgroup_path.
	Formats []string
	// Begin, End and Signals are programs to be run with attach's Session.Run, in order.
	Begin, End []string
	Signals    []SignalProgram
	// Points are the attach points as shown: "kprobe:vfs_read".
	Points []string
	// Iter are the programs of iter probes: they run while their text is read.
	Iter []string
	// Positions leads from a program's instructions to the source: byte offsets, -1 for none.
	Positions map[string][]int32
	// Elapsed is where the start of the run belongs, as nsecs counts it: a u64, to be written before the probes are on. Its
	// Map is "" if the script does not ask.
	Elapsed Cell
	// Choices are the optimisations that changed how a probe is attached, one line each, for -v.
	Choices []string
	// Stages are the text forms of the phases, filled on demand.
	stages stages
}

// Cell is a place in the one value of an array map.
type Cell struct {
	Map    string
	Offset int
}

// SignalProgram runs when sonde gets a signal.
type SignalProgram struct {
	Signal  string
	Program string
}

// Site is a place in the script that sends records: what they hold, and what is to be done with them.
type Site struct {
	Kind SiteKind
	Span syntax.Span
	// Text is the format of printf and its like, time's format, join's separator, the message of a runtime error.
	Text string
	// Map is the map of print, clear and zero.
	Map string
	// Fields are the values in the record, behind its header.
	Fields []Field
	// Size is that of the fixed part, header included; strings follow it, in the order of the fields.
	Size int
	// Probe is the number of the attach point's file for usym without a pid, see types.USym.
	Probe int
}

// SiteKind says what a record is for.
type SiteKind uint8

const (
	SitePrintf SiteKind = iota
	SiteErrorf
	SiteWarnf
	SitePrintMap   // fields: top, div (ints)
	SitePrintValue // one field
	SiteClear
	SiteZero
	SiteExit // one field: the code
	SiteTime
	SiteJoin         // fields: strings; Text is the separator
	SiteCat          // as printf: the path
	SiteSystem       // as printf: the command
	SiteHelperError  // fields: the helper's number (u32), its result (i32); Text names it
	SiteRuntimeError // Text is the message
	// SiteNewProcess: a pid whose symbols will be asked for; where a uprobe is in it and in its file, or 0 and 0. It comes
	// through Spec.Urgent.
	SiteNewProcess
	// SiteMapping: what such a process has mapped, as far as its addresses have to do with it; see ParseMapping.
	SiteMapping
	SiteDebug
)

// Field is a value in a record.
type Field struct {
	Type   *types.Type
	Offset int // in the record, from the start of its header
	// Tail marks a string in the tail: at Offset is a u32, the number of its bytes there, the closing NUL included. It was
	// cut if that is Type.Size. Others lie at Offset in the layout of their type.
	Tail bool
	// Const is set for a value that is known: it is not in the record.
	Const *check.Const
}

// Storage says how a script's map is kept.
type Storage uint8

const (
	// StoreHash: a hash map, keys and values in the layout of their types.
	StoreHash Storage = iota
	// StorePerCPUHash: per-CPU values, to be added up (count, sum, hist...), compared (min, max) or, where the script
	// declared the map so, added.
	StorePerCPUHash
	// StoreCell: in the array map Array, at Offset: u64 set, then the value.
	StoreCell
	// StoreCPUCells: in the array map Array, at Offset, one slot of Stride bytes for each possible CPU: u64 set, then the value.
	StoreCPUCells
)

// Map is a map of the script as the runtime reads it.
type Map struct {
	Name       string // with its @
	Storage    Storage
	BPF        string // name in the collection
	Offset     int    // of cells; of the table by thread
	Stride     int
	Slots      int
	Key        *types.Type   // nil for scalar maps; a scalar map in a hash has one u64 key 0
	KeyParts   []syntax.Span // where in the source the parts of the key stand
	Value      *types.Type
	MaxEntries int
	// Sets is not 0 for a hash that has a table by thread before it, in the array map Threads, at Offset: its size. An element
	// is either in the one or in the other.
	Sets int
	// BucketKey says that the bucket's number is appended to the key (8 bytes), the value being a count; otherwise the
	// value of a hist or lhist is the array of its buckets, a u64 each.
	BucketKey bool
}

// Value layouts of aggregates, per CPU: Count, Sum u64; Min, Max {u64 value, u64 set}; Avg, Stats {u64 total, u64 count};
// Hist, LHist: u64 buckets.

// Position is where in the source the instruction of a program comes from, by its index; NoPos if that is not known.
func (p *Program) Position(program string, insn int) syntax.Pos {
	if at := p.Positions[program]; insn >= 0 && insn < len(at) {
		return syntax.Pos(at[insn])
	}
	return syntax.NoPos
}

// Nearest returns the name that another is most likely a slip of, or "".
func Nearest(name string, names []string) string { return check.Nearest(name, names) }
