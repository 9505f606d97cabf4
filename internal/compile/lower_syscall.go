package compile

import (
	"encoding/binary"

	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// Tracepoints of system calls can be had from the typed raw tracepoints sys_enter(regs, id) and sys_exit(regs, ret), which
// cost less. What their records would hold is found in the registers; what the kernel does before it makes a record, the
// program does itself: it looks at the number, and leaves out system calls by the machine's 32-bit interface.

// Where in the record of such a tracepoint things would be.
const (
	recordNumber = 8
	recordValues = 16
)

// syscallRegs are the offsets in struct pt_regs of a system call's arguments.
var syscallRegs = map[string][]int{
	"amd64": {112, 104, 96, 56, 72, 64},
	"arm64": {0, 8, 16, 24, 32, 40},
}

// syscallNumber is the number of the system call.
func (f *fn) syscallNumber() ir.Value {
	if f.plan.raw == rawEnter || f.plan.raw == rawSysEnter {
		return f.word(8)
	}
	field, size := "orig_ax", 8
	if f.t.Machine() == "arm64" {
		field, size = "syscallno", 4
	}
	off := 120
	if k, ok := f.kernelField("pt_regs", field); ok {
		off, size = k.offset, k.size
	}
	return f.LoadPure(f.word(0), off, size, true)
}

// filterNumber leaves out system calls that are not asked for.
func (f *fn) filterNumber(skip *ir.Block) {
	ids := f.plan.ids
	if len(ids) == 0 {
		return
	}
	next := f.Func.NewBlock("wanted")
	nr := f.syscallNumber()
	if len(ids) <= 4 {
		for i, id := range ids {
			no := skip
			if i+1 < len(ids) {
				no = f.Func.NewBlock("or")
			}
			f.BranchImm(ir.Eq, nr, int64(id), next, no)
			f.Goto(no)
		}
		f.Goto(next)
		return
	}
	// One bit for each number.
	most := 0
	for _, id := range ids {
		most = max(most, id)
	}
	words := make([]uint64, most/64+1)
	for _, id := range ids {
		words[id/64] |= 1 << (id % 64)
	}
	var table []byte
	for _, w := range words {
		table = binary.LittleEndian.AppendUint64(table, w)
	}
	inTable := f.Func.NewBlock("number")
	f.BranchImm(ir.Le, nr, int64(most), inTable, skip)
	f.Goto(inTable)
	at := f.BinImm(ir.OpShl, f.BinImm(ir.OpShr, nr, 6), 3)
	word := f.LoadPure(f.PtrAdd(f.MapValue(mapTexts, f.texts.add(table)), at, int64(len(table)-8)), 0, 8, false)
	bit := f.Bin(ir.OpShr, word, f.BinImm(ir.OpAnd, nr, 63))
	f.BranchImm(ir.Test, bit, 1, next, skip)
	f.Goto(next)
}

// Offsets in struct pt_regs of amd64 (arch/x86/include/uapi/asm/ptrace.h).
const (
	regsCX = 88
	regsIP = 128
)

// filterCompat leaves out system calls by the 32-bit interface, whose numbers mean others. The kernel's own mark of them is
// in the task, and takes a call to get at. The instruction SYSCALL, by which nearly all come on amd64, leaves a trace in the
// registers: it puts the address of the next instruction into rcx. Where that is not so the mark decides.
func (f *fn) filterCompat(skip *ir.Block) {
	if f.plan.raw != rawEnter && f.plan.raw != rawExit {
		return
	}
	next := f.Func.NewBlock("native")
	path, flag := "status", int64(2) // TS_COMPAT
	if f.t.Machine() == "arm64" {
		path, flag = "flags", 1<<22 // TIF_32BIT
	} else {
		unsure := f.Func.NewBlock("unsure")
		regs := f.word(0)
		f.Branch(ir.Eq, f.LoadPure(regs, regsCX, 8, false), f.LoadPure(regs, regsIP, 8, false), next, unsure)
		f.Goto(unsure)
	}
	v, ok := f.taskField([]string{"task_struct", "thread_info", path})
	if !ok {
		f.Jump(next)
		f.Goto(next)
		return
	}
	f.BranchImm(ir.Test, v, flag, skip, next)
	f.Goto(next)
}

// syscallField is a field of the record that the tracepoint would make.
func (f *fn) syscallField(e *syntax.Field, field types.Field, t *types.Type) location {
	l := location{kind: known, t: t, node: e}
	switch {
	case field.Offset == recordNumber:
		l.val = f.narrowedWord(f.syscallNumber(), t)
	case f.plan.raw == rawExit || f.plan.raw == rawSysExit:
		l.val = f.narrowedWord(f.word(8), t)
	case field.Type.Kind == types.Array:
		// All six arguments of raw_syscalls.
		m := f.alloc(field.Type.Size, 8, "args")
		for i := range field.Type.Len {
			f.store(m.at(8*i), 8, f.syscallArg(i))
		}
		l.t = field.Type
		l.val, l.m = value{t: field.Type, m: m}, m
	default:
		l.val = f.narrowedWord(f.syscallArg((field.Offset-recordValues)/8), t)
	}
	return l
}

func (f *fn) syscallArg(n int) ir.Value {
	regs := syscallRegs[f.t.Machine()]
	if n < 0 || n >= len(regs) {
		return f.Const(0)
	}
	return f.LoadPure(f.word(0), regs[n], 8, false)
}

// syscallElement is args.args[n] of raw_syscalls:sys_enter; the other five need not be read.
func (f *fn) syscallElement(e *syntax.Index) (location, bool) {
	x, ok := e.X.(*syntax.Field)
	c := f.constOf(e.I)
	if !ok || c == nil || f.plan.raw != rawSysEnter || !isArgs(x.X) {
		return location{}, false
	}
	field, ok := f.program.Args.Field(x.Name)
	if !ok || field.Type.Kind != types.Array || c.Int >= uint64(field.Type.Len) {
		return location{}, false
	}
	t := field.Type.Elem
	return location{kind: known, t: t, val: f.narrowedWord(f.syscallArg(int(c.Int)), t), node: e}, true
}
