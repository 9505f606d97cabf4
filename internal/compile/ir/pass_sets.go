package ir

// removeDeadSets removes assignments to variables that are overwritten, or forgotten, before anyone reads them.
func removeDeadSets(f *Func) {
	g := newCFG(f)
	s := &deadSets{g: g, heads: make([]int32, len(f.values)), out: make([]Value, len(g.blocks)), in: make([]Value, len(g.blocks))}
	s.sets = make([]Value, len(g.blocks))
	found := false
	// From the last to the first, so that the lists are from the first to the last.
	for n := int32(len(g.blocks)) - 1; n >= 0; n-- {
		b := g.blocks[n]
		for i := len(b.Instrs) - 1; i >= 0; i-- {
			in := &b.Instrs[i]
			if in.Op == OpSet {
				s.add(in.Dst, mention{block: n, set: in})
				found = true
			}
			for _, a := range in.Args {
				if f.values[a] {
					s.add(a, mention{block: n})
				}
			}
		}
	}
	if !found {
		return
	}
	for v, is := range f.values {
		if is {
			s.variable(Value(v))
		}
	}
	sweep(f)
}

// mention is a use of a variable, or an assignment.
type mention struct {
	block int32
	next  int32
	set   *Instr // nil for a use
}

type deadSets struct {
	g        *cfg
	mentions []mention
	heads    []int32 // by variable: into mentions, plus 1
	// By block: the last variable that is alive at its end, at its begin, and that is set in it.
	out, in, sets []Value
	work          []int32
}

func (s *deadSets) add(v Value, m mention) {
	m.next = s.heads[v]
	s.mentions = append(s.mentions, m)
	s.heads[v] = int32(len(s.mentions))
}

// variable finds where v is alive, and drops what is assigned where it is not.
func (s *deadSets) variable(v Value) {
	last := int32(-1)
	for i := s.heads[v]; i != 0; i = s.mentions[i-1].next {
		m := &s.mentions[i-1]
		if m.set != nil {
			s.sets[m.block] = v
		} else if m.block != last {
			s.in[m.block] = v // read before it is written there
			s.work = append(s.work, m.block)
		}
		last = m.block
	}
	for len(s.work) > 0 {
		b := s.work[len(s.work)-1]
		s.work = s.work[:len(s.work)-1]
		for _, p := range s.g.preds[b] {
			s.out[p] = v
			if s.in[p] != v && s.sets[p] != v {
				s.in[p] = v
				s.work = append(s.work, p)
			}
		}
	}
	for i := s.heads[v]; i != 0; i = s.mentions[i-1].next {
		m := &s.mentions[i-1]
		if m.set == nil {
			continue
		}
		// The next mention in the block decides, or whether v is alive at its end.
		alive := s.out[m.block] == v
		if m.next != 0 && s.mentions[m.next-1].block == m.block {
			alive = s.mentions[m.next-1].set == nil
		}
		if !alive {
			drop(m.set)
		}
	}
}
