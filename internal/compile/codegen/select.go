package codegen

import (
	"math"

	"sonde/internal/compile/ir"
)

// selector turns the instructions of a function into insts, from the last to the first, so that what nobody uses is left out.
type selector struct {
	*machine
	used []bool
	out  []inst // reversed
	buf  []inst // of one instruction, in order
	pos  int32
}

// selectInsts makes the machine form of f.
func selectInsts(f *ir.Func, g *graph) *machine {
	m := &machine{fn: f, vregs: make([]vinfo, f.NumValues(), f.NumValues()*5/4+16), whole: make([]bool, len(f.Slots))}
	m.findHomes(g)
	m.findTaints(g)
	s := &selector{machine: m, used: make([]bool, f.NumValues())}
	n := 0
	for _, b := range g.blocks {
		n += len(b.Instrs)
	}
	s.out = make([]inst, 0, n*5/4+16)
	// Block 0 is for the arguments: the function's own entry may be the target of a loop.
	m.blocks = make([]mblock, len(g.blocks)+1)
	for i := len(g.blocks) - 1; i >= 0; i-- {
		mb := &m.blocks[i+1]
		mb.to = int32(len(s.out))
		mb.depth = g.depth[i]
		instrs := g.blocks[i].Instrs
		for j := len(instrs) - 1; j >= 0; j-- {
			s.instr(&instrs[j])
		}
		mb.from = int32(len(s.out))
		mb.succs = [2]int32{-1, -1}
		if then, els := successors(g.blocks[i]); then != nil {
			mb.succs[0] = g.number[then.ID] + 1
			if els != nil {
				mb.succs[1] = g.number[els.ID] + 1
			}
		}
		last := &s.out[mb.to]
		last.then, last.els = mb.succs[0], mb.succs[1]
		if last.els < 0 {
			last.els = last.then
		}
	}
	m.blocks[0] = mblock{to: int32(len(s.out)), succs: [2]int32{1, -1}}
	params := inst{op: mParams, slot: noSlot, pos: -1}
	for _, v := range f.Params {
		if !s.used[v] {
			v = 0
		}
		params.args = append(params.args, v)
	}
	s.out = append(s.out, params)
	m.blocks[0].from = int32(len(s.out))

	for i, j := 0, len(s.out)-1; i < j; i, j = i+1, j-1 {
		s.out[i], s.out[j] = s.out[j], s.out[i]
	}
	m.insts = s.out
	total := int32(len(s.out))
	for i := range m.blocks {
		b := &m.blocks[i]
		b.from, b.to = total-b.from, total-b.to
	}
	for i := range m.blocks {
		for _, t := range m.blocks[i].succs {
			if t >= 0 {
				m.blocks[t].preds = append(m.blocks[t].preds, int32(i))
			}
		}
	}
	return m
}

// findHomes marks the values that need no place to be kept.
func (m *machine) findHomes(g *graph) {
	for v := range m.vregs {
		m.vregs[v].taint = noSlot
		m.vregs[v].isVar = v > 0 && m.fn.IsVar(vreg(v))
	}
	for _, b := range g.blocks {
		for i := range b.Instrs {
			in := &b.Instrs[i]
			if in.Dst == 0 || m.vregs[in.Dst].isVar {
				continue
			}
			v := &m.vregs[in.Dst]
			switch in.Op {
			case ir.OpConst:
				v.home, v.def = homeCheap, in
				if !fits32(in.Imm) {
					v.home = homeMade
				}
			case ir.OpSlot, ir.OpMapPtr, ir.OpFuncPtr:
				v.home, v.def = homeCheap, in
			case ir.OpMapValue:
				v.home, v.def = homeMade, in
				v.even = in.Off%8 == 0
			case ir.OpMin:
				v.bound = true
			case ir.OpCall:
				v.even = in.Imm == mapLookup || in.Imm == mapLookupPerCPU || in.Imm == ringReserve
			case ir.OpAdd:
				v.even = len(in.Args) == 1 && in.Imm%8 == 0 && m.vregs[in.Args[0]].even
			}
		}
	}
}

