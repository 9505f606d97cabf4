package compile

import (
	"strconv"
	"strings"

	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// isArgs says whether e is the builtin args, or *args of older scripts.
func isArgs(e syntax.Expr) bool {
	switch e := e.(type) {
	case *syntax.Ident:
		return e.Name == "args"
	case *syntax.Call:
		return e.Func == "args" && len(e.Args) == 0
	case *syntax.Unary:
		return e.Op == syntax.OpDeref && isArgs(e.X)
	}
	return false
}

// registers are where the context of kprobes, uprobes and perf events has the machine's registers.
type registers struct {
	args  []int // of the arguments of functions
	ret   int
	ip    int
	sp    int
	names map[string]int
}

var registersOf = map[string]*registers{
	"amd64": {
		args: []int{112, 104, 96, 88, 72, 64}, ret: 80, ip: 128, sp: 152,
		names: map[string]int{
			"r15": 0, "r14": 8, "r13": 16, "r12": 24, "bp": 32, "bx": 40, "r11": 48, "r10": 56, "r9": 64, "r8": 72, "ax": 80,
			"cx": 88, "dx": 96, "si": 104, "di": 112, "orig_ax": 120, "orig_rax": 120, "fp": 32, "ip": 128, "pc": 128, "cs": 136, "flags": 144, "sp": 152, "ss": 160,
		},
	},
	"arm64": {
		args: []int{0, 8, 16, 24, 32, 40, 48, 56}, ret: 0, ip: 256, sp: 248,
		names: map[string]int{"sp": 248, "pc": 256, "ip": 256, "pstate": 264, "lr": 240, "fp": 232},
	},
}

// register is the offset of a register by its name.
func (r *registers) register(name string) (off int, ok bool) {
	if off, ok = r.names[name]; ok {
		return off, true
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(name, "r")); err == nil && r == registersOf["arm64"] && n >= 0 && n <= 30 && name[0] == 'r' {
		return 8 * n, true
	}
	return 0, false
}

func (f *fn) registers() *registers { return registersOf[f.t.Machine()] }

// hasRegisters says whether the context begins with the machine's registers.
func (f *fn) hasRegisters() bool {
	switch f.plan.kind {
	case prog.Kprobe, prog.Kretprobe, prog.KprobeMulti, prog.KretprobeMulti, prog.KprobeSession,
		prog.Uprobe, prog.Uretprobe, prog.UprobeMulti, prog.UretprobeMulti,
		prog.Profile, prog.Interval, prog.Software, prog.Hardware:
		return f.registers() != nil
	}
	return false
}

// word is a word of the context; it does not change.
func (f *fn) word(off int) ir.Value { return f.LoadPure(f.ctx, off, 8, false) }

// argument is argN.
func (f *fn) argument(e syntax.Expr, n int) value {
	t := f.typeOf(e)
	switch {
	case f.hasRegisters() && n < len(f.registers().args):
		return f.narrowed(f.word(f.registers().args[n]), t)
	case f.plan.kind == prog.Fentry || f.plan.kind == prog.Fexit || f.plan.kind == prog.TypedTracepoint || f.plan.kind == prog.RawTracepoint:
		return value{t: t, v: f.word(8 * n)}
	}
	f.refuse(e, "arg"+strconv.Itoa(n)+" is not to be had here", "")
	return f.nothing(t)
}

// retval is what the function returned.
func (f *fn) retval(e syntax.Expr) value {
	t := f.typeOf(e)
	switch {
	case f.plan.kind == prog.Fexit:
		return f.contextValue(8*len(f.program.Params), t)
	case f.hasRegisters():
		return f.narrowedWord(f.word(f.registers().ret), t)
	}
	f.refuse(e, "retval is not to be had here", "")
	return f.nothing(t)
}

// narrowedWord is a word of the context as t has it.
func (f *fn) narrowedWord(w ir.Value, t *types.Type) value {
	if t.IsInt() {
		return f.narrowed(w, t)
	}
	return value{t: t, v: w}
}

// contextValue is a word of a typed context: an argument of a function or tracepoint, a return value.
func (f *fn) contextValue(off int, t *types.Type) value {
	v := f.narrowedWord(f.word(off), t)
	if t.Kind == types.Pointer && t.Elem != nil && t.Elem.Kind == types.Struct && t.Elem.BTF != 0 {
		v.trusted = f.trustsContext()
	}
	return v
}

// trustsContext says whether pointers in the context may be followed at once. Later kernels take some for possibly NULL;
// those have the cast.
func (f *fn) trustsContext() bool { return f.plan.kind != prog.Iter && !f.castsPointers() }

// argField is args.x.
func (f *fn) argField(e *syntax.Field) location {
	t := f.typeOf(e)
	args := f.program.Args
	if args == nil {
		return location{kind: known, t: t, val: f.nothing(t), node: e}
	}
	field, ok := args.Field(e.Name)
	if !ok {
		f.refuse(e, "args has no field "+e.Name, "")
		return location{kind: known, t: t, val: f.nothing(t), node: e}
	}
	if t == nil {
		t = field.Type
	}
	if f.program.Kind != check.Tracepoint {
		if field.Type.Kind == types.Struct {
			return location{kind: inContext, t: field.Type, m: mem{base: f.ctx, off: field.Offset}, node: e}
		}
		return location{kind: known, t: t, val: f.contextValue(field.Offset, t), node: e}
	}
	if f.plan.raw != rawNone {
		return f.syscallField(e, field, t)
	}
	if field.DataLoc {
		// Where the content is: the low half of the word, counted from the beginning of the record.
		at := f.Bin(ir.OpAdd, f.ctx, f.LoadPure(f.ctx, field.Offset, 2, false))
		if t.Kind == types.Pointer {
			return location{kind: known, t: t, val: value{t: t, v: at}, node: e}
		}
		return location{kind: far, t: t, base: at, space: types.SpaceKernel, node: e}
	}
	if field.Type.Kind == types.Array && t.Kind != types.String {
		t = field.Type
	}
	l := location{kind: inContext, t: t, m: mem{base: f.ctx, off: field.Offset}, node: e}
	if t.InRegister() && t.Kind != types.Pointer && t.Size > 0 && field.Type.Size > 0 && t.Size != field.Type.Size {
		l.t = field.Type
	}
	l.bits, l.bOff = field.Bits, field.BitOffset
	return l
}

// argsTo writes the whole of args at dst.
func (f *fn) argsTo(e syntax.Expr, dst mem, t *types.Type) {
	f.zeroAt(dst, t.Size)
	for _, field := range t.AllFields() {
		if field.Name == "" || field.Offset+field.Type.Size > t.Size {
			continue
		}
		in, ok := f.program.Args.Field(field.Name)
		if !ok {
			continue
		}
		off := in.Offset
		to := dst.at(field.Offset)
		switch {
		case f.plan.raw != rawNone:
			f.fetchTo(f.syscallField(&syntax.Field{At: syntax.At{S: e.Span()}, X: e, Name: field.Name}, in, field.Type), to, field.Type)
		case f.program.Kind == check.Tracepoint:
			f.words(to, off, field.Type.Size, func(off, width int) ir.Value { return f.LoadPure(f.ctx, off, width, false) })
		case field.Type.InRegister():
			f.store(to, field.Type.Size, f.contextValue(off, field.Type).v)
		}
	}
}

// contextField is ctx.x.
func (f *fn) contextField(e *syntax.Field, x *types.Type) location {
	s := x.Elem
	if s == nil {
		s = x
	}
	field, ok := s.Field(e.Name)
	if !ok {
		f.refuse(e, "ctx has no field "+e.Name, "")
		return location{kind: known, t: f.typeOf(e), val: f.nothing(f.typeOf(e)), node: e}
	}
	if f.plan.kind == prog.Iter && field.Type.Kind == types.Pointer && !f.castsPointers() {
		return location{kind: known, t: field.Type, val: f.iterated(field.Offset, field.Type), node: e}
	}
	return location{kind: inContext, t: field.Type, m: mem{base: f.ctx, off: field.Offset}, node: e, bits: field.Bits, bOff: field.BitOffset}
}

// iterated is a pointer in the context of an iterator. The verifier lets none be followed that may be NULL.
func (f *fn) iterated(off int, t *types.Type) value {
	p := f.Func.NewVar()
	f.Set(p, f.word(off))
	null, known := f.Func.NewBlock("null"), f.Func.NewBlock("known")
	f.BranchImm(ir.Eq, p, 0, null, known)
	f.Goto(null)
	f.Set(p, f.Const(0))
	f.Jump(known)
	f.Goto(known)
	return value{t: t, v: p}
}

// firstObject is where in the context of an iterator what it has come to is, behind bpf_iter_meta. It is NULL when the
// kernel runs the program once more at the end, which scripts do not expect.
const firstObject = 8

// function is func: the address of the function that is probed.
func (f *fn) function(e syntax.Expr) value {
	t := f.typeOf(e)
	if t.Kind != types.USym {
		return value{t: t, v: f.functionAddress(e)}
	}
	m := f.alloc(t.Size, 8, "usym")
	f.probedSymbolTo(e, m)
	return value{t: t, m: m}
}

// probedSymbolTo writes func of a uprobe at dst.
func (f *fn) probedSymbolTo(e syntax.Node, dst mem) {
	if f.point != nil && !f.tellsFunction() {
		f.userSymbolTo(e, dst, f.Const(int64(f.point.FileOff)), types.USymOffset)
		return
	}
	f.userSymbolTo(e, dst, f.functionAddress(e), types.USymProbe)
}

// tellsFunction says whether the kernel tells, at the return of a function of a process, which it is. Where it does not,
// bpf_get_func_ip gives something else, so that it is no use to ask whether there is one.
func (f *fn) tellsFunction() bool {
	return f.program.Kind != check.Uretprobe || f.t.Has(kernel.UprobeMulti)
}

func (f *fn) functionAddress(e syntax.Node) ir.Value {
	entry := f.program.Kind == check.Kprobe || f.program.Kind == check.Uprobe
	switch {
	case entry && f.hasRegisters() && f.plan.kind != prog.KprobeMulti:
		return f.word(f.registers().ip)
	case f.tellsFunction() && f.helper(fnGetFuncIP):
		return f.CallPure(fnGetFuncIP, f.ctx)
	case f.hasRegisters() && entry:
		return f.word(f.registers().ip)
	case f.point != nil && f.program.Kind == check.Kretprobe:
		if addr, ok := f.t.Symbol(f.point.Name); ok {
			return f.Const(int64(addr))
		}
	}
	f.refuse(e, "this kernel does not tell which function is returning", "write one probe for each function, with its name as a string")
	return f.Const(0)
}

// reg is reg("name").
func (f *fn) reg(c *syntax.Call) value {
	t := f.typeOf(c)
	if name := f.constOf(c.Args[0]); name != nil && f.hasRegisters() {
		if off, ok := f.registers().register(name.Str); ok {
			return value{t: t, v: f.word(off)}
		}
		f.refuse(c, "this machine has no register "+strconv.Quote(name.Str), "")
		return f.nothing(t)
	}
	f.refuse(c, "reg is not to be had here", "")
	return f.nothing(t)
}
