package ir

import "math/bits"

// fold computes constants and replaces operations by cheaper ones that give the same.
func fold(f *Func) {
	fd := &folder{f: f, defs: make([]*Instr, len(f.values)), most: make([]uint64, len(f.values)), repl: make(substitution, len(f.values))}
	// In reverse postorder a value that is no variable comes before its uses.
	for _, b := range newCFG(f).blocks {
		for i := range b.Instrs {
			in := &b.Instrs[i]
			fd.repl.apply(in)
			fd.instr(b, i)
			if d := in.Dst; d != 0 && !f.values[d] {
				fd.defs[d] = in
				fd.most[d] = fd.bound(in)
			}
		}
	}
	sweep(f)
	if fd.cut {
		removeUnreachable(f)
	}
}

// folder is at one instruction, all those before it being simplified.
type folder struct {
	f    *Func
	defs []*Instr // by value that is no variable
	most []uint64 // by value: the largest it can be, unsigned
	repl substitution
	cut  bool // a branch became a jump
}

const unknown = ^uint64(0)

// constant returns the value of v if it is known.
func (fd *folder) constant(v Value) (int64, bool) {
	if def := fd.defs[v]; def != nil && def.Op == OpConst {
		return def.Imm, true
	}
	return 0, false
}

// limit is the largest that v can be.
func (fd *folder) limit(v Value) uint64 {
	if fd.defs[v] == nil {
		return unknown
	}
	return fd.most[v]
}

// bound is the largest that the result of in can be.
func (fd *folder) bound(in *Instr) uint64 {
	switch in.Op {
	case OpConst:
		return uint64(in.Imm)
	case OpLoad:
		if !in.Signed {
			return mask(in.Width)
		}
	case OpZext:
		return min(mask(in.Width), fd.limit(in.Args[0]))
	case OpSwap:
		return mask(in.Width)
	case OpCmp:
		return 1
	case OpMin:
		return min(uint64(in.Imm), fd.limit(in.Args[0]))
	case OpAnd:
		if len(in.Args) > 1 {
			return min(fd.limit(in.Args[0]), fd.limit(in.Args[1]))
		}
		return min(fd.limit(in.Args[0]), uint64(in.Imm))
	case OpOr, OpXor:
		y := uint64(in.Imm)
		if len(in.Args) > 1 {
			y = fd.limit(in.Args[1])
		}
		return ones(fd.limit(in.Args[0]) | y)
	case OpMod:
		if len(in.Args) == 1 && in.Imm != 0 {
			return min(fd.limit(in.Args[0]), uint64(in.Imm)-1)
		}
		return fd.limit(in.Args[0])
	case OpDiv:
		if len(in.Args) == 1 && in.Imm != 0 {
			return fd.limit(in.Args[0]) / uint64(in.Imm)
		}
		return fd.limit(in.Args[0])
	case OpShr:
		if len(in.Args) == 1 {
			return fd.limit(in.Args[0]) >> (uint64(in.Imm) & 63)
		}
		return fd.limit(in.Args[0])
	case OpAdd, OpMul, OpShl:
		return fd.growing(in)
	}
	return unknown
}

// growing is bound for operations that may overflow.
func (fd *folder) growing(in *Instr) uint64 {
	x, y := fd.limit(in.Args[0]), uint64(in.Imm)
	if len(in.Args) > 1 {
		if y = fd.limit(in.Args[1]); in.Op == OpShl {
			return unknown
		}
	}
	var high, low uint64
	switch in.Op {
	case OpAdd:
		low, high = bits.Add64(x, y, 0)
	case OpMul:
		high, low = bits.Mul64(x, y)
	default:
		high, low = bits.Mul64(x, 1<<(y&63))
	}
	if high != 0 {
		return unknown
	}
	return low
}

// mask is the largest number of so many bytes.
func mask(width uint8) uint64 {
	if width >= 8 {
		return unknown
	}
	return 1<<(8*width) - 1
}

// ones is the smallest number of the form 1...1 that is not below n.
func ones(n uint64) uint64 { return 1<<bits.Len64(n) - 1 }

