package codegen

import (
	"sonde/internal/compile/ir"
)

// vreg is a virtual register: a value of the function, or a temporary of codegen above them. 0 is none.
type vreg = ir.Value

// Operations of the machine beyond those of ir.
const (
	mParams ir.Op = 200 + iota // args = the registers of the arguments
	mReload                    // dst = the stack home of a
	mSpill                     // the stack home of dst = a
)

// noSlot in inst.slot says that the base of a memory access is the register a.
const noSlot ir.Slot = -1

// inst is an instruction whose operands eBPF can have: constants fit, memory is a register or the frame plus an offset.
// It has no machine registers yet.
type inst struct {
	op     ir.Op
	cond   ir.Cond
	width  uint8
	signed bool
	isImm  bool // the second operand is imm, not b
	dst    vreg
	a, b   vreg
	slot   ir.Slot // with loads and stores: the base is this slot and not a
	off    int32
	imm    int64
	args   []vreg    // of calls and mParams
	src    *ir.Instr // for symbols and clamps
	then   int32     // blocks in layout order
	els    int32
	pos    int32
}

// mblock is a block of insts[from:to].
type mblock struct {
	from, to int32
	preds    []int32
	succs    [2]int32 // -1 for none
	depth    int32    // loops around it
}

// home says how a value can be had again without its register.
type home uint8

const (
	homeNone  home = iota // in its register or on the stack
	homeCheap             // always made anew where it is used: it has no register of its own
	homeMade              // made anew if it gets no register
)

// vinfo is what codegen knows of a vreg.
type vinfo struct {
	home   home
	isVar  bool
	pinned bool      // is never spilled
	bound  bool      // the verifier knows a bound that a spill would lose
	def    *ir.Instr // of values with a home
	even   bool      // the pointer is a multiple of 8
	taint  ir.Slot   // the pointer may point into this slot; noSlot
}

// machine is a function on its way.
type machine struct {
	fn     *ir.Func
	insts  []inst
	blocks []mblock
	vregs  []vinfo
	// whole marks slots whose address goes where it cannot be followed: they are used from the first to the last.
	whole []bool
}

func (m *machine) newVreg(v vinfo) vreg {
	m.vregs = append(m.vregs, v)
	return vreg(len(m.vregs) - 1)
}

func (m *machine) temp() vreg { return m.newVreg(vinfo{pinned: true, taint: noSlot}) }

// operands calls use for the registers that in reads, and def for those it writes. late uses are needed until after the
// write: they must not share a register with it.
func (m *machine) operands(in *inst, use func(v vreg, late bool), def func(v vreg)) {
	switch {
	case in.op == mParams:
		for _, v := range in.args {
			if v != 0 {
				def(v)
			}
		}
		return
	case in.op.IsCall():
		for _, v := range in.args {
			if m.vregs[v].home != homeCheap {
				use(v, false)
			}
		}
	default:
		if in.a != 0 {
			use(in.a, lateA(in))
		}
		if in.b != 0 {
			use(in.b, lateB(in))
		}
	}
	if in.dst != 0 {
		def(in.dst)
	}
}

// lateA and lateB say where the code for in writes dst before it has read the operand for the last time.
func lateA(in *inst) bool {
	switch in.op {
	case ir.OpCmp, ir.OpPtrAdd, ir.OpXchg, ir.OpFetchAdd:
		return true
	}
	return false
}

func lateB(in *inst) bool {
	switch in.op {
	case ir.OpCmp, ir.OpMin:
		return true
	case ir.OpSub, ir.OpDiv, ir.OpMod, ir.OpShl, ir.OpShr, ir.OpSar:
		return in.a != in.b
	}
	return false
}

// clobbers says whether in destroys r0 to r5.
func (in *inst) clobbers() bool { return in.op.IsCall() }