// findTaints follows the addresses of slots.
func (m *machine) findTaints(g *graph) {
	for _, b := range g.blocks {
		for i := range b.Instrs {
			in := &b.Instrs[i]
			switch in.Op {
			case ir.OpSlot:
				m.vregs[in.Dst].taint = in.Slot
			case ir.OpAdd, ir.OpSub, ir.OpPtrAdd, ir.OpKfunc:
				// A kernel function may return a pointer into what it was given, as the iterators do.
				for _, a := range in.Args {
					t := m.vregs[a].taint
					if t == noSlot || in.Dst == 0 {
						continue
					}
					if m.vregs[in.Dst].taint != noSlot {
						m.whole[t] = true
					}
					m.vregs[in.Dst].taint = t
				}
			case ir.OpSet:
				m.escape(in.Args[0])
			case ir.OpStore, ir.OpXchg, ir.OpFetchAdd, ir.OpAtomicAdd:
				if len(in.Args) > 1 {
					m.escape(in.Args[1])
				}
			case ir.OpLoad, ir.OpBranch, ir.OpCall, ir.OpCallFunc, ir.OpZero, ir.OpCopy:
			default:
				for _, a := range in.Args {
					m.escape(a)
				}
			}
		}
	}
}

func (m *machine) escape(v vreg) {
	if t := m.vregs[v].taint; t != noSlot {
		m.whole[t] = true
	}
}

func fits32(n int64) bool { return n >= math.MinInt32 && n <= math.MaxInt32 }
func fits16(n int64) bool { return n >= math.MinInt16 && n <= math.MaxInt16 }

func (s *selector) emit(in inst) {
	in.pos = s.pos
	s.buf = append(s.buf, in)
}

// make makes the value of a def in dst.
func (s *selector) make(dst vreg, def *ir.Instr) {
	s.emit(made(dst, def))
}

func made(dst vreg, def *ir.Instr) inst {
	return inst{op: def.Op, dst: dst, slot: def.Slot, off: def.Off, imm: def.Imm, src: def, pos: def.Pos}
}

// reg is v in a register.
func (s *selector) reg(v vreg) vreg {
	s.use(v)
	if s.vregs[v].home != homeCheap {
		return v
	}
	t := s.temp()
	s.vregs[t].taint = s.vregs[v].taint
	s.make(t, s.vregs[v].def)
	return t
}

func (s *selector) use(v vreg) {
	if int(v) < len(s.used) {
		s.used[v] = true
	}
}

// imm is v where it is a constant that fits an instruction.
func (s *selector) imm(v vreg) (int64, bool) {
	if info := &s.vregs[v]; info.home == homeCheap && info.def.Op == ir.OpConst {
		return info.def.Imm, true
	}
	return 0, false
}

// constant is a register with n.
func (s *selector) constant(n int64) vreg {
	t := s.temp()
	s.make(t, &ir.Instr{Op: ir.OpConst, Imm: n, Pos: s.pos})
	return t
}

// second sets the second operand of in: Args[1] of src, or its Imm where there is no Args[1].
func (s *selector) second(in *inst, src *ir.Instr) {
	n := src.Imm
	if len(src.Args) > 1 {
		var ok bool
		if n, ok = s.imm(src.Args[1]); !ok {
			in.b = s.reg(src.Args[1])
			return
		}
	}
	if fits32(n) {
		in.imm, in.isImm = n, true
		return
	}
	in.b = s.constant(n)
}

// address sets the memory operand of in.
func (s *selector) address(in *inst, addr vreg, off int64) {
	in.slot = noSlot
	if info := &s.vregs[addr]; info.home == homeCheap && info.def.Op == ir.OpSlot {
		s.use(addr)
		in.slot, in.off = info.def.Slot, info.def.Off+int32(off)
		return
	}
	in.a = s.reg(addr)
	if !fits16(off) {
		t := s.temp()
		s.vregs[t].taint = s.vregs[addr].taint
		s.emit(inst{op: ir.OpAdd, dst: t, a: in.a, imm: off, isImm: true, slot: noSlot})
		in.a, off = t, 0
	}
	in.off = int32(off)
}

// instr appends what src becomes.
func (s *selector) instr(src *ir.Instr) {
	if !src.HasEffect() && (src.Dst == 0 || !s.used[src.Dst]) {
		return
	}
	if src.Dst != 0 && s.vregs[src.Dst].home == homeCheap {
		return
	}
	s.buf, s.pos = s.buf[:0], src.Pos
	s.one(src)
	for i := len(s.buf) - 1; i >= 0; i-- {
		s.out = append(s.out, s.buf[i])
	}
}

