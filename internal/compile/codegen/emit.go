package codegen

import (
	"github.com/cilium/ebpf/asm"

	"sonde/internal/compile/ir"
)

var loadImm64 = asm.LoadImmOp(asm.DWord)

// emitter writes the instructions of a function whose values have their places.
type emitter struct {
	m         *machine
	a         *allocation
	frame     *frame
	fault     fault
	out       asm.Instructions
	positions []int32
	pos       int32
	raw       int // length of out as the kernel counts: 64-bit constants are two
	jumps     jumps
	// moved is one more than the index of a move that has just been made for certain: undoing it is needless.
	moved int
	// holds is, by register, the offset of the home on the stack whose value it holds as well; 0 for none.
	holds [allRegs]int32
}

func (e *emitter) add(in asm.Instruction) {
	e.written(in)
	e.out = append(e.out, in)
	e.positions = append(e.positions, e.pos)
	e.raw++
	if in.OpCode == loadImm64 {
		e.raw++
	}
}

// written notes what in does to registers.
func (e *emitter) written(in asm.Instruction) {
	switch class := in.OpCode.Class(); {
	case class.IsALU() || class == asm.LdClass || class == asm.LdXClass:
		e.holds[in.Dst] = 0
	case class == asm.StXClass && in.OpCode.Mode() == asm.AtomicMode:
		e.holds[in.Src] = 0
	case class.IsJump() && in.OpCode.JumpOp() == asm.Call:
		clear(e.holds[:callRegs])
	}
}

// reload brings a value back from its home, or from a register that still has it.
func (e *emitter) reload(r asm.Register, v vreg) {
	home := e.frame.homes[v]
	for from := range e.holds {
		if e.holds[from] == home {
			e.mov(r, asm.Register(from))
			return
		}
	}
	e.add(asm.LoadMem(r, asm.RFP, int16(home), asm.DWord))
	e.holds[r] = home
}

// spill takes a value home.
func (e *emitter) spill(v vreg, r asm.Register) {
	home := e.frame.homes[v]
	for i := range e.holds {
		if e.holds[i] == home {
			e.holds[i] = 0
		}
	}
	e.add(asm.StoreMem(asm.RFP, int16(home), r, asm.DWord))
	e.holds[r] = home
}

// register is where v is, if it is in one.
func (e *emitter) register(v vreg) (asm.Register, bool) {
	if e.m.vregs[v].home == homeCheap || e.a.spilled[v] {
		return 0, false
	}
	return asm.Register(e.a.ivs[v].reg), true
}

func (e *emitter) reg(v vreg) asm.Register {
	r := e.a.ivs[v].reg
	if r < 0 {
		panic("codegen: a value without a register")
	}
	return asm.Register(r)
}

func (e *emitter) mov(to, from asm.Register) {
	if to == from {
		return
	}
	if n := len(e.out); n > 0 && e.moved == n && e.out[n-1].Dst == from && e.out[n-1].Src == to {
		return
	}
	e.add(asm.Mov.Reg(to, from))
	e.moved = len(e.out)
}

func (e *emitter) constant(r asm.Register, n int64) {
	if fits32(n) {
		e.add(asm.Mov.Imm(r, int32(n)))
		return
	}
	e.add(asm.Instruction{OpCode: loadImm64, Dst: r, Constant: n})
}

func (e *emitter) slotAddress(r asm.Register, s ir.Slot, off int32) {
	e.add(asm.Mov.Reg(r, asm.RFP))
	e.add(asm.Add.Imm(r, e.frame.slots[s]+off))
}

// memory is the base register and offset of a load or store.
func (e *emitter) memory(in *inst) (asm.Register, int16) {
	if in.slot != noSlot {
		return asm.RFP, int16(e.frame.slots[in.slot] + in.off)
	}
	return e.reg(in.a), int16(in.off)
}

// function writes all blocks.
func (e *emitter) function() error {
	e.jumps.start(e, len(e.m.blocks))
	for b := range e.m.blocks {
		e.jumps.place(int32(b))
		e.moved = 0
		clear(e.holds[:])
		bl := &e.m.blocks[b]
		for i := bl.from; i < bl.to; i++ {
			in := &e.m.insts[i]
			e.pos = in.pos
			next := int32(b) + 1
			e.inst(in, next)
			e.jumps.relay(!in.op.IsTerminator() || in.then == next || in.els == next)
		}
	}
	return e.jumps.finish()
}

var aluOps = [...]asm.ALUOp{
	ir.OpAdd: asm.Add, ir.OpSub: asm.Sub, ir.OpMul: asm.Mul, ir.OpDiv: asm.Div, ir.OpMod: asm.Mod, ir.OpAnd: asm.And,
	ir.OpOr: asm.Or, ir.OpXor: asm.Xor, ir.OpShl: asm.LSh, ir.OpShr: asm.RSh, ir.OpSar: asm.ArSh,
}

