package compile

import (
	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// lowerer turns one script's tree and facts into IR, program by program.
type lowerer struct {
	t    kernel.Target
	info *check.Info
	opt  Options
	out  *Program

	maps    map[string]*Map // by name with its @
	cells   cellArea        // scalar maps
	texts   textArea        // read-only data
	formats map[string]int  // index in out.Formats
	diags   []syntax.Diagnostic
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
}

// fn is one BPF function being lowered: a program, or the callback of a for-each.
type fn struct {
	*lowerer
	ir.Builder
	irp     *ir.Program
	program *check.Program
	// point is the one attach point the code is for, nil when it serves several.
	point *check.Point
	ctx   ir.Value

	vars  map[*check.Variable]*variable
	loops []loop
	// done is where a return goes: it gives back the scratch memory and ends the program.
	done   *ir.Block
	result ir.Value // variable: what the program returns

	scratch scratchArea
	// outer is the function that a callback belongs to; frame is the callback's pointer to what it shares with it.
	outer *fn
	frame ir.Value
}

// variable is where a scratch variable is kept: in a virtual register, or in memory.
type variable struct {
	reg   ir.Value
	m     mem
	inMem bool
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
//	lower_program.go  compileProgram(p *check.Program, points []check.Point): prologue, predicate, body, epilogue
//	lower_expr.go     expr(e) value; exprTo(e, dst mem, t); cond(e, then, els); convert(v value, t) ir.Value; copyTo(dst, value, t)
//	lower_stmt.go     block, stmt; variables; if, while, unroll, jumps
//	lower_range.go    for over ranges
//	lower_context.go  args, argN, retval, reg, func, probe: what the context of each probe kind gives
//	lower_builtin.go  pid, comm, nsecs... ; lower_call.go: functions with a value
//	lower_struct.go   fields, dereferences, arrays, bit fields: direct loads and probe reads
//	lower_string.go   str, comparison, search; strTo(e, dst mem, max int) ir.Value: bytes written
//	lower_map.go      look-ups, assignments, delete, has_key, len
//	lower_aggregate.go count, sum, ... hist
//	lower_foreach.go  for over maps: callbacks
//	lower_emit.go     sites and records: printf, print, ...; lower_error.go: run-time errors
//	storage.go        where each map is kept; area.go: cells, texts, scratch
//	attachpoint.go    how each probe is attached (prog.Probe), families of system calls

func (l *lowerer) typeOf(e syntax.Expr) *types.Type { return l.info.Types[e] }

func (l *lowerer) constOf(e syntax.Expr) *check.Const { return l.info.Consts[e] }
