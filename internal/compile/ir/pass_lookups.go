package ir

// mergeLookups uses the result of an earlier bpf_map_lookup_elem again where the map and the bytes of the key are the same,
// and nothing in between can have added or deleted an element.
func mergeLookups(f *Func) {
	m := &lookups{f: f, g: newCFG(f), defs: definitions(f)}
	if !m.any() {
		return
	}
	m.g.dominators()
	m.findBarriers()
	m.seen = make([]int32, len(m.g.blocks))
	repl := make(substitution, len(f.values))
	table := map[lookupKey]*found{}
	m.g.preorder(func(n int32) {
		b := m.g.blocks[n]
		for i := range b.Instrs {
			in := &b.Instrs[i]
			repl.apply(in)
			if !isLookup(in) {
				continue
			}
			key, ok := m.key(n, i)
			if !ok {
				continue
			}
			if was := table[key]; was != nil && m.g.dominates(was.block, n) && m.quiet(key.sym, was, n, i) {
				repl[in.Dst] = was.v
				was.block, was.index = n, i // no need to look further back next time
				drop(in)
				continue
			}
			table[key] = &found{v: in.Dst, block: n, index: i}
		}
	}, func(int32) {})
	sweep(f)
}

// found is a look-up, and the place up to which its result is known to hold.
type found struct {
	v     Value
	block int32
	index int
}

// maxKeyParts is how many pieces a key may be written in.
const maxKeyParts = 4

// keyPart is a piece of a key: width bytes at off, a value or a number.
type keyPart struct {
	off   int32
	width uint8
	v     Value
	imm   int64
}

// lookupKey is what a look-up asks for.
type lookupKey struct {
	sym   string
	parts [maxKeyParts]keyPart
}

type lookups struct {
	f     *Func
	g     *cfg
	defs  []*Instr
	seen  []int32 // by block, for quiet: the number of the search
	round int32
	// barriers are, by block, the instructions that may change which elements maps have.
	barriers [][]barrier
	// loose are the slots whose address is used for more than plain accesses and calls.
	loose []bool
	// written are, by slot, the bytes that anything writes. Others are in no key: nobody may read them.
	written []uint64
}

// barrier may add to a map or delete from it; sym "" is any map.
type barrier struct {
	index int
	sym   string
}

func isLookup(in *Instr) bool {
	return in.Op == OpCall && in.Imm == helperLookup && len(in.Args) == 2 && in.Dst != 0
}

// any says whether there are two look-ups at all.
func (m *lookups) any() bool {
	n := 0
	for _, b := range m.g.blocks {
		for i := range b.Instrs {
			if isLookup(&b.Instrs[i]) {
				if n++; n > 1 {
					return true
				}
			}
		}
	}
	return false
}

func (m *lookups) mapOf(v Value) string {
	if def := m.defs[v]; def != nil && def.Op == OpMapPtr {
		return def.Sym
	}
	return ""
}

func (m *lookups) findBarriers() {
	m.barriers = make([][]barrier, len(m.g.blocks))
	m.loose, m.written = make([]bool, len(m.f.Slots)), make([]uint64, len(m.f.Slots))
	for n, b := range m.g.blocks {
		for i := range b.Instrs {
			in := &b.Instrs[i]
			m.noteSlots(in)
			switch {
			case in.Op == OpCallFunc:
				m.barriers[n] = append(m.barriers[n], barrier{i, ""})
			case in.Op == OpCall && !in.Pure && in.Imm != helperLookup || in.Op == OpKfunc:
				for _, a := range in.Args {
					def := m.defs[a]
					switch {
					case def == nil:
					case def.Op == OpFuncPtr: // a callback may do anything
						m.barriers[n] = append(m.barriers[n], barrier{i, ""})
					case def.Op == OpMapPtr:
						m.barriers[n] = append(m.barriers[n], barrier{i, def.Sym})
					}
				}
			}
		}
	}
}

// noteSlots notes what in does with slots.
func (m *lookups) noteSlots(in *Instr) {
	for i, a := range in.Args {
		def := m.defs[a]
		if def == nil || def.Op != OpSlot {
			continue
		}
		s := def.Slot
		switch in.Op {
		case OpLoad, OpBranch, OpCmp:
		case OpStore, OpAtomicAdd:
			m.loose[s] = m.loose[s] || i > 0
			m.written[s] |= bytesAt(def.Off+in.Off, int64(in.Width))
		case OpZero:
			m.written[s] |= bytesAt(def.Off+in.Off, in.Imm)
		case OpCall:
			if !readsOnly(in) {
				m.written[s] = unknown
			}
		case OpCopy:
			if i == 0 {
				m.written[s] = unknown
			}
		case OpCallFunc:
			m.written[s] = unknown
		default:
			m.loose[s] = true
		}
	}
}

// readsOnly says whether a helper only reads what its arguments point to: keys and values.
func readsOnly(in *Instr) bool { return in.Imm >= helperLookup && in.Imm <= 3 }

// bytesAt has a bit for each of size bytes at off.
func bytesAt(off int32, size int64) uint64 {
	if off < 0 || off > 63 {
		return 0
	}
	return (uint64(1)<<min(size, 64) - 1) << off
}

