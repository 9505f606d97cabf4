package ir

// removeUnreachable leaves out blocks that cannot be reached.
func removeUnreachable(f *Func) {
	g := newCFG(f)
	if len(g.blocks) == len(f.Blocks) {
		return
	}
	n := 0
	for _, b := range f.Blocks {
		if g.number[b.ID] >= 0 {
			f.Blocks[n] = b
			n++
		}
	}
	clear(f.Blocks[n:])
	f.Blocks = f.Blocks[:n]
}

// mergeBlocks straightens the control flow.
func mergeBlocks(f *Func) {
	defs := definitions(f)
	for _, b := range f.Blocks {
		last := b.Last()
		last.Then, last.Else = skipJumps(last.Then), skipJumps(last.Else)
		threadConstant(b, last, defs)
		if last.Op == OpBranch && last.Then == last.Else {
			*last = Instr{Op: OpJump, Then: last.Then, Pos: last.Pos}
		}
	}
	removeUnreachable(f)
	preds := make([]int, maxID(f)+1)
	for _, b := range f.Blocks {
		then, els := b.succs()
		if then != nil {
			preds[then.ID]++
		}
		if els != nil {
			preds[els.ID]++
		}
	}
	gone := false
	for _, b := range f.Blocks {
		if b.Instrs == nil {
			continue
		}
		for {
			last := b.Last()
			next := last.Then
			if last.Op != OpJump || preds[next.ID] != 1 || next == b || next == f.Blocks[0] {
				break
			}
			b.Instrs = append(b.Instrs[:len(b.Instrs)-1], next.Instrs...)
			next.Instrs = nil
			gone = true
		}
	}
	if gone {
		n := 0
		for _, b := range f.Blocks {
			if b.Instrs != nil {
				f.Blocks[n] = b
				n++
			}
		}
		clear(f.Blocks[n:])
		f.Blocks = f.Blocks[:n]
	}
}

func maxID(f *Func) int {
	n := 0
	for _, b := range f.Blocks {
		n = max(n, b.ID)
	}
	return n
}

// skipJumps follows blocks that only jump.
func skipJumps(b *Block) *Block {
	for range 32 {
		if b == nil || len(b.Instrs) != 1 || b.Instrs[0].Op != OpJump {
			break
		}
		b = b.Instrs[0].Then
	}
	return b
}

// threadConstant lets b, which sets a variable to a constant and jumps to a block that only branches on it, jump on.
func threadConstant(b *Block, last *Instr, defs []*Instr) {
	for range 8 {
		if last.Op != OpJump || len(last.Then.Instrs) != 1 || last.Then == b {
			return
		}
		br := &last.Then.Instrs[0]
		if br.Op != OpBranch || len(br.Args) != 1 {
			return
		}
		n, ok := setTo(b, br.Args[0], defs)
		if !ok {
			return
		}
		to := br.Else
		if br.Cond.Eval(n, br.Imm) {
			to = br.Then
		}
		last.Then = skipJumps(to)
	}
}

// setTo returns the constant that the variable v has at the end of b, if b sets it to one.
func setTo(b *Block, v Value, defs []*Instr) (int64, bool) {
	for i := len(b.Instrs) - 2; i >= 0; i-- {
		in := &b.Instrs[i]
		if in.Op != OpSet || in.Dst != v {
			continue
		}
		if def := defs[in.Args[0]]; def != nil && def.Op == OpConst {
			return def.Imm, true
		}
		break
	}
	return 0, false
}
