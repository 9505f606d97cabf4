package compile

import (
	"github.com/cilium/ebpf"

	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// lowerer turns one script's tree and facts into IR, program by program.
type lowerer struct {
	t    kernel.Target
	info *check.Info
	opt  Options
	out  *Program

	maps    map[string]*Map // by name with its @
	cells   cellArea        // scalar maps
	threads cellArea        // tables by thread
	texts   textArea        // read-only data
	formats map[string]int  // index in out.Formats

	programs []*lowered
	growth   int // see mayGrow
	diags    []syntax.Diagnostic

	zeroCell    int                      // 1 + the offset of a cell that holds 0 for ever; 0: there is none yet
	extraMaps   map[string]*ebpf.MapSpec // besides those of the script: scratch memory, the processes seen
	hasControls bool                     // the script has records that must get through: exit, print, clear
	chatty      bool                     // probes that may run at any rate send records
}

// refuse says that what stands at n cannot be compiled for this kernel, or not yet.
func (l *lowerer) refuse(n syntax.Node, message, hint string) {
	l.diags = append(l.diags, syntax.Diagnostic{Span: n.Span(), Message: message, Hint: hint})
}

// mem is directly addressable memory: stack, map value, scratch, context.
type mem struct {
	base ir.Value
	off  int
	// slot is set for stack objects: the address is made anew at each use, so that it never occupies a register for long.
	slot   ir.Slot
	onSlot bool
}

// at is the memory n bytes further on.
func (m mem) at(n int) mem { m.off += n; return m }

// value is the value of an expression. Numbers and pointers are in v, extended to 64 bits as their type says. All else
// is bytes in memory, in the layout of t.
type value struct {
	t *types.Type
	v ir.Value
	m mem
	// trusted pointers are typed for the verifier: what they point to is read by plain loads.
	trusted bool
}

// plan is how a group of attach points is attached; attachpoint.go decides it.
type plan struct {
	kind prog.ProbeKind
	// raw is set where tracepoints of system calls became a raw or typed tracepoint of all of them; ids are the numbers
	// that are wanted then, nil for all.
	raw rawSyscall
	ids []int
}

// rawSyscall says whether the context is that of the raw tracepoints sys_enter or sys_exit, though the script has
// tracepoints of single system calls.
type rawSyscall uint8

const (
	rawNone     rawSyscall = iota
	rawEnter               // syscalls:sys_enter_NAME
	rawExit                // syscalls:sys_exit_NAME
	rawSysEnter            // raw_syscalls:sys_enter
	rawSysExit             // raw_syscalls:sys_exit
)

// fn is one BPF function being lowered: a program, or the callback of a for-each.
type fn struct {
	*lowerer
	ir.Builder
	irp     *ir.Program
	program *check.Program
	// points are the attach points that the code serves; point is the one, nil when there are several.
	points []check.Point
	point  *check.Point
	plan   plan
	ctx    ir.Value

	vars   map[*check.Variable]*variable
	habits map[*check.Variable]*habits
	loose  []*check.Variable // to be zeroed at the beginning
	scopes []*scope
	loops  []loop
	// done is where a return goes: it gives back the scratch memory and ends the program.
	done   *ir.Block
	result ir.Value // variable: what the program returns

	reports  int    // places that tell of failed helpers
	reporter string // the function that does it, see lower_error.go

	mapper      string // the function that tells of a mapping, see lower_mapping.go
	lastMapping int    // where in the frame the begin of the last one is

	scratch scratchArea
	// outer is the function that a callback belongs to; frame is the callback's pointer to what it shares with it, see
	// frame.go.
	outer  *fn
	frame  ir.Value
	shared *sharedFrame // of the outermost function
}

// variable is where a scratch variable is kept: in a virtual register, or in memory.
type variable struct {
	reg   ir.Value
	m     mem
	inMem bool
	// trusted says that a pointer in it is as good as when it was assigned: on the way here nothing else was.
	trusted bool
}

// loop is an enclosing loop: where break and continue go.
type loop struct {
	brk, cont *ir.Block
}

// addr is the address of m in a register.
func (f *fn) addr(m mem) ir.Value {
	if m.onSlot {
		return f.SlotAddr(m.slot, m.off)
	}
	if m.off == 0 {
		return m.base
	}
	return f.BinImm(ir.OpAdd, m.base, int64(m.off))
}

// base is a register and an offset to load from and store to.
func (f *fn) base(m mem) (ir.Value, int) {
	if m.onSlot {
		return f.SlotAddr(m.slot, 0), m.off
	}
	if m.off > 1<<14 {
		return f.BinImm(ir.OpAdd, m.base, int64(m.off)), 0
	}
	return m.base, m.off
}

func (f *fn) load(m mem, width int, signed bool) ir.Value {
	b, off := f.base(m)
	return f.Load(b, off, width, signed)
}

func (f *fn) store(m mem, width int, v ir.Value) {
	b, off := f.base(m)
	f.Store(b, off, width, v)
}

func (f *fn) storeImm(m mem, width int, n int64) {
	b, off := f.base(m)
	f.StoreImm(b, off, width, n)
}

func (f *fn) zero(m mem, size, align int) {
	b, off := f.base(m)
	f.Zero(b, off, size, align)
}

func (f *fn) copy(dst, src mem, size, align int) {
	db, doff := f.base(dst)
	sb, soff := f.base(src)
	f.Copy(db, doff, sb, soff, size, align)
}

// The parts of lowering, by file:
//
//	driver.go         Compile: the list of passes
//	lower_program.go  a program: prologue, predicate, body, epilogue
//	lower_expr.go     expressions; lower_convert.go: from one type to another
//	lower_stmt.go     statements and variables
//	lower_range.go    for over ranges
//	lower_context.go  args, argN, retval, reg, func, probe: what the context of each probe kind gives
//	lower_syscall.go  arguments and filter of system calls behind a raw tracepoint
//	lower_builtin.go  pid, comm, nsecs... ; lower_call.go: functions with a value; lower_table.go: those that look up names
//	lower_struct.go   fields, dereferences, arrays, bit fields: direct loads and probe reads
//	lower_string.go   str, literals, copies; lower_compare.go: comparison and search of what is not a number
//	lower_map.go      look-ups, assignments, delete, has_key, len
//	lower_thread.go   the same where a thread has its own element
//	lower_aggregate.go count, sum, ... hist
//	lower_foreach.go  for over maps: callbacks; frame.go: what they share with their program
//	lower_emit.go     sites and records: printf, print, ...; lower_error.go: run-time errors
//	storage.go        where each map is kept; threads.go: by thread; area.go: cells, texts; scratch.go: memory for large values
//	attachpoint.go    how each probe is attached (prog.Probe), families of system calls
//
// What they call of each other:
//
//	f.expr(e)           the value: a number or pointer in a register; all else in memory that may be read directly
//	f.exprTo(e, m, t)   the value in the layout of t at m: strings zero-padded, the holes of tuples zero
//	f.strTo(e, m, max)  a string at m, its NUL within max bytes; the result is the bytes written, NUL included (it may
//	                    count zeroes behind the first NUL)
//	f.convert(v, t)     a number or pointer as t
//	f.copyTo(m, v, t)   as exprTo, of a value at hand
//	f.truth(v)          1 or 0
//	f.cond(e, yes, no)  branches, and leaves no current block
//	f.block(b)          statements in a scope of their own; f.blockValue(b) with the last expression's value
//	f.declare(v)        room for a variable, zeroed where it begins; f.varPlace(v) where it is; f.setVar(v, value)
//	f.returnNow()       leaves the program
//	f.callback(...)     the function of a callback, see frame.go

func (l *lowerer) typeOf(e syntax.Expr) *types.Type { return l.info.Types[e] }

func (l *lowerer) constOf(e syntax.Expr) *check.Const { return l.info.Consts[e] }
