package ir

// applyFacts decides branches and comparisons from the branches that lead to them.
func applyFacts(f *Func) {
	g := newCFG(f)
	g.dominators()
	fa := &facts{f: f, g: g, known: make([]interval, len(f.values))}
	for i := range fa.known {
		fa.known[i] = everything()
	}
	marks := make([]int, len(g.blocks)) // by block: how long undo was when it was entered
	g.preorder(func(n int32) {
		marks[n] = len(fa.undo)
		fa.enter(n)
		fa.block(g.blocks[n])
	}, func(n int32) {
		for len(fa.undo) > marks[n] {
			last := fa.undo[len(fa.undo)-1]
			fa.undo = fa.undo[:len(fa.undo)-1]
			fa.known[last.v] = last.was
		}
	})
	if fa.cut {
		removeUnreachable(f)
	}
}

type facts struct {
	f     *Func
	g     *cfg
	known []interval // by value, variables left out
	undo  []struct {
		v   Value
		was interval
	}
	cut bool // a branch became a jump
}

// enter adds what the branch to block n, if that is the only way there, says.
func (fa *facts) enter(n int32) {
	if len(fa.g.preds[n]) != 1 {
		return
	}
	b, last := fa.g.blocks[n], fa.g.blocks[fa.g.preds[n][0]].Last()
	if last.Op != OpBranch || last.Then == last.Else || len(last.Args) != 1 || fa.f.values[last.Args[0]] {
		return
	}
	v, c := last.Args[0], last.Cond
	was := fa.known[v]
	now := was
	switch inverse, ok := c.Invert(); {
	case last.Then == b:
		now = was.assume(c, last.Imm)
	case ok:
		now = was.assume(inverse, last.Imm)
	}
	if now != was && !now.impossible() {
		fa.undo = append(fa.undo, struct {
			v   Value
			was interval
		}{v, was})
		fa.known[v] = now
	}
}

func (fa *facts) block(b *Block) {
	for i := range b.Instrs {
		in := &b.Instrs[i]
		switch in.Op {
		case OpSlot, OpMapPtr, OpMapValue, OpFuncPtr:
			fa.is(in.Dst, everything().assume(Ne, 0))
		case OpConst:
			fa.is(in.Dst, everything().assume(Eq, in.Imm))
		case OpLoad:
			if !in.Signed {
				fa.is(in.Dst, everything().cut(mask(in.Width)))
			}
		case OpZext, OpSwap:
			fa.is(in.Dst, everything().cut(mask(in.Width)))
		case OpAnd:
			if len(in.Args) == 1 {
				fa.is(in.Dst, everything().cut(uint64(in.Imm)))
			}
		case OpShr:
			if len(in.Args) == 1 {
				fa.is(in.Dst, everything().cut(unknown>>(uint64(in.Imm)&63)))
			}
		case OpCmp:
			if result, ok := fa.decide(in); ok {
				in.become(OpConst, result)
				fa.is(in.Dst, everything().assume(Eq, result))
				continue
			}
			fa.is(in.Dst, everything().cut(1))
		case OpBranch:
			if result, ok := fa.decide(in); ok {
				to := in.Else
				if result != 0 {
					to = in.Then
				}
				*in = Instr{Op: OpJump, Then: to, Pos: in.Pos}
				fa.cut = true
			}
		case OpStore:
			// Where a value is known to be one number, as after a filter, the store needs no register for it.
			if len(in.Args) == 2 {
				if n, ok := fa.number(in.Args[1]); ok && n == int64(int32(n)) {
					in.Args, in.Imm = in.Args[:1:1], n
				}
			}
		}
	}
}

// is says what the instruction that makes v says of it. That stays: v is defined once.
func (fa *facts) is(v Value, r interval) {
	if !fa.f.values[v] {
		fa.known[v] = r
	}
}

func (fa *facts) number(v Value) (int64, bool) {
	r := fa.known[v]
	return int64(r.least), !fa.f.values[v] && r.least == r.most
}

func (fa *facts) decide(in *Instr) (int64, bool) {
	n := in.Imm
	if len(in.Args) == 2 {
		var ok bool
		if n, ok = fa.number(in.Args[1]); !ok {
			return 0, false
		}
	}
	if fa.f.values[in.Args[0]] {
		return 0, false
	}
	return fa.known[in.Args[0]].decide(in.Cond, n)
}
