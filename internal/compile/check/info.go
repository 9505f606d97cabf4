// Package check turns a syntax tree into facts: attach points, names, types, map types, folded constants.
//
// It asks the kernel through kernel.Target only and generates nothing. All errors of a script come in one run.
package check

import (
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// Options are what the command line and the environment say about a script.
type Options struct {
	Positional []string          // $1...
	Named      map[string]string // --name=value, for getopt; a bare --name is "true"
	PID        int               // -p
	Command    bool              // -c: uprobes without a path mean the command's binary, Binary
	Binary     string
	Unsafe     bool
	// Settings override the config block: BPFTRACE_MAX_STRLEN=64 comes as "max_strlen": "64".
	Settings map[string]string
	// Keep says whether an expanded attach point is wanted (--probe-filter); nil keeps all.
	Keep func(point string) bool
	// Without are features that are switched off (--no-feature).
	Without map[string]bool
	// Includes are C texts that come before the preamble (--include), already read.
	Includes []*syntax.Source
	// Warnings off: none are made.
	NoWarnings bool
	// Demangle gives the name that a symbol of a program has in its source, with its parameters or without; nil where that
	// cannot be told, so that cpp: attach points are refused.
	Demangle func(symbol string, params bool) string
}

// Config is the settings in force: config block, then Options.Settings.
type Config struct {
	CacheUserSymbols string // "PER_PID", "PER_PROGRAM", "NONE"
	CppDemangle      bool
	LazySymbols      bool
	License          string
	LogSize          int
	MaxBPFProgs      int
	MaxCatBytes      int
	MaxMapKeys       int
	MaxProbes        int
	MaxStrlen        int
	MissingProbes    string // "error", "warn", "ignore"; "" is error for a probe that has no attach point here, else warn
	OnStackLimit     int
	PerfRBPages      int
	PrintMapsOnExit  bool
	StackMode        string
	StrTruncTrailer  string
}

// Info is what is known about a script. The maps' keys are nodes of the trees in Programs.
type Info struct {
	Config   Config
	Programs []*Program
	Maps     []*Map // in order of first use
	Funcs    []*syntax.Func
	// Types has the type of every expression; Consts the value of those that are known now. A folded expression is
	// still in the tree: whoever lowers looks into Consts first. What is below a folded expression, and the branch that a
	// constant condition never takes, may have no types.
	//
	// A type is the expression's own, before it is converted to what it is used as: whoever lowers extends an int8 that is put
	// into an int64. A map's aggregate (types.Count...) that stands where a number is needed has the aggregate's type, and
	// is read as a 64-bit integer of its sign. For arithmetic, both sides are extended to 64 bits by their own signs; / and %
	// are unsigned. Comparisons of integers go by types.Promote.
	Types  map[syntax.Expr]*types.Type
	Consts map[syntax.Expr]*Const
	// Vars resolves every *syntax.Var to the variable of its scope.
	Vars map[*syntax.Var]*Variable
	// TypeExprs resolves types as written.
	TypeExprs map[*syntax.TypeExpr]*types.Type
	// Help lists the script's own options: what getopt was called with.
	Help []ScriptOption
}

// Const is a value known at compile time.
type Const struct {
	Kind ConstKind
	Int  uint64 // also of bools; signed ones in two's complement
	Str  string
}

// ConstKind says which field of a Const counts.
type ConstKind uint8

const (
	ConstInt ConstKind = iota
	ConstString
	ConstBool
)

// ScriptOption is an option that getopt declares.
type ScriptOption struct {
	Name, Default, Help string
}

// Variable is a scratch variable of one program.
type Variable struct {
	Name string
	Type *types.Type
	// AddressTaken variables (&$x) and those that a for-each callback uses must live in memory.
	AddressTaken bool
	InCallback   bool
	// Level is the number of ForMap bodies around its declaration.
	Level int
}

// Map is a map of the script, over all programs.
type Map struct {
	Name       string // with its @
	Pos        syntax.Span
	Scalar     bool
	Key, Value *types.Type // Key is nil for scalar maps
	// Parts are where the parts of the key stand, at the map's first use.
	Parts      []syntax.Span
	Kind       string // of let @m = KIND(N): "hash", "lruhash", "percpuhash", "percpulruhash"; "" if not declared
	MaxEntries int
	// What the script does with it decides where it is kept.
	Iterated, Deleted, Cleared, Printed, Tested, AddressTaken, Length bool
	// Read says that the value is used in an expression.
	Read bool
}

// ProbeKind is the kind of an attach point as the language knows it.
type ProbeKind uint8

const (
	Begin ProbeKind = iota
	End
	Self
	Test
	Bench
	Interval
	Profile
	Tracepoint
	RawTracepoint
	Kprobe
	Kretprobe
	Fentry
	Fexit
	Uprobe
	Uretprobe
	USDT
	Software
	Hardware
	Watchpoint
	Iter
)

// Program is one body with the attach points that run it. Its Decl is a tree of its own: where arguments have other
// types at other attach points, the body is there once for each.
type Program struct {
	Kind   ProbeKind
	Decl   *syntax.Probe
	Points []Point
	// Args is the struct type of args: of a tracepoint's record (offsets in the record), of a function's parameters
	// (offset 8*i in the context of fentry and rawtracepoint). Nil where there is none.
	Args *types.Type
	// Params are the types of the function's parameters in order, of fentry, fexit and rawtracepoint.
	Params []*types.Type
	// Retval is the type of retval.
	Retval *types.Type
	// Format is the tracepoint's format.
	Format *kernel.TracepointFormat
	// Space is where arg0... and pointers in args point.
	Space types.Space
	// Uses are the builtins that the body uses ("args", "probe", "func", "ctx", "retval", "reg", "ustack", ...).
	Uses map[string]bool

	noArgs string // why Args is nil
}

// Point is one attach point, expanded.
type Point struct {
	Kind ProbeKind
	Text string // fully expanded: what the builtin probe gives
	Span syntax.Span
	// Group is the module of a function ("" if not named), the category of a tracepoint, the path of a uprobe.
	Group     string
	Name      string // function, event, signal
	Offset    uint64
	Address   uint64 // of a kprobe or uprobe on an address
	FileOff   uint64 // of uprobes: where in the file
	Period    uint64 // timers: ns; events: count
	Frequency uint64
	Syscall   int // number of the system call of a syscalls:sys_enter_x or sys_exit_x, -1 otherwise
	// Wild says that it came out of a wildcard.
	Wild bool
	// BTF is the ID of the function's or tracepoint's type, 0 if unknown.
	BTF uint32
}
