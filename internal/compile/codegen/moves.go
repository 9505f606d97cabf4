package codegen

import (
	"slices"

	"github.com/cilium/ebpf/asm"

	"sonde/internal/compile/ir"
)

// move is one of several moves between registers that are to seem simultaneous.
type move struct{ to, from asm.Register }

// parallel emits moves in an order in which none destroys what another still needs. A cycle goes through the register free, which must be so once the moves that are in no cycle are done.
func (e *emitter) parallel(moves []move, free asm.Register) {
	if e.fault == movesInOrder {
		for _, mv := range moves {
			e.mov(mv.to, mv.from)
		}
		return
	}
	for len(moves) > 0 {
		progress := false
		for i := 0; i < len(moves); i++ {
			mv := moves[i]
			if mv.to != mv.from && reads(moves, mv.to, i) {
				continue
			}
			e.mov(mv.to, mv.from)
			moves = append(moves[:i], moves[i+1:]...)
			progress = true
			i--
		}
		if progress || len(moves) == 0 {
			continue
		}
		// Only cycles are left. One of their registers moves out of the way.
		busy := moves[0].to
		e.mov(free, busy)
		for i := range moves {
			if moves[i].from == busy {
				moves[i].from = free
			}
		}
	}
}

// reads says whether a move other than number i reads r.
func reads(moves []move, r asm.Register, i int) bool {
	for j, mv := range moves {
		if j != i && mv.from == r {
			return true
		}
	}
	return false
}

// arguments moves args to r1 and up.
func (e *emitter) arguments(args []vreg) {
	var moves []move
	for i, v := range args {
		if r, ok := e.register(v); ok {
			moves = append(moves, move{asm.Register(i + 1), r})
		}
	}
	// r0 is free: it is no argument, and who lives there ends at the call.
	e.parallel(moves, asm.R0)
	for i, v := range args {
		if _, ok := e.register(v); !ok {
			e.bring(asm.Register(i+1), v)
		}
	}
}

// bring loads a value that is in no register.
func (e *emitter) bring(r asm.Register, v vreg) {
	if info := &e.m.vregs[v]; info.home != homeNone {
		e.made(r, info.def)
		return
	}
	e.reload(r, v)
}

// made emits what makes the value of def.
func (e *emitter) made(r asm.Register, def *ir.Instr) {
	switch def.Op {
	case ir.OpConst:
		e.constant(r, def.Imm)
	case ir.OpSlot:
		e.slotAddress(r, def.Slot, def.Off)
	case ir.OpMapPtr:
		e.add(asm.Instruction{OpCode: loadImm64, Dst: r, Src: asm.PseudoMapFD}.WithReference(def.Sym))
	case ir.OpMapValue:
		e.add(asm.Instruction{
			OpCode: loadImm64, Dst: r, Src: asm.PseudoMapValue, Constant: int64(uint64(uint32(def.Off)) << 32),
		}.WithReference(def.Sym))
	case ir.OpFuncPtr:
		e.add(asm.Instruction{OpCode: loadImm64, Dst: r, Src: asm.PseudoFunc, Constant: -1}.WithReference(def.Sym))
	default:
		panic("codegen: a value that cannot be made anew")
	}
}

// enter takes the arguments of the function to where they are kept.
func (e *emitter) enter(params []vreg) {
	var moves []move
	for i, v := range params {
		if v == 0 {
			continue
		}
		from := asm.Register(i + 1)
		if to, ok := e.register(v); ok {
			moves = append(moves, move{to, from})
		} else {
			e.spill(v, from)
		}
	}
	// Nothing but the arguments is alive yet.
	free := asm.R9
	for slices.ContainsFunc(moves, func(mv move) bool { return mv.to == free || mv.from == free }) {
		free--
	}
	e.parallel(moves, free)
}