// is lets everybody use v in place of the result of in. It cannot where v is a variable, which may change.
func (fd *folder) is(in *Instr, v Value) bool {
	if fd.f.values[v] {
		return false
	}
	fd.repl[in.Dst] = v
	drop(in)
	return true
}

func (fd *folder) instr(b *Block, i int) {
	in := &b.Instrs[i]
	switch {
	case in.Op.IsBinary():
		fd.binary(in)
	case in.Op >= OpNeg && in.Op <= OpSwap:
		fd.unary(in)
	default:
		fd.other(b, i)
	}
}

// immediate makes the second operand Imm if it is known.
func (fd *folder) immediate(in *Instr) bool {
	if len(in.Args) == 1 {
		return true
	}
	n, ok := fd.constant(in.Args[1])
	if ok {
		in.Args, in.Imm = in.Args[:1:1], n
	}
	return ok
}

func (fd *folder) binary(in *Instr) {
	if x, ok := fd.constant(in.Args[0]); ok {
		if fd.immediate(in) {
			in.become(OpConst, EvalBinary(in.Op, x, in.Imm))
			return
		}
		if in.Op.IsCommutative() {
			in.Args, in.Imm = in.Args[1:2:2], x
		}
	}
	if !fd.immediate(in) {
		fd.same(in)
		return
	}
	if in.Op == OpSub {
		in.Op, in.Imm = OpAdd, -in.Imm
	}
	if in.Op >= OpShl && in.Op <= OpSar {
		in.Imm &= 63
	}
	if fd.chain(in); in.Op != OpConst {
		fd.withConstant(in)
	}
}

// same simplifies operations of a value with itself.
func (fd *folder) same(in *Instr) {
	if in.Args[0] != in.Args[1] {
		return
	}
	switch in.Op {
	case OpSub, OpXor:
		in.become(OpConst, 0)
	case OpAnd, OpOr:
		fd.is(in, in.Args[0])
	}
}

// chain joins x op c1 op c2.
func (fd *folder) chain(in *Instr) {
	def := fd.defs[in.Args[0]]
	if def == nil || def.Op != in.Op || len(def.Args) != 1 || fd.f.values[def.Args[0]] {
		return
	}
	n := in.Imm
	switch in.Op {
	case OpAdd:
		n += def.Imm
	case OpMul:
		n *= def.Imm
	case OpAnd:
		n &= def.Imm
	case OpOr:
		n |= def.Imm
	case OpXor:
		n ^= def.Imm
	case OpShl, OpShr:
		if n += def.Imm; n > 63 {
			in.become(OpConst, 0)
			return
		}
	case OpSar:
		n = min(n+def.Imm, 63)
	default:
		return
	}
	in.Args, in.Imm = def.Args, n
}

// withConstant simplifies x op Imm.
func (fd *folder) withConstant(in *Instr) {
	x, n := in.Args[0], in.Imm
	power := bits.TrailingZeros64(uint64(n))
	isPower := n != 0 && uint64(n)&(uint64(n)-1) == 0
	switch in.Op {
	case OpAdd, OpXor, OpShl, OpShr, OpSar:
		if n == 0 {
			fd.is(in, x)
		}
	case OpOr:
		switch n {
		case 0:
			fd.is(in, x)
		case -1:
			in.become(OpConst, -1)
		}
	case OpAnd:
		switch {
		case n == 0:
			in.become(OpConst, 0)
		case n == -1 || uint64(n)&(uint64(n)+1) == 0 && fd.limit(x) <= uint64(n):
			fd.is(in, x)
		}
	case OpMul:
		switch {
		case n == 0:
			in.become(OpConst, 0)
		case n == 1:
			fd.is(in, x)
		case isPower:
			in.Op, in.Imm = OpShl, int64(power)
		}
	case OpDiv:
		switch {
		case n == 0:
			in.become(OpConst, 0)
		case n == 1:
			fd.is(in, x)
		case isPower:
			in.Op, in.Imm = OpShr, int64(power)
		}
	case OpMod:
		switch {
		case n == 0:
			fd.is(in, x)
		case n == 1:
			in.become(OpConst, 0)
		case isPower:
			in.Op, in.Imm = OpAnd, n-1
			fd.withConstant(in)
		}
	}
}