var jumpOps = [...]asm.JumpOp{
	ir.Eq: asm.JEq, ir.Ne: asm.JNE, ir.Lt: asm.JLT, ir.Le: asm.JLE, ir.Gt: asm.JGT, ir.Ge: asm.JGE, ir.SLt: asm.JSLT,
	ir.SLe: asm.JSLE, ir.SGt: asm.JSGT, ir.SGe: asm.JSGE, ir.Test: asm.JSet,
}

func size(width uint8) asm.Size {
	switch width {
	case 1:
		return asm.Byte
	case 2:
		return asm.Half
	case 4:
		return asm.Word
	case 8:
		return asm.DWord
	}
	panic("codegen: a width that no load has")
}

// inst writes in; next is the block that follows the one it is in.
func (e *emitter) inst(in *inst, next int32) {
	switch in.op {
	case mParams:
		e.enter(in.args)
	case mReload:
		e.reload(e.reg(in.dst), in.a)
	case mSpill:
		e.spill(in.dst, e.reg(in.a))
	case ir.OpConst:
		e.constant(e.reg(in.dst), in.imm)
	case ir.OpSlot:
		e.slotAddress(e.reg(in.dst), in.slot, in.off)
	case ir.OpMapPtr, ir.OpMapValue, ir.OpFuncPtr:
		e.made(e.reg(in.dst), in.src)
	case ir.OpSet:
		e.mov(e.reg(in.dst), e.reg(in.a))
	case ir.OpAdd, ir.OpSub, ir.OpMul, ir.OpDiv, ir.OpMod, ir.OpAnd, ir.OpOr, ir.OpXor, ir.OpShl, ir.OpShr, ir.OpSar:
		e.binary(in)
	case ir.OpNeg:
		e.mov(e.reg(in.dst), e.reg(in.a))
		e.add(asm.Neg.Imm(e.reg(in.dst), 0))
	case ir.OpNot:
		e.mov(e.reg(in.dst), e.reg(in.a))
		e.add(asm.Xor.Imm(e.reg(in.dst), -1))
	case ir.OpSext, ir.OpZext:
		e.extend(in)
	case ir.OpSwap:
		e.mov(e.reg(in.dst), e.reg(in.a))
		e.add(asm.HostTo(asm.BE, e.reg(in.dst), size(in.width))) // of a little-endian host
	case ir.OpCmp:
		e.add(asm.Mov.Imm(e.reg(in.dst), 1))
		e.skip(in.cond, e.reg(in.a), in, 1)
		e.add(asm.Mov.Imm(e.reg(in.dst), 0))
	case ir.OpMin:
		e.mov(e.reg(in.dst), e.reg(in.a))
		e.skip(ir.Le, e.reg(in.dst), in, 1)
		if in.isImm {
			e.constant(e.reg(in.dst), in.imm)
		} else {
			e.add(asm.Mov.Reg(e.reg(in.dst), e.reg(in.b))) // it may be skipped
		}
	case ir.OpPtrAdd:
		e.mov(e.reg(in.dst), e.reg(in.b))
		e.atMost(e.reg(in.dst), in.imm)
		e.add(asm.Add.Reg(e.reg(in.dst), e.reg(in.a)))
	case ir.OpLoad:
		base, off := e.memory(in)
		dst := e.reg(in.dst)
		e.add(asm.LoadMem(dst, base, off, size(in.width)))
		if in.signed && in.width < 8 {
			e.signed(dst, in.width)
		}
	case ir.OpStore:
		base, off := e.memory(in)
		if in.isImm {
			e.add(asm.Instruction{OpCode: asm.StoreImmOp(size(in.width)), Dst: base, Offset: off, Constant: in.imm})
		} else {
			e.add(asm.StoreMem(base, off, e.reg(in.b), size(in.width)))
		}
	case ir.OpAtomicAdd:
		base, off := e.memory(in)
		e.add(asm.AddAtomic.Mem(base, e.reg(in.b), size(in.width), off))
	case ir.OpXchg, ir.OpFetchAdd:
		e.fetch(in)
	case ir.OpCall, ir.OpKfunc, ir.OpCallFunc:
		e.call(in)
	case ir.OpJump:
		if in.then != next {
			e.jumps.to(in.then, asm.Instruction{OpCode: asm.Ja.Op(asm.ImmSource)})
		}
	case ir.OpBranch:
		e.branch(in, next)
	case ir.OpMayGoto:
		e.jumps.to(in.els, asm.Instruction{OpCode: asm.JCOND.Op(asm.ImmSource), Src: asm.PseudoMayGoto})
		if in.then != next {
			e.jumps.to(in.then, asm.Instruction{OpCode: asm.Ja.Op(asm.ImmSource)})
		}
	case ir.OpRet:
		if in.isImm {
			e.constant(asm.R0, in.imm)
		} else {
			e.mov(asm.R0, e.reg(in.a))
		}
		e.add(asm.Return())
	default:
		panic("codegen: an instruction without code")
	}
}

