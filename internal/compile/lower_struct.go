package compile

import (
	"math/bits"

	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/prog"
)

// location is where the value of a field, an element or a dereference is, before it is read.
type location struct {
	t *types.Type
	// kind says which of the following is set.
	kind locationKind
	m    mem      // near, inContext
	base ir.Value // typed, far: an address, off bytes before the value
	off  int
	// space is whose memory a far one is in.
	space types.Space
	val   value // known
	bits  int   // of a bit field, bitOff bits behind off
	bOff  int
	// union says that the way here went through a union: the verifier may take it for another member.
	union bool
	node  syntax.Node
}

type locationKind uint8

const (
	known     locationKind = iota // it has been read already
	near                          // memory that may be read directly
	inContext                     // so may this, but only by aligned loads with constant offsets
	typed                         // behind a pointer that the verifier knows the type of: plain loads of whole members
	far                           // behind any address: to be read by a helper
)

// at is the part of l of type t that begins n bytes further on.
func (l location) at(n int, t *types.Type) location {
	l.t = t
	switch l.kind {
	case near, inContext:
		l.m.off += n
	case known:
		l.kind, l.m = near, l.val.m.at(n)
	default:
		l.off += n
	}
	return l
}

// locate finds where a field, element or dereference is. Other expressions are evaluated.
func (f *fn) locate(e syntax.Expr) location {
	if f.constOf(e) == nil {
		switch e := e.(type) {
		case *syntax.Field:
			return f.locateField(e)
		case *syntax.TupleIndex:
			return f.locateTuple(e, e.X, e.Index)
		case *syntax.Index:
			return f.locateIndex(e)
		case *syntax.Unary:
			if e.Op == syntax.OpDeref {
				return f.locateDeref(e)
			}
		}
	}
	v := f.expr(e)
	return location{kind: known, t: v.t, val: v, m: v.m, node: e}
}

func (f *fn) locateDeref(e *syntax.Unary) location {
	t := f.typeOf(e)
	if x := f.typeOf(e.X); x == nil || x.Kind != types.Pointer {
		if isArgs(e.X) {
			return f.locate(e.X)
		}
		// *n of a number: what is at that address.
		v := f.expr(e.X)
		return location{kind: far, t: t, base: f.number(v), space: f.program.Space, node: e}
	}
	p := f.expr(e.X)
	to := p.t.Elem
	if t != nil && (to == nil || to.Kind == types.None || t.Size != to.Size) {
		to = t
	}
	return f.pointee(p, to, e)
}

// pointee is what a pointer points to.
func (f *fn) pointee(p value, t *types.Type, n syntax.Node) location {
	l := location{kind: far, t: t, base: p.v, node: n}
	if p.t.Kind == types.Pointer {
		l.space = p.t.Space
	}
	if t.Kind != types.Struct || l.space == types.SpaceUser || f.opt.Warnings {
		return l
	}
	if p.trusted {
		l.kind = typed
		return l
	}
	if id, ok := f.castable(t); ok && l.space != types.SpaceUser && f.kernelSpace(l.space) {
		kfunc, _ := f.t.Kfunc("bpf_rdonly_cast")
		l.base = f.Func.NewValue()
		f.Emit(ir.Instr{
			Op: ir.OpKfunc, Dst: l.base, Imm: int64(kfunc), Sym: "bpf_rdonly_cast", Pure: true,
			Args: []ir.Value{p.v, f.Const(int64(id))},
		})
		l.kind = typed
	}
	return l
}

// kernelSpace says whether a pointer into that space can only be one into the kernel. Where nothing is known of a
// pointer the helper that looks at the address decides.
func (f *fn) kernelSpace(s types.Space) bool {
	return s == types.SpaceKernel || s == types.SpaceNone && f.program.Space != types.SpaceUser && !f.userProbe()
}

// castable says whether pointers to t can be made known to the verifier, and the number that it has for t.
func (f *fn) castable(t *types.Type) (id uint32, ok bool) {
	if t.BTF == 0 || !f.castsPointers() || !f.t.Types().Has(t.BTF) {
		return 0, false
	}
	return t.BTF, true
}

// plainPointers says whether all pointers are plain numbers to the verifier.
func (f *fn) plainPointers() bool {
	switch f.plan.kind {
	case prog.TypedTracepoint, prog.Fentry, prog.Fexit, prog.Iter:
		return false
	}
	return !f.taskBTF() && !f.castsPointers()
}