// key finds what the look-up at instruction i of block n asks for: the bytes of the key as they were written just before.
func (m *lookups) key(n int32, i int) (key lookupKey, ok bool) {
	in := &m.g.blocks[n].Instrs[i]
	key.sym = m.mapOf(in.Args[0])
	addr := m.defs[in.Args[1]]
	if key.sym == "" || addr == nil || addr.Op != OpSlot || addr.Off != 0 {
		return key, false
	}
	w := &writes{m: m, slot: addr.Slot, size: int32(m.f.Slots[addr.Slot].Size), key: &key}
	if w.size > 64 || m.loose[w.slot] || !w.before(n, i) {
		return key, false
	}
	return key, true
}

// writes collects what a slot holds, from the last write to the first, until all its bytes are known.
type writes struct {
	m    *lookups
	slot Slot
	size int32
	done uint64 // bytes that are known
	n    int
	key  *lookupKey
}

// before goes back from instruction i of block n, and on through blocks that have one way in.
func (w *writes) before(n int32, i int) bool {
	all := (uint64(1)<<w.size - 1) & w.m.written[w.slot]
	for budget := 256; budget > 0; budget -= 8 {
		b := w.m.g.blocks[n]
		for i--; i >= 0; i-- {
			if budget--; budget < 0 || !w.instr(&b.Instrs[i]) {
				return false
			}
			if w.done == all {
				w.sort()
				return true
			}
		}
		if len(w.m.g.preds[n]) != 1 {
			return false
		}
		n = w.m.g.preds[n][0]
		i = len(w.m.g.blocks[n].Instrs)
	}
	return false
}

// instr looks at one instruction on the way back.
func (w *writes) instr(in *Instr) bool {
	touches := false
	for _, a := range in.Args {
		touches = touches || w.points(a)
	}
	if !touches {
		return true
	}
	switch in.Op {
	case OpLoad:
		return true
	case OpCall:
		return readsOnly(in)
	case OpStore:
		if len(in.Args) == 2 && (w.points(in.Args[1]) || w.m.f.values[in.Args[1]]) {
			return false
		}
		part := keyPart{off: w.at(in), width: in.Width, imm: Extend(in.Imm, in.Width, false)}
		if len(in.Args) == 2 {
			part.v, part.imm = in.Args[1], 0
		}
		return w.part(part)
	case OpZero:
		// What is not yet known of it is zero: padding.
		from := w.at(in)
		for at := from; at < from+int32(in.Imm); at++ {
			if w.done>>at&1 != 0 {
				continue
			}
			width := int32(1)
			for width < 8 && at%(2*width) == 0 && at+2*width <= from+int32(in.Imm) && w.done>>at&(1<<(2*width)-1) == 0 {
				width *= 2
			}
			if !w.part(keyPart{off: at, width: uint8(width)}) {
				return false
			}
			at += width - 1
		}
		return true
	}
	return false
}

// points says whether v is an address in the slot, as far as it has its own.
func (w *writes) points(v Value) bool {
	def := w.m.defs[v]
	return def != nil && def.Op == OpSlot && def.Slot == w.slot
}

func (w *writes) at(in *Instr) int32 { return w.m.defs[in.Args[0]].Off + in.Off }

func (w *writes) part(p keyPart) bool {
	bits := bytesAt(p.off, int64(p.width))
	if w.done&bits == bits {
		return true // written over later
	}
	if w.done&bits != 0 || w.n == maxKeyParts {
		return false
	}
	w.done |= bits
	w.key.parts[w.n] = p
	w.n++
	return true
}

// sort puts the parts in the order of their offsets.
func (w *writes) sort() {
	p := w.key.parts[:w.n]
	for i := range p {
		for j := i; j > 0 && p[j].off < p[j-1].off; j-- {
			p[j], p[j-1] = p[j-1], p[j]
		}
	}
}

// quiet says whether the elements of the map stay on all ways from a look-up to instruction i of block n.
func (m *lookups) quiet(sym string, from *found, n int32, i int) bool {
	if from.block == n && from.index < i {
		return !m.barrier(n, from.index, i, sym)
	}
	if m.barrier(n, 0, i, sym) || m.barrier(from.block, from.index, len(m.g.blocks[from.block].Instrs), sym) {
		return false
	}
	m.round++
	work := append([]int32(nil), m.g.preds[n]...)
	for len(work) > 0 {
		b := work[len(work)-1]
		work = work[:len(work)-1]
		if b == from.block || m.seen[b] == m.round {
			continue
		}
		m.seen[b] = m.round
		if m.barrier(b, 0, len(m.g.blocks[b].Instrs), sym) {
			return false
		}
		work = append(work, m.g.preds[b]...)
	}
	return true
}

// barrier says whether a barrier of the map is in the instructions from up to to of block n.
func (m *lookups) barrier(n int32, from, to int, sym string) bool {
	for _, b := range m.barriers[n] {
		if b.index >= from && b.index < to && (b.sym == "" || b.sym == sym) {
			return true
		}
	}
	return false
}