func (fd *folder) unary(in *Instr) {
	x := in.Args[0]
	if n, ok := fd.constant(x); ok {
		in.become(OpConst, EvalUnary(in.Op, in.Width, n))
		return
	}
	def := fd.defs[x]
	switch in.Op {
	case OpNeg, OpNot:
		if def != nil && def.Op == in.Op {
			fd.is(in, def.Args[0])
		}
	case OpZext:
		if in.Width == 8 || fd.limit(x) <= mask(in.Width) {
			fd.is(in, x)
		} else if def != nil && (def.Op == OpZext || def.Op == OpSext) && def.Width >= in.Width && !fd.f.values[def.Args[0]] {
			in.Args = def.Args // the bits that stay are those of the operand
		}
	case OpSext:
		switch {
		case in.Width == 8 || fd.limit(x) <= mask(in.Width)>>1:
			fd.is(in, x)
		case def != nil && (def.Op == OpSext || def.Op == OpLoad && def.Signed) && def.Width <= in.Width:
			fd.is(in, x)
		case def != nil && (def.Op == OpZext || def.Op == OpSext) && def.Width >= in.Width && !fd.f.values[def.Args[0]]:
			in.Args = def.Args
		}
	case OpSwap:
		if def != nil && def.Op == OpSwap && def.Width == in.Width && fd.limit(def.Args[0]) <= mask(in.Width) {
			fd.is(in, def.Args[0])
		}
	}
}

func (fd *folder) other(b *Block, i int) {
	in := &b.Instrs[i]
	switch in.Op {
	case OpCmp:
		fd.compare(in)
	case OpBranch:
		fd.branch(b, i)
	case OpMin:
		// The verifier must see the check unless it sees a constant.
		if n, ok := fd.constant(in.Args[0]); ok {
			in.become(OpConst, atMost(n, in.Imm))
		}
	case OpPtrAdd:
		if n, ok := fd.constant(in.Args[1]); ok {
			in.become(OpAdd, atMost(n, in.Imm), in.Args[0])
			fd.withConstant(in)
		}
	case OpLoad, OpZero:
		fd.address(in, 0, &in.Off)
	case OpStore, OpAtomicAdd, OpXchg, OpFetchAdd:
		fd.address(in, 0, &in.Off)
		if len(in.Args) > 1 {
			if n, ok := fd.constant(in.Args[1]); ok {
				in.Args, in.Imm = in.Args[:1:1], n
			}
		}
		fd.narrow(in)
	case OpCopy:
		fd.address(in, 0, &in.Off)
		fd.address(in, 1, &in.Off2)
	case OpCall, OpKfunc, OpCallFunc:
		fd.clamps(in)
	case OpRet:
		if len(in.Args) == 1 {
			if n, ok := fd.constant(in.Args[0]); ok {
				in.Args, in.Imm = nil, n
			}
		}
	}
}

// clamps leaves out those of constants that are in bounds.
func (fd *folder) clamps(in *Instr) {
	var rest []Clamp
	for _, c := range in.Clamp {
		if n, ok := fd.constant(in.Args[c.Arg]); !ok || n < c.Min || n > c.Max {
			rest = append(rest, c)
		}
	}
	if len(rest) < len(in.Clamp) {
		in.Clamp = rest
	}
}

// address moves constants that are added to a pointer into the offset of the access.
func (fd *folder) address(in *Instr, arg int, off *int32) {
	def := fd.defs[in.Args[arg]]
	if def == nil || def.Op != OpAdd || len(def.Args) != 1 || fd.f.values[def.Args[0]] {
		return
	}
	n := def.Imm + int64(*off)
	if n != int64(int16(n)) {
		return
	}
	if w := int64(in.Width); (in.Op == OpZero || in.Op == OpCopy) && def.Imm%w != 0 {
		return // the offset keeps to the alignment
	}
	args := append([]Value(nil), in.Args...)
	args[arg] = def.Args[0]
	in.Args = args
	*off = int32(n)
}