func (f *fn) locateField(e *syntax.Field) location {
	if isArgs(e.X) {
		return f.argField(e)
	}
	x := f.typeOf(e.X)
	if x == nil {
		return location{kind: known, val: f.nothing(nil), t: types.TInt64, node: e}
	}
	var l location
	switch x.Kind {
	case types.Context:
		return f.contextField(e, x)
	case types.Pointer:
		p := f.expr(e.X)
		for p.t.Elem != nil && p.t.Elem.Kind == types.Pointer {
			space := p.t.Space
			p = f.fetch(f.pointee(p, p.t.Elem, e))
			if p.t.Space == types.SpaceNone && space != types.SpaceNone {
				up := *p.t
				up.Space = space
				p.t = &up
			}
		}
		l = f.pointee(p, p.t.Elem, e)
	default:
		l = f.locate(e.X)
	}
	l.node = e
	return f.member(l, e.Name, f.typeOf(e))
}

// member is a field of the struct, record or tuple at l. Its type may be told more exactly by t.
func (f *fn) member(l location, name string, t *types.Type) location {
	field, ok := l.t.Field(name)
	if !ok {
		f.refuse(l.node, l.t.String()+" has no field "+name, "")
		return location{kind: known, val: f.nothing(t), t: t, node: l.node}
	}
	union := l.union || throughUnion(l.t, name, 0)
	ft := field.Type
	if t != nil && t.Kind == types.Pointer && ft.Kind == types.Pointer {
		ft = t // as check says, with the space it found
	}
	if t != nil && t.Kind == types.String && ft.Kind == types.Array {
		ft = t
	}
	out := l.at(field.Offset, ft)
	out.bits, out.bOff, out.union = field.Bits, field.BitOffset, union
	return out
}

// throughUnion says whether the way to a field leads through a union.
func throughUnion(t *types.Type, name string, depth int) bool {
	if depth > 16 {
		return false
	}
	for _, field := range t.AllFields() {
		if field.Name == name {
			return t.Union
		}
		if field.Name == "" && field.Type.Kind == types.Struct {
			if _, ok := field.Type.Field(name); ok {
				return t.Union || throughUnion(field.Type, name, depth+1)
			}
		}
	}
	return false
}

func (f *fn) locateTuple(e, x syntax.Expr, index int) location {
	l := f.locate(x)
	if index < 0 || index >= len(l.t.Fields) {
		return location{kind: known, val: f.nothing(f.typeOf(e)), t: f.typeOf(e), node: e}
	}
	field := l.t.Fields[index]
	return l.at(field.Offset, field.Type)
}

func (f *fn) locateIndex(e *syntax.Index) location {
	if l, ok := f.syscallElement(e); ok {
		return l
	}
	x, t := f.typeOf(e.X), f.typeOf(e)
	c := f.constOf(e.I)
	switch x.Kind {
	case types.Tuple, types.Record:
		n := -1
		if c != nil {
			n = int(c.Int)
		}
		return f.locateTuple(e, e.X, n)
	case types.Pointer:
		p := f.expr(e.X)
		elem := p.t.Elem
		if elem == nil || elem.Kind == types.None {
			elem = t
		}
		if c != nil && int64(c.Int) == 0 {
			return f.pointee(p, elem, e)
		}
		step := f.BinImm(ir.OpMul, f.number(f.expr(e.I)), int64(max(elem.Size, 1)))
		p.v, p.trusted = f.Bin(ir.OpAdd, f.number(p), step), false
		return f.pointee(p, elem, e)
	}
	l := f.locate(e.X)
	elem, count := t, x.Size
	if x.Kind == types.Array {
		elem, count = x.Elem, x.Len
	}
	size := max(elem.Size, 1)
	if x.Kind == types.Array && count == 0 && (l.kind == typed || l.kind == far) {
		return f.flexibleIndex(e, l, elem, size)
	}
	if c != nil {
		if n := int64(c.Int); n < 0 || n >= int64(count) {
			return location{kind: known, val: f.nothing(elem), t: elem, node: e}
		}
		return l.at(int(c.Int)*size, elem)
	}
	return f.variableIndex(e, l, elem, count, size)
}

// flexibleIndex is an element of an array at the end of a struct, whose length its type does not say.
func (f *fn) flexibleIndex(e *syntax.Index, l location, elem *types.Type, size int) location {
	l = f.byAddress(l)
	l.t = elem
	if c := f.constOf(e.I); c != nil {
		l.off += int(int32(c.Int)) * size
		return l
	}
	l.base = f.Bin(ir.OpAdd, l.base, f.BinImm(ir.OpMul, f.number(f.expr(e.I)), int64(size)))
	return l
}

