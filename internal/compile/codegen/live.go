package codegen

import "slices"

// Positions: instruction i reads at 2i and writes at 2i+1.

// span is a stretch of positions [from, to) in which a value is alive.
type span struct{ from, to int32 }

// interval is where one vreg is alive: spans in order, with the holes between them.
type interval struct {
	v      vreg
	spans  []span
	cursor int32   // spans before it are over for the scan
	weight float32 // what it costs to have no register
	calls  bool    // alive across a call
	pinned bool
	reg    int8 // -1 for none
	hint   int8 // a register that saves a move, -1 for none
	near   vreg // a vreg whose register would save a move, 0 for none
	next   int32
}

func (iv *interval) start() int32 { return iv.spans[0].from }
func (iv *interval) end() int32   { return iv.spans[len(iv.spans)-1].to }

// event is a use (even) or definition (odd) of a vreg: its position, and late whether a use lasts until after the write.
type event struct {
	at    int32
	block int32
	late  bool
}

// liveness computes the intervals of all vregs.
type liveness struct {
	*machine
	events  []event
	first   []int32 // by vreg, into events
	outMark []int32 // by block: the vreg that is known to be alive at its end
	inMark  []int32
	defMark []int32
	spans   []span
	touched []int32 // blocks in which the vreg is alive or mentioned
	work    []int32
	ivs     []interval // by vreg; no spans: never alive
}

func (m *machine) intervals() []interval {
	n := len(m.vregs)
	l := &liveness{machine: m, first: make([]int32, n+1), ivs: make([]interval, n)}
	marks := make([]int32, 3*len(m.blocks))
	k := len(m.blocks)
	l.outMark, l.inMark, l.defMark = marks[:k], marks[k:2*k], marks[2*k:]
	l.collect()
	l.spans = make([]span, 0, n+n/2)
	for v := range n {
		ev := l.events[l.first[v]:l.first[v+1]]
		if len(ev) == 0 {
			continue
		}
		iv := &l.ivs[v]
		from := len(l.spans)
		if ev[0].block == ev[len(ev)-1].block && ev[0].at&1 == 1 && !m.vregs[v].isVar {
			l.local(ev)
		} else {
			l.global(vreg(v), ev)
		}
		iv.spans = l.spans[from:len(l.spans):len(l.spans)]
	}
	return l.ivs
}

// collect sorts the mentions of each vreg by position.
func (l *liveness) collect() {
	counts := make([]int32, len(l.vregs)+1)
	for i := range l.insts {
		l.operands(&l.insts[i], func(v vreg, _ bool) { counts[v]++ }, func(v vreg) { counts[v]++ })
	}
	sum := int32(0)
	for v, c := range counts {
		l.first[min(v, len(l.first)-1)] = sum
		counts[v] = sum
		sum += c
	}
	l.first[len(l.first)-1] = sum
	l.events = make([]event, sum)
	for b := range l.blocks {
		for i := l.blocks[b].from; i < l.blocks[b].to; i++ {
			l.operands(&l.insts[i], func(v vreg, late bool) {
				l.events[counts[v]] = event{at: 2 * i, block: int32(b), late: late}
				counts[v]++
			}, func(v vreg) {
				l.events[counts[v]] = event{at: 2*i + 1, block: int32(b)}
				counts[v]++
			})
		}
	}
}

// after is where a value is no longer needed, e being its last use.
func (e event) after() int32 {
	if e.late {
		return e.at + 2
	}
	return e.at + 1
}

func (l *liveness) add(from, to int32) {
	l.spans = append(l.spans, span{from, to})
}

// local is a value all in one block.
func (l *liveness) local(ev []event) {
	to := ev[0].at + 1
	for _, e := range ev[1:] {
		to = max(to, e.after())
	}
	l.add(ev[0].at, to)
}

// global is a value of several blocks, or a variable: from each block that reads it before writing, back along the edges to
// the blocks that write it.
func (l *liveness) global(v vreg, ev []event) {
	mark := int32(v)
	l.touched, l.work = l.touched[:0], l.work[:0]
	for i, e := range ev {
		if e.at&1 == 1 {
			l.defMark[e.block] = mark
		}
		if i == 0 || ev[i-1].block != e.block {
			l.touched = append(l.touched, e.block)
			if e.at&1 == 0 {
				l.inMark[e.block] = mark
				l.work = append(l.work, e.block)
			}
		}
	}
	mentioned := len(l.touched)
	for len(l.work) > 0 {
		b := l.work[len(l.work)-1]
		l.work = l.work[:len(l.work)-1]
		for _, p := range l.blocks[b].preds {
			if l.outMark[p] == mark {
				continue
			}
			l.outMark[p] = mark
			if l.defMark[p] != mark && l.inMark[p] != mark {
				l.inMark[p] = mark
				l.touched = append(l.touched, p)
				l.work = append(l.work, p)
			}
		}
	}
	if len(l.touched) > mentioned {
		slices.Sort(l.touched)
	}
	first := len(l.spans)
	for _, b := range l.touched {
		bl := &l.blocks[b]
		from := int32(-1) // of the span that is open
		if l.inMark[b] == mark {
			from = 2 * bl.from
		}
		to := from
		for len(ev) > 0 && ev[0].block == b {
			e := ev[0]
			ev = ev[1:]
			if e.at&1 == 0 {
				to = max(to, e.after())
				continue
			}
			if from >= 0 {
				l.extend(first, from, to)
			}
			from, to = e.at, e.at+1
		}
		if l.outMark[b] == mark {
			to = 2 * bl.to
		}
		l.extend(first, from, to)
	}
}

// extend adds a span, joined with the one before it if they touch.
func (l *liveness) extend(first int, from, to int32) {
	if to <= from {
		return
	}
	if n := len(l.spans); n > first && l.spans[n-1].to >= from {
		l.spans[n-1].to = max(l.spans[n-1].to, to)
		return
	}
	l.add(from, to)
}