func (s *selector) one(src *ir.Instr) {
	in := inst{op: src.Op, cond: src.Cond, width: src.Width, signed: src.Signed, dst: src.Dst, slot: noSlot, src: src}
	switch src.Op {
	case ir.OpConst, ir.OpMapValue:
		s.make(src.Dst, src)
		return
	case ir.OpSlot, ir.OpMapPtr, ir.OpFuncPtr: // of variables only
		s.make(src.Dst, src)
		return
	case ir.OpSet:
		if n, ok := s.imm(src.Args[0]); ok {
			s.make(src.Dst, &ir.Instr{Op: ir.OpConst, Imm: n, Pos: src.Pos})
			return
		}
		in.a = s.reg(src.Args[0])
	case ir.OpAdd, ir.OpSub, ir.OpMul, ir.OpDiv, ir.OpMod, ir.OpAnd, ir.OpOr, ir.OpXor, ir.OpShl, ir.OpShr, ir.OpSar:
		s.binary(src, &in)
	case ir.OpNeg, ir.OpNot, ir.OpSext, ir.OpZext, ir.OpSwap:
		in.a = s.reg(src.Args[0])
	case ir.OpMin:
		in.a = s.reg(src.Args[0])
		s.bound(&in, src.Imm)
	case ir.OpPtrAdd:
		in.a = s.reg(src.Args[0])
		in.b = s.reg(src.Args[1])
		in.imm, in.isImm = src.Imm, true
		if !fits32(src.Imm) {
			panic("codegen: a pointer with an offset of more than 2 GiB")
		}
	case ir.OpCmp:
		in.a = s.reg(src.Args[0])
		s.second(&in, src)
	case ir.OpLoad:
		s.address(&in, src.Args[0], int64(src.Off))
	case ir.OpStore:
		s.store(src, &in)
	case ir.OpAtomicAdd, ir.OpXchg, ir.OpFetchAdd:
		s.address(&in, src.Args[0], int64(src.Off))
		if len(src.Args) > 1 {
			in.b = s.reg(src.Args[1])
		} else {
			in.b = s.constant(src.Imm)
		}
		switch {
		case src.Op == ir.OpFetchAdd && (src.Dst == 0 || !s.used[src.Dst]):
			in.op, in.dst = ir.OpAtomicAdd, 0
		case src.Op == ir.OpXchg && src.Dst == 0:
			in.dst = s.temp()
		}
	case ir.OpZero:
		s.zero(src)
		return
	case ir.OpCopy:
		s.copy(src)
		return
	case ir.OpCall, ir.OpKfunc, ir.OpCallFunc:
		for _, a := range src.Args {
			s.use(a)
		}
		in.args, in.imm = src.Args, src.Imm
		if src.Dst != 0 && !s.vregs[src.Dst].isVar && !s.used[src.Dst] {
			in.dst = 0
		}
	case ir.OpBranch:
		s.branch(src, &in)
	case ir.OpRet:
		if len(src.Args) == 0 {
			in.imm, in.isImm = src.Imm, true
		} else if n, ok := s.imm(src.Args[0]); ok {
			in.imm, in.isImm = n, true
		} else {
			in.a = s.reg(src.Args[0])
		}
	case ir.OpJump, ir.OpMayGoto:
	default:
		panic("codegen: an instruction without code")
	}
	s.emit(in)
}

// bound sets the limit of a check-then-use.
func (s *selector) bound(in *inst, most int64) {
	if most >= 0 && fits32(most) {
		in.imm, in.isImm = most, true
		return
	}
	in.b = s.constant(most)
}

func (s *selector) binary(src *ir.Instr, in *inst) {
	x := src.Args[0]
	if len(src.Args) > 1 && src.Op.IsCommutative() {
		if n, ok := s.imm(x); ok { // the constant to the right
			in.a = s.reg(src.Args[1])
			in.imm, in.isImm = n, true
			return
		}
	}
	in.a = s.reg(x)
	s.second(in, src)
	if !in.isImm {
		return
	}
	switch src.Op {
	case ir.OpShl, ir.OpShr, ir.OpSar:
		in.imm &= 63
	case ir.OpDiv:
		if in.imm == 0 { // the verifier refuses to read it
			*in = inst{op: ir.OpConst, dst: in.dst, slot: noSlot, src: src}
		}
	case ir.OpMod:
		if in.imm == 0 {
			in.op, in.isImm = ir.OpSet, false
		}
	}
}

func (s *selector) store(src *ir.Instr, in *inst) {
	s.address(in, src.Args[0], int64(src.Off))
	n := src.Imm
	if len(src.Args) > 1 {
		var ok bool
		if n, ok = s.imm(src.Args[1]); !ok {
			in.b = s.reg(src.Args[1])
			return
		}
	}
	if src.Width < 8 {
		n = int64(int32(n))
	}
	if fits32(n) {
		in.imm, in.isImm = n, true
		return
	}
	in.b = s.constant(n)
}