// byAddress is what lies behind a pointer whose type the verifier knows, as something behind any address: the verifier wants
// constant offsets, within the type, behind its own pointers.
func (f *fn) byAddress(l location) location {
	if l.kind == typed {
		l.base, l.kind, l.space = f.number(value{t: types.PointerTo(l.t, types.SpaceKernel), v: l.base, trusted: true}), far, types.SpaceKernel
	}
	return l
}

// variableIndex is an element whose number is known at run time only: one that there is not reads as 0 and is told.
func (f *fn) variableIndex(e *syntax.Index, l location, elem *types.Type, count, size int) location {
	i := f.number(f.expr(e.I))
	result := f.Func.NewVar()
	in, out, next := f.Func.NewBlock("within"), f.Func.NewBlock("beyond"), f.Func.NewBlock("element")
	var tmp mem
	if elem.InRegister() {
		f.Set(result, f.Const(0))
	} else {
		tmp = f.alloc(elem.Size, elem.Align(), "element")
	}
	l = f.byAddress(f.withoutContext(l))
	f.BranchImm(ir.Lt, i, int64(count), in, out)
	f.Goto(out)
	f.runtimeError(e, "the index is out of bounds: 0 is taken as the value")
	if !elem.InRegister() {
		f.zeroAt(tmp, elem.Size)
	}
	f.Jump(next)
	f.Goto(in)
	step := i
	if size > 1 {
		step = f.BinImm(ir.OpMul, i, int64(size))
	}
	el := l
	el.t = elem
	switch l.kind {
	case near, known:
		m := l.m
		if m.onSlot {
			el.m = mem{base: f.PtrAdd(f.SlotAddr(m.slot, m.off), step, int64((count-1)*size))}
		} else {
			el.m = mem{base: f.PtrAdd(f.addr(m), step, int64((count-1)*size))}
		}
		el.kind = near
	default:
		el.base, el.off = f.Bin(ir.OpAdd, l.base, step), l.off
	}
	if elem.InRegister() {
		f.Set(result, f.fetch(el).v)
	} else {
		f.fetchTo(el, tmp, elem)
	}
	f.Jump(next)
	f.Goto(next)
	v := value{t: elem, v: result, m: tmp}
	return location{kind: known, t: elem, val: v, m: tmp, node: e}
}

// withoutContext copies what is in the context to memory that may be read with variable offsets.
func (f *fn) withoutContext(l location) location {
	if l.kind != inContext {
		return l
	}
	tmp := f.alloc(l.t.Size, 8, "copy")
	f.fetchTo(l, tmp, l.t)
	return location{kind: near, t: l.t, m: tmp, node: l.node}
}

// fetch reads what is at l: numbers and pointers into a register, all else into memory that may be read directly.
func (f *fn) fetch(l location) value {
	if l.kind == known {
		return l.val
	}
	t := l.t
	if l.bits > 0 {
		return f.fetchBits(l)
	}
	if !t.InRegister() {
		if l.kind == near {
			return value{t: t, m: l.m}
		}
		tmp := f.alloc(max(t.Size, 1), t.Align(), "copy")
		f.fetchTo(l, tmp, t)
		return value{t: t, m: tmp}
	}
	v := value{t: t, v: f.fetchWord(l, l.off, t.Size, t.Signed)}
	if l.kind == typed && t.Kind == types.Pointer && !l.union && !f.castsPointers() {
		// Later kernels know of some that they may be NULL or may be gone, and want to be asked: see pointee.
		v.trusted = t.Elem != nil && t.Elem.Kind == types.Struct && t.Elem.BTF != 0 && t.Space != types.SpaceUser
	}
	return v
}

// fetchWord reads a number of 1, 2, 4 or 8 bytes at l, off being in place of l.off where that counts.
func (f *fn) fetchWord(l location, off, size int, signed bool) ir.Value {
	switch l.kind {
	case near:
		return f.load(l.m, size, signed)
	case inContext:
		return f.LoadPure(l.m.base, l.m.off, size, signed)
	case typed:
		return f.LoadPure(l.base, off, size, signed)
	}
	tmp := f.alloc(8, 8, "read")
	f.probeRead(tmp, size, f.offset(l.base, off), l.space, l.node)
	return f.load(tmp, size, signed)
}

func (f *fn) offset(base ir.Value, off int) ir.Value {
	if off == 0 {
		return base
	}
	return f.BinImm(ir.OpAdd, base, int64(off))
}

