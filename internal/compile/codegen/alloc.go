package codegen

import (
	"math"

	"sonde/internal/compile/ir"
)

const (
	callRegs = 6 // r0 to r5 are lost at a call
	allRegs  = 10
)

// order is the order in which registers are tried that no hint asks for: those that calls want last.
var order = [allRegs]int8{0, 5, 4, 3, 2, 1, 6, 7, 8, 9}

// fault makes the allocator wrong on purpose, to see that the tests notice.
type fault uint8

const (
	noFault      fault = iota
	freeEarly          // a register is free one instruction too early
	forgetCalls        // calls are taken to destroy nothing
	movesInOrder       // arguments are moved one after the other
	forgetLoops        // a slot that is used in a loop is free for others in the rest of it
)

// allocation is what is kept where.
type allocation struct {
	ivs     []interval // by vreg
	spilled []bool     // by vreg: on the stack, or made anew
}

// allocate gives every vreg a register, or writes it to the stack.
func (m *machine) allocate(f fault) *allocation {
	a := &allocation{spilled: make([]bool, len(m.vregs))}
	for {
		a.ivs = m.intervals()
		m.weigh(a.ivs)
		if f == freeEarly {
			for i := range a.ivs {
				if iv := &a.ivs[i]; len(iv.spans) > 0 {
					last := &iv.spans[len(iv.spans)-1]
					last.to = max(last.from+1, last.to-3)
				}
			}
		}
		m.markCalls(a.ivs, f)
		fresh := m.scan(a)
		if len(fresh) == 0 {
			return a
		}
		m.rewrite(a, fresh)
	}
}

// weigh computes weights and hints.
func (m *machine) weigh(ivs []interval) {
	for v := range ivs {
		ivs[v].v, ivs[v].reg, ivs[v].hint = vreg(v), -1, -1
		ivs[v].pinned = m.vregs[v].pinned
	}
	for b := len(m.blocks) - 1; b >= 0; b-- {
		bl := &m.blocks[b]
		freq := float32(math.Pow(8, float64(min(bl.depth, 4))))
		for i := bl.to - 1; i >= bl.from; i-- {
			in := &m.insts[i]
			m.operands(in, func(v vreg, _ bool) { ivs[v].weight += freq }, func(v vreg) { ivs[v].weight += freq })
			m.hint(ivs, in)
		}
	}
	for v := range ivs {
		iv := &ivs[v]
		if len(iv.spans) == 0 {
			continue
		}
		length := int32(0)
		for _, s := range iv.spans {
			length += s.to - s.from
		}
		iv.weight /= float32(length + 8)
		if m.vregs[v].home == homeMade {
			iv.weight /= 2
		}
		if m.vregs[v].bound {
			iv.weight *= 1000
		}
	}
}

// hint notes which registers would save moves around in. It is called from the last instruction to the first, so that what
// is wanted of a result is known when its operand is looked at.
func (m *machine) hint(ivs []interval, in *inst) {
	switch {
	case in.op == mParams:
		for i, v := range in.args {
			if ivs[v].hint < 0 {
				ivs[v].hint = int8(i + 1)
			}
		}
	case in.op.IsCall():
		for i, v := range in.args {
			if i < 5 && m.vregs[v].home != homeCheap {
				ivs[v].hint = int8(i + 1)
			}
		}
		if in.dst != 0 && ivs[in.dst].hint < 0 {
			ivs[in.dst].hint = 0
		}
	case in.op == ir.OpRet:
		ivs[in.a].hint = 0
	case in.dst != 0 && in.a != 0 && (in.op != ir.OpLoad && in.op != mReload && in.op != mSpill && !lateA(in)):
		if h := ivs[in.dst].hint; h >= 0 && ivs[in.a].hint < 0 {
			ivs[in.a].hint = h
		}
		ivs[in.dst].near = in.a
		if ivs[in.a].near == 0 {
			ivs[in.a].near = in.dst
		}
	case in.op == ir.OpPtrAdd || in.op == ir.OpXchg || in.op == ir.OpFetchAdd:
		ivs[in.dst].near = in.b
	}
}

// markCalls finds the intervals that are alive across a call.
func (m *machine) markCalls(ivs []interval, f fault) {
	if f == forgetCalls {
		return
	}
	// before[i] is the number of calls before instruction i.
	before := make([]int32, len(m.insts)+1)
	for i := range m.insts {
		before[i+1] = before[i]
		if m.insts[i].clobbers() {
			before[i+1]++
		}
	}
	for v := range ivs {
		for _, s := range ivs[v].spans {
			// Alive at 2i, before the call i, and still at 2i+1, when it writes.
			first, last := (s.from+1)/2, s.to/2
			if last > first && before[last] > before[first] {
				ivs[v].calls = true
				break
			}
		}
	}
}

// scan is the linear scan: intervals by their start, each taking a register that is free for all its spans, or that of
// cheaper ones, or none. It returns those that got none.
func (m *machine) scan(a *allocation) (fresh []vreg) {
	heads := make([]int32, 2*len(m.insts)+1)
	for v := range a.ivs {
		iv := &a.ivs[v]
		if len(iv.spans) == 0 || a.spilled[v] {
			continue
		}
		at := iv.start()
		iv.next = heads[at]
		heads[at] = int32(v)
	}
	var active [allRegs][]*interval
	for _, v := range heads {
		for ; v != 0; v = a.ivs[v].next {
			iv := &a.ivs[v]
			if m.place(a, iv, &active, &fresh) {
				active[iv.reg] = append(active[iv.reg], iv)
			}
		}
	}
	return fresh
}