// narrow leaves out what cuts a value that the store cuts itself.
func (fd *folder) narrow(in *Instr) {
	if in.Op != OpStore || len(in.Args) < 2 {
		return
	}
	def := fd.defs[in.Args[1]]
	if def == nil || fd.f.values[in.Args[1]] {
		return
	}
	cut := (def.Op == OpZext || def.Op == OpSext) && def.Width >= in.Width ||
		def.Op == OpAnd && len(def.Args) == 1 && uint64(def.Imm)&mask(in.Width) == mask(in.Width)
	if cut && !fd.f.values[def.Args[0]] {
		in.Args = []Value{in.Args[0], def.Args[0]}
	}
}

// sides puts a constant to the right of a comparison.
func (fd *folder) sides(in *Instr) {
	if len(in.Args) == 2 {
		if x, ok := fd.constant(in.Args[0]); ok {
			if _, both := fd.constant(in.Args[1]); !both {
				in.Args, in.Imm, in.Cond = in.Args[1:2:2], x, in.Cond.Swap()
				return
			}
		}
	}
	fd.immediate(in)
}

// compare simplifies a comparison whose result is a value.
func (fd *folder) compare(in *Instr) {
	fd.sides(in)
	if result, ok := fd.decided(in); ok {
		in.become(OpConst, result)
		return
	}
	if len(in.Args) != 1 || fd.limit(in.Args[0]) > 1 {
		return
	}
	x := in.Args[0]
	switch [2]bool{in.Cond.Eval(0, in.Imm), in.Cond.Eval(1, in.Imm)} {
	case [2]bool{false, true}:
		fd.is(in, x)
	case [2]bool{true, false}:
		if def := fd.defs[x]; def != nil && def.Op == OpCmp && !fd.hasVars(def) {
			if c, ok := def.Cond.Invert(); ok {
				in.Cond, in.Args, in.Imm = c, def.Args, def.Imm
				return
			}
		}
		in.Op, in.Imm, in.Cond = OpXor, 1, 0
	}
}

// decided returns the result of a comparison if it is known.
func (fd *folder) decided(in *Instr) (int64, bool) {
	if len(in.Args) == 2 {
		if in.Args[0] == in.Args[1] && in.Cond != Test {
			return truth(in.Cond.Eval(0, 0))
		}
		return 0, false
	}
	if n, ok := fd.constant(in.Args[0]); ok {
		return truth(in.Cond.Eval(n, in.Imm))
	}
	return everything().cut(fd.limit(in.Args[0])).decide(in.Cond, in.Imm)
}

func (fd *folder) hasVars(in *Instr) bool {
	for _, a := range in.Args {
		if fd.f.values[a] {
			return true
		}
	}
	return false
}

// branch simplifies the branch at the end of b.
func (fd *folder) branch(b *Block, i int) {
	in := &b.Instrs[i]
	for range 8 {
		fd.sides(in)
		if result, ok := fd.decided(in); ok {
			to := in.Else
			if result != 0 {
				to = in.Then
			}
			*in = Instr{Op: OpJump, Then: to, Pos: in.Pos}
			fd.cut = true
			return
		}
		if len(in.Args) != 1 || fd.limit(in.Args[0]) > 1 || in.Cond == Test {
			return
		}
		def := fd.defs[in.Args[0]]
		zero, one := in.Cond.Eval(0, in.Imm), in.Cond.Eval(1, in.Imm)
		if def == nil || zero == one {
			return
		}
		switch {
		case def.Op == OpCmp && (!fd.hasVars(def) || unchanged(b, i, def)):
			in.Cond, in.Args, in.Imm = def.Cond, def.Args, def.Imm
		case def.Op == OpXor && len(def.Args) == 1 && def.Imm == 1 && !fd.hasVars(def):
			// x ^ 1: the same with the other outcome. x is 0 or 1, as the result is.
			in.Cond, in.Args, in.Imm = Eq, def.Args, 0
		default:
			return
		}
		if zero {
			in.Then, in.Else = in.Else, in.Then
		}
	}
}

// unchanged says whether def is in b and the variables it compares still have the values that it saw at instruction i.
func unchanged(b *Block, i int, def *Instr) bool {
	for i--; i >= 0; i-- {
		in := &b.Instrs[i]
		if in == def {
			return true
		}
		if in.Op == OpSet {
			for _, a := range def.Args {
				if a == in.Dst {
					return false
				}
			}
		}
	}
	return false
}