// fetchBits reads a bit field: the word around it, then shifts.
func (f *fn) fetchBits(l location) value {
	first := l.bOff / 8
	last := (l.bOff + l.bits - 1) / 8 // bytes behind off
	start := l.off
	if l.kind == near || l.kind == inContext {
		start = l.m.off
	}
	from, to := start+first, start+last+1
	width := 1
	for ; width < 8; width *= 2 {
		if from&^(width-1)+width >= to {
			break
		}
	}
	at := from &^ (width - 1)
	l.m.off = at
	word := f.fetchWord(l, at, width, false)
	shift := (start-at)*8 + l.bOff
	t := l.t
	if t.Signed {
		v := f.BinImm(ir.OpShl, word, int64(64-shift-l.bits))
		return value{t: t, v: f.BinImm(ir.OpSar, v, int64(64-l.bits))}
	}
	v := word
	if shift > 0 {
		v = f.BinImm(ir.OpShr, v, int64(shift))
	}
	if l.bits < 64 && shift+l.bits < width*8 {
		v = f.BinImm(ir.OpAnd, v, int64(1)<<l.bits-1)
	}
	return value{t: t, v: v}
}

// fetchTo writes what is at l to dst in the layout of t.
func (f *fn) fetchTo(l location, dst mem, t *types.Type) {
	switch {
	case l.kind == known || l.kind == near || l.bits > 0 || l.t.InRegister():
		f.copyTo(dst, f.fetch(l), t)
		return
	case !sameBytes(l.t, t):
		tmp := f.alloc(max(l.t.Size, 1), l.t.Align(), "copy")
		f.fetchTo(l, tmp, l.t)
		f.copyTo(dst, value{t: l.t, m: tmp}, t)
		return
	}
	n := min(l.t.Size, t.Size)
	switch {
	case l.kind == inContext:
		f.words(dst, l.m.off, n, func(off, width int) ir.Value { return f.LoadPure(l.m.base, off, width, false) })
	case l.kind == typed && plainArray(l.t) && n <= 64:
		f.words(dst, l.off, n, func(off, width int) ir.Value { return f.LoadPure(l.base, off, width, false) })
	default:
		space := l.space
		if l.kind == typed {
			space = types.SpaceKernel
		}
		f.probeRead(dst, n, f.offset(l.base, l.off), space, l.node)
	}
	f.zeroAt(dst.at(n), t.Size-n)
	if t.Kind == types.String && t.Size == n && l.t.Size > n {
		f.storeImm(dst.at(n-1), 1, 0)
	}
}

// sameBytes says whether a value of type a becomes one of type b by cutting it or by adding zeroes.
func sameBytes(a, b *types.Type) bool {
	if types.Equal(a, b) {
		return true
	}
	return a.Kind == types.String && b.Kind == types.String || a.Kind == types.Array && b.Kind == types.String ||
		a.Kind == types.Array && b.Kind == types.Array && a.Elem.Size == b.Elem.Size
}

// plainArray says whether t is an array of numbers, which the verifier lets be read by words of any size.
func plainArray(t *types.Type) bool {
	return t.Kind == types.String || t.Kind == types.Array && (t.Elem.Kind == types.Int || plainArray(t.Elem))
}

// words copies n bytes that lie at offset off of something that load reads.
func (f *fn) words(dst mem, off, n int, load func(off, width int) ir.Value) {
	for at := 0; at < n; {
		width := min(alignOf(off+at), alignOf(dst.off+at), 1<<(bits.Len(uint(n-at))-1))
		f.store(dst.at(at), width, load(off+at, width))
		at += width
	}
}

// probeRead reads n bytes at an address. What cannot be read becomes zeroes.
func (f *fn) probeRead(dst mem, n int, addr ir.Value, space types.Space, node syntax.Node) {
	if n <= 0 {
		return
	}
	helper, name := f.readHelper(space)
	ret := f.Call(helper, f.addr(dst), f.Const(int64(n)), addr)
	f.checkRead(node, helper, name, ret)
}

// readHelper is the helper that reads memory of that space.
func (f *fn) readHelper(space types.Space) (number int, name string) {
	switch {
	case space == types.SpaceUser:
		return fnProbeReadUser, "probe_read_user"
	case space == types.SpaceNone && f.helper(fnProbeRead):
		return fnProbeRead, "probe_read"
	}
	return fnProbeReadKernel, "probe_read_kernel"
}

// checkRead tells of a read that failed, where that is wanted.
func (f *fn) checkRead(node syntax.Node, helper int, name string, ret ir.Value) {
	if !f.opt.Warnings || node == nil {
		return
	}
	bad, next := f.Func.NewBlock("unread"), f.Func.NewBlock("read")
	f.BranchImm(ir.SLt, ret, 0, bad, next)
	f.Goto(bad)
	f.reportHelper(node, helper, name, ret)
	f.Jump(next)
	f.Goto(next)
}
