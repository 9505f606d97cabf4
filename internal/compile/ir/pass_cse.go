package ir

// expression is what makes two instructions give the same.
type expression struct {
	op     Op
	cond   Cond
	width  uint8
	signed bool
	nargs  uint8
	args   [5]Value
	imm    int64
	off    int32
	slot   Slot
	sym    string
}

// eliminateCommon walks the tree of dominators: what an instruction above has computed is used again. Variables change, so
// what depends on one is left alone.
func eliminateCommon(f *Func) {
	g := newCFG(f)
	g.dominators()
	type computed struct {
		v     Value
		block int32
	}
	table := map[expression]computed{}
	repl := make(substitution, len(f.values))
	g.preorder(func(n int32) {
		b := g.blocks[n]
		for i := range b.Instrs {
			in := &b.Instrs[i]
			repl.apply(in)
			key, ok := keyOf(f, in)
			if !ok {
				continue
			}
			// What a block beside this one has put there is lost, and only that: what a block above did is found.
			if c, ok := table[key]; ok && g.dominates(c.block, n) {
				repl[in.Dst] = c.v
				drop(in)
				continue
			}
			table[key] = computed{in.Dst, n}
		}
	}, func(int32) {})
	sweep(f)
}

// keyOf returns what in computes, if it gives the same whenever it is asked.
func keyOf(f *Func, in *Instr) (expression, bool) {
	switch {
	case in.Dst == 0 || f.values[in.Dst]:
		return expression{}, false
	case in.Op.IsBinary() || in.Op >= OpNeg && in.Op <= OpCmp:
	case in.Op == OpSlot || in.Op == OpMapPtr || in.Op == OpMapValue || in.Op == OpFuncPtr:
	case (in.Op == OpLoad || in.Op == OpCall) && in.Pure && len(in.Clamp) == 0:
	default:
		// OpMin and OpPtrAdd are not: their bound is for where they stand.
		return expression{}, false
	}
	key := expression{
		op: in.Op, cond: in.Cond, width: in.Width, signed: in.Signed, nargs: uint8(len(in.Args)), off: in.Off, slot: in.Slot, sym: in.Sym,
	}
	for i, a := range in.Args {
		if f.values[a] {
			return expression{}, false
		}
		key.args[i] = a
	}
	if len(in.Args) < 2 || in.Op.IsCall() {
		key.imm = in.Imm
	}
	if in.Op.IsCommutative() && len(in.Args) == 2 && key.args[0] > key.args[1] {
		key.args[0], key.args[1] = key.args[1], key.args[0]
	}
	return key, true
}
