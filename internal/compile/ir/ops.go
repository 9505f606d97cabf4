package ir

// InlineBytes is the largest OpZero and OpCopy that becomes loads and stores. A larger one is a call of
// bpf_probe_read_kernel, with all that a call costs.
const InlineBytes = 128

// IsTerminator says whether op ends a block.
func (op Op) IsTerminator() bool { return op >= OpJump }

// IsBinary says whether op is of the family Dst = Args[0] op Args[1] or Imm.
func (op Op) IsBinary() bool { return op >= OpAdd && op <= OpSar }

// IsCommutative says whether the two operands of a binary op may be swapped.
func (op Op) IsCommutative() bool {
	switch op {
	case OpAdd, OpMul, OpAnd, OpOr, OpXor:
		return true
	}
	return false
}

// IsCall says whether op leaves the function, whatever it calls.
func (op Op) IsCall() bool { return op == OpCall || op == OpKfunc || op == OpCallFunc }

// Clobbers says whether in costs the registers that a call costs.
func (in *Instr) Clobbers() bool {
	switch in.Op {
	case OpCall, OpKfunc, OpCallFunc:
		return true
	case OpZero, OpCopy:
		return in.Imm > InlineBytes
	}
	return false
}

// HasEffect says whether in does more than to give Dst its value: such an instruction stays though nobody uses Dst.
func (in *Instr) HasEffect() bool {
	switch in.Op {
	case OpSet, OpStore, OpAtomicAdd, OpXchg, OpFetchAdd, OpZero, OpCopy, OpKfunc, OpCallFunc:
		return true
	case OpCall:
		return !in.Pure
	}
	return in.Op.IsTerminator()
}

// Succs are the blocks that a terminator may go to: none, one or two.
func (in *Instr) Succs() (then, els *Block) {
	switch in.Op {
	case OpJump:
		return in.Then, nil
	case OpBranch, OpMayGoto:
		return in.Then, in.Else
	}
	return nil, nil
}

// Last returns the terminator of b, nil if it has none yet.
func (b *Block) Last() *Instr {
	if n := len(b.Instrs); n > 0 && b.Instrs[n-1].Op.IsTerminator() {
		return &b.Instrs[n-1]
	}
	return nil
}

// Invert is the condition that is true where c is false; Test has none.
func (c Cond) Invert() (Cond, bool) {
	switch c {
	case Eq:
		return Ne, true
	case Ne:
		return Eq, true
	case Lt:
		return Ge, true
	case Le:
		return Gt, true
	case Gt:
		return Le, true
	case Ge:
		return Lt, true
	case SLt:
		return SGe, true
	case SLe:
		return SGt, true
	case SGt:
		return SLe, true
	case SGe:
		return SLt, true
	}
	return c, false
}

// Swap is the condition that holds for y and x where c holds for x and y.
func (c Cond) Swap() Cond {
	switch c {
	case Lt:
		return Gt
	case Le:
		return Ge
	case Gt:
		return Lt
	case Ge:
		return Le
	case SLt:
		return SGt
	case SLe:
		return SGe
	case SGt:
		return SLt
	case SGe:
		return SLe
	}
	return c
}

// Eval says whether c holds for x and y.
func (c Cond) Eval(x, y int64) bool {
	ux, uy := uint64(x), uint64(y)
	switch c {
	case Eq:
		return x == y
	case Ne:
		return x != y
	case Lt:
		return ux < uy
	case Le:
		return ux <= uy
	case Gt:
		return ux > uy
	case Ge:
		return ux >= uy
	case SLt:
		return x < y
	case SLe:
		return x <= y
	case SGt:
		return x > y
	case SGe:
		return x >= y
	case Test:
		return x&y != 0
	}
	panic("ir: no such condition")
}