// place finds a register for iv.
func (m *machine) place(a *allocation, iv *interval, active *[allRegs][]*interval, fresh *[]vreg) bool {
	now := iv.start()
	var cost [allRegs]float32 // of what is in the way
	lowest := int8(0)
	if iv.calls {
		lowest = callRegs
	}
	for r := lowest; r < allRegs; r++ {
		kept := active[r][:0]
		for _, o := range active[r] {
			if o.reg != r || o.end() <= now {
				continue
			}
			kept = append(kept, o)
			if o.meets(iv) {
				if o.pinned {
					cost[r] = float32(math.Inf(1))
				} else {
					cost[r] += o.weight
				}
			}
		}
		active[r] = kept
	}
	if h := iv.hint; h >= lowest && cost[h] == 0 {
		iv.reg = h
		return true
	}
	if iv.near != 0 {
		if h := a.ivs[iv.near].reg; h >= lowest && cost[h] == 0 {
			iv.reg = h
			return true
		}
	}
	best := int8(-1)
	for _, r := range order {
		if r < lowest {
			continue
		}
		if cost[r] == 0 {
			iv.reg = r
			return true
		}
		if best < 0 || cost[r] < cost[best] {
			best = r
		}
	}
	if !iv.pinned && cost[best] >= iv.weight {
		iv.reg = -1
		a.spilled[iv.v] = true
		*fresh = append(*fresh, iv.v)
		return false
	}
	if math.IsInf(float64(cost[best]), 1) {
		panic("codegen: no register for a temporary")
	}
	for _, o := range active[best] {
		if o.reg == best && o.meets(iv) {
			o.reg = -1
			a.spilled[o.v] = true
			*fresh = append(*fresh, o.v)
		}
	}
	iv.reg = best
	return true
}

// meets says whether iv and the later one are alive at the same time.
func (iv *interval) meets(later *interval) bool {
	from := later.start()
	for int(iv.cursor) < len(iv.spans) && iv.spans[iv.cursor].to <= from {
		iv.cursor++
	}
	x, y := iv.spans[iv.cursor:], later.spans
	for len(x) > 0 && len(y) > 0 {
		switch {
		case x[0].to <= y[0].from:
			x = x[1:]
		case y[0].to <= x[0].from:
			y = y[1:]
		default:
			return true
		}
	}
	return false
}

// rewrite gives the instructions that mention a value without register temporaries of their own, filled before and stored
// behind. Calls, arguments and copies take it from where it is.
func (m *machine) rewrite(a *allocation, fresh []vreg) {
	is := make([]bool, len(m.vregs))
	for _, v := range fresh {
		is[v] = true
	}
	out := make([]inst, 0, len(m.insts)+4*len(fresh))
	fill := func(in *inst, v vreg) vreg {
		t := m.temp()
		m.vregs[t].taint = m.vregs[v].taint
		if m.vregs[v].home == homeMade {
			def := made(t, m.vregs[v].def)
			def.pos = in.pos
			out = append(out, def)
		} else {
			out = append(out, inst{op: mReload, dst: t, a: v, slot: noSlot, pos: in.pos})
		}
		return t
	}
	for b := range m.blocks {
		bl := &m.blocks[b]
		from := int32(len(out))
		for i := bl.from; i < bl.to; i++ {
			in := m.insts[i]
			if in.op.IsCall() || in.op == mParams {
				out = append(out, in)
				if in.dst != 0 && is[in.dst] {
					continue // the result is stored by the call's own code
				}
				continue
			}
			if in.dst != 0 && is[in.dst] && m.vregs[in.dst].home == homeMade {
				continue
			}
			if in.op == ir.OpSet && (is[in.dst] != is[in.a]) && m.vregs[in.a].home != homeMade {
				if is[in.dst] {
					in.op = mSpill
				} else {
					in.op = mReload
				}
				out = append(out, in)
				continue
			}
			if in.op == mReload || in.op == mSpill {
				// One side is on the stack already; the other now is too.
				if v := in.a; in.op == mSpill && is[v] {
					in.a = fill(&in, v)
				}
				if v := in.dst; in.op == mReload && is[v] {
					in.dst = m.temp()
					m.vregs[in.dst].taint = m.vregs[v].taint
					out = append(out, in, inst{op: mSpill, dst: v, a: in.dst, slot: noSlot, pos: in.pos})
					continue
				}
				out = append(out, in)
				continue
			}
			x, y := in.a, in.b
			if x != 0 && is[x] {
				in.a = fill(&in, x)
			}
			if y != 0 && is[y] {
				if y == x {
					in.b = in.a
				} else {
					in.b = fill(&in, y)
				}
			}
			if v := in.dst; v != 0 && is[v] {
				in.dst = m.temp()
				m.vregs[in.dst].taint = m.vregs[v].taint
				out = append(out, in, inst{op: mSpill, dst: v, a: in.dst, slot: noSlot, pos: in.pos})
				continue
			}
			out = append(out, in)
		}
		bl.from, bl.to = from, int32(len(out))
	}
	m.insts = out
	for len(a.spilled) < len(m.vregs) {
		a.spilled = append(a.spilled, false)
	}
}