func (s *selector) branch(src *ir.Instr, in *inst) {
	x, xConst := s.imm(src.Args[0])
	if xConst && len(src.Args) > 1 {
		if y, yConst := s.imm(src.Args[1]); yConst {
			in.a = s.constant(x)
			in.imm, in.isImm = y, true
			return
		}
		in.cond = src.Cond.Swap()
		in.a = s.reg(src.Args[1])
		in.imm, in.isImm = x, true
		return
	}
	in.a = s.reg(src.Args[0])
	s.second(in, src)
}

// chunks calls do for the aligned pieces of size bytes: of align at most, or, where the offset from something aligned to 8
// is known, of what there is.
func chunks(size int64, align uint8, known bool, off int64, do func(at int64, width uint8)) {
	for at := int64(0); at < size; {
		width := max(align, 1)
		if known {
			width = 8
		}
		for int64(width) > size-at || known && (off+at)%int64(width) != 0 {
			width /= 2
		}
		do(at, width)
		at += int64(width)
	}
}

// aligned says whether base is a multiple of 8.
func (s *selector) aligned(base *inst) bool {
	if base.slot != noSlot {
		return s.fn.Slots[base.slot].Align == 8
	}
	return s.vregs[base.a].even
}

// Helpers that return a pointer to memory aligned to 8.
const (
	mapLookup       = 1
	ringReserve     = 131
	mapLookupPerCPU = 195
)

func (s *selector) zero(src *ir.Instr) {
	if src.Clobbers() {
		s.call(probeReadKernel, src, s.pointer(src.Args[0], src.Off), s.argument(src.Imm), s.argument(0))
		return
	}
	var base inst
	s.address(&base, src.Args[0], 0)
	chunks(src.Imm, src.Width, s.aligned(&base), int64(base.off+src.Off), func(at int64, width uint8) {
		in := base
		in.op, in.width, in.isImm, in.src = ir.OpStore, width, true, src
		s.at(&in, int64(src.Off)+at)
		s.emit(in)
	})
}

func (s *selector) copy(src *ir.Instr) {
	if src.Clobbers() {
		s.call(probeReadKernel, src, s.pointer(src.Args[0], src.Off), s.argument(src.Imm), s.pointer(src.Args[1], src.Off2))
		return
	}
	var to, from inst
	s.address(&to, src.Args[0], 0)
	s.address(&from, src.Args[1], 0)
	both := s.aligned(&to) && s.aligned(&from) && (to.off+src.Off-from.off-src.Off2)%8 == 0
	chunks(src.Imm, src.Width, both, int64(to.off+src.Off), func(at int64, width uint8) {
		load, store := from, to
		load.op, load.width, load.dst, load.src = ir.OpLoad, width, s.temp(), src
		s.at(&load, int64(src.Off2)+at)
		s.emit(load)
		store.op, store.width, store.b, store.src = ir.OpStore, width, load.dst, src
		s.at(&store, int64(src.Off)+at)
		s.emit(store)
	})
}

// at adds off to the memory operand of in.
func (s *selector) at(in *inst, off int64) {
	if in.slot != noSlot || fits16(off) {
		in.off += int32(off)
		return
	}
	t := s.temp()
	s.vregs[t].taint = s.vregs[in.a].taint
	s.emit(inst{op: ir.OpAdd, dst: t, a: in.a, imm: off, isImm: true, slot: noSlot})
	in.a = t
}

// pointer is v + off as an argument.
func (s *selector) pointer(v vreg, off int32) vreg {
	info := s.vregs[v]
	s.use(v)
	if info.home == homeCheap && info.def.Op == ir.OpSlot {
		def := *info.def
		def.Off += off
		return s.newVreg(vinfo{home: homeCheap, def: &def, taint: info.taint})
	}
	r := s.reg(v)
	if off == 0 {
		return r
	}
	t := s.temp()
	s.vregs[t].taint = info.taint
	s.emit(inst{op: ir.OpAdd, dst: t, a: r, imm: int64(off), isImm: true, slot: noSlot})
	return t
}

// argument is a constant as an argument.
func (s *selector) argument(n int64) vreg {
	return s.newVreg(vinfo{home: homeCheap, def: &ir.Instr{Op: ir.OpConst, Imm: n, Pos: s.pos}, taint: noSlot})
}

// probeReadKernel is bpf_probe_read_kernel: it copies, and from address 0 it writes zeroes.
const probeReadKernel = 113

func (s *selector) call(helper int64, src *ir.Instr, args ...vreg) {
	s.emit(inst{op: ir.OpCall, imm: helper, args: args, slot: noSlot, src: &ir.Instr{Op: ir.OpCall, Pos: src.Pos}})
}
