package ir

import "slices"

// sink moves computations down to where their result is used: what a branch does not need is not computed on its way, and
// values are not kept over calls for nothing.
func sink(f *Func) {
	g := newCFG(f)
	g.dominators()
	s := &sinker{g: g, f: f, depth: g.depths(), uses: make([]place, len(f.values))}
	for i := range s.uses {
		s.uses[i].block = -1
	}
	// From the last to the first: the uses of a value are where they will be when its definition is looked at.
	for n := int32(len(g.blocks)) - 1; n >= 0; n-- {
		b := g.blocks[n]
		clobbers := int32(len(b.Instrs)) // where the next call is
		for i := int32(len(b.Instrs)) - 1; i >= 0; i-- {
			in := &b.Instrs[i]
			at := place{n, i}
			if to, ok := s.target(in, at, clobbers); ok {
				s.moves = append(s.moves, sunk{to, len(s.moves), *in})
				drop(in)
				in, at = &s.moves[len(s.moves)-1].in, to
			}
			if in.Clobbers() {
				clobbers = i
			}
			for _, a := range in.Args {
				s.use(a, at)
			}
		}
	}
	s.insert()
	sweep(f)
}

// place is before instruction index of a block.
type place struct{ block, index int32 }

// sunk is an instruction that moves to before another.
type sunk struct {
	to  place
	seq int
	in  Instr
}

type sinker struct {
	f     *Func
	g     *cfg
	depth []int32
	uses  []place // by value: the last place from which all uses can be reached; block -1 for none
	moves []sunk
}

// use adds a use of v.
func (s *sinker) use(v Value, at place) {
	u := &s.uses[v]
	switch {
	case u.block < 0:
		*u = at
	case u.block == at.block:
		u.index = min(u.index, at.index)
	default:
		c := s.g.common(u.block, at.block)
		switch c {
		case u.block:
		case at.block:
			*u = at
		default:
			*u = place{c, int32(len(s.g.blocks[c].Instrs)) - 1}
		}
	}
}

// target says where in, which is at a place now, may go.
func (s *sinker) target(in *Instr, at place, call int32) (place, bool) {
	if in.Dst == 0 || s.f.values[in.Dst] || len(in.Args) > 1 || len(in.Args) == 1 && s.f.values[in.Args[0]] {
		return at, false
	}
	switch {
	case in.Op == OpMapValue || in.Op.IsBinary() || in.Op >= OpNeg && in.Op <= OpCmp || in.Op == OpLoad && in.Pure:
	default:
		return at, false
	}
	to := s.uses[in.Dst]
	switch {
	case to.block < 0:
		return at, false
	case to.block == at.block:
		return to, call < to.index // else it lies well where it is
	}
	return to, s.depth[to.block] <= s.depth[at.block]
}

// insert puts the moved instructions in their places. Of those for one place, the one found last is what others compute with.
func (s *sinker) insert() {
	slices.SortFunc(s.moves, func(x, y sunk) int {
		if x.to != y.to {
			return int(x.to.block-y.to.block)<<32 + int(x.to.index-y.to.index)
		}
		return y.seq - x.seq
	})
	for len(s.moves) > 0 {
		b := s.g.blocks[s.moves[0].to.block]
		n := 1
		for n < len(s.moves) && s.moves[n].to.block == s.moves[0].to.block {
			n++
		}
		out := make([]Instr, 0, len(b.Instrs)+n)
		moves := s.moves[:n]
		for i := range b.Instrs {
			for len(moves) > 0 && int(moves[0].to.index) == i {
				out = append(out, moves[0].in)
				moves = moves[1:]
			}
			if b.Instrs[i].Op != OpInvalid {
				out = append(out, b.Instrs[i])
			}
		}
		b.Instrs = out
		s.moves = s.moves[n:]
	}
}