func (e *emitter) binary(in *inst) {
	op := aluOps[in.op]
	dst, a := e.reg(in.dst), e.reg(in.a)
	if in.isImm {
		e.mov(dst, a)
		e.add(op.Imm(dst, int32(in.imm)))
		return
	}
	b := e.reg(in.b)
	if dst == b && dst != a {
		a, b = b, a // a commutative one: the others keep b out of dst
	}
	e.mov(dst, a)
	e.add(op.Reg(dst, b))
}

func (e *emitter) extend(in *inst) {
	dst, a := e.reg(in.dst), e.reg(in.a)
	if in.op == ir.OpZext && in.width == 4 {
		e.add(asm.Mov.Reg32(dst, a))
		return
	}
	e.mov(dst, a)
	switch {
	case in.width >= 8:
	case in.op == ir.OpSext:
		e.signed(dst, in.width)
	default:
		e.add(asm.And.Imm(dst, 1<<(8*in.width)-1))
	}
}

// signed extends the sign of the low bytes of r; there is no instruction for it before version 4 of the machine.
func (e *emitter) signed(r asm.Register, width uint8) {
	shift := int32(64 - 8*int(width))
	e.add(asm.LSh.Imm(r, shift))
	e.add(asm.ArSh.Imm(r, shift))
}

// skip jumps over so many raw instructions if r cond the second operand of in.
func (e *emitter) skip(c ir.Cond, r asm.Register, in *inst, over int16) {
	if in.isImm {
		e.add(asm.Instruction{OpCode: jumpOps[c].Op(asm.ImmSource), Dst: r, Constant: in.imm, Offset: over})
		return
	}
	e.add(asm.Instruction{OpCode: jumpOps[c].Op(asm.RegSource), Dst: r, Src: e.reg(in.b), Offset: over})
}

// atMost cuts r to most, in a way from which the verifier learns the bound.
func (e *emitter) atMost(r asm.Register, most int64) {
	e.add(asm.Instruction{OpCode: asm.JLE.Op(asm.ImmSource), Dst: r, Constant: most, Offset: 1})
	e.add(asm.Mov.Imm(r, int32(most)))
}

func (e *emitter) fetch(in *inst) {
	base, off := e.memory(in)
	op := asm.FetchAdd
	if in.op == ir.OpXchg {
		op = asm.Xchg
	}
	dst := e.reg(in.dst)
	e.mov(dst, e.reg(in.b))
	code := op.Mem(base, dst, size(in.width), off)
	code.Constant = int64(op >> 8) // cilium/ebpf v0.22 leaves it out of instructions made by hand
	e.add(code)
}

func (e *emitter) call(in *inst) {
	e.arguments(in.args)
	for _, c := range in.src.Clamp {
		r := asm.Register(c.Arg + 1)
		// The upper bound first. Of a number that is a multiple of more than Max, and at least Min, it would leave a state
		// in which no number is left, and 6.12's verifier goes on in it with bounds that contradict each other.
		e.atMost(r, c.Max)
		if c.Min > 0 {
			e.add(asm.Instruction{OpCode: asm.JGE.Op(asm.ImmSource), Dst: r, Constant: c.Min, Offset: 1})
			e.add(asm.Mov.Imm(r, int32(c.Min)))
		}
	}
	call := asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call)}
	switch in.op {
	case ir.OpCall:
		call.Constant = in.imm
	case ir.OpKfunc:
		call.Src, call.Constant = asm.PseudoKfuncCall, in.imm
	case ir.OpCallFunc:
		call = asm.Call.Label(in.src.Sym)
	}
	e.add(call)
	if in.dst == 0 {
		return
	}
	if r, ok := e.register(in.dst); ok {
		e.mov(r, asm.R0)
	} else {
		e.spill(in.dst, asm.R0)
	}
}

func (e *emitter) branch(in *inst, next int32) {
	then, els, cond := in.then, in.els, in.cond
	if then == els {
		if then != next {
			e.jumps.to(then, asm.Instruction{OpCode: asm.Ja.Op(asm.ImmSource)})
		}
		return
	}
	if then == next {
		if c, ok := cond.Invert(); ok {
			then, els, cond = els, then, c
		}
	}
	code := asm.Instruction{OpCode: jumpOps[cond].Op(asm.ImmSource), Dst: e.reg(in.a), Constant: in.imm}
	if !in.isImm {
		code.OpCode, code.Src, code.Constant = jumpOps[cond].Op(asm.RegSource), e.reg(in.b), 0
	}
	e.jumps.to(then, code)
	if els != next {
		e.jumps.to(els, asm.Instruction{OpCode: asm.Ja.Op(asm.ImmSource)})
	}
}
