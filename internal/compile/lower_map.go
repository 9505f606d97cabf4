package compile

import (
	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// element is an element of a script's map that an expression has named: its key is evaluated once.
type element struct {
	m   *Map
	ref *syntax.MapRef
	key mem // of hashes
	// thread is the key of maps with a table by thread.
	thread ir.Value
}

// element evaluates the key of ref. Between it and the last use of the element no scratch memory may be released.
func (f *fn) element(ref *syntax.MapRef) (element, bool) {
	m := f.maps[ref.Name]
	if m == nil {
		f.refuse(ref, ref.Name+" is never assigned", "")
		return element{}, false
	}
	el := element{m: m, ref: ref}
	if m.Storage != StoreHash && m.Storage != StorePerCPUHash {
		return el, true
	}
	if key, ok := f.constKey(ref, m); ok {
		el.key = mem{base: f.MapValue(mapTexts, f.texts.add(key))}
		return el, true
	}
	el.key = f.alloc(m.keySize(), 8, "key")
	if m.Sets > 0 {
		el.thread = f.tid()
	}
	switch {
	case m.Key == nil:
		f.storeImm(el.key, 8, 0)
	case ref.Key != nil:
		f.exprTo(ref.Key, el.key, m.Key)
		if n := max(m.Key.Size, 1); n < m.keySize() && !m.BucketKey {
			f.zero(el.key.at(n), m.keySize()-n, 1)
		}
	}
	if m.BucketKey && m.Key != nil {
		if from, to := m.Key.Size, m.keySize()-8; from < to {
			f.zero(el.key.at(from), to-from, 1)
		}
	}
	return el, true
}

// lookup is the address of the element's value, or 0; for hashes only.
func (f *fn) lookup(el element) ir.Value {
	if el.m.Sets > 0 {
		return f.threadLookup(el)
	}
	return f.Call(fnMapLookup, f.MapPtr(el.m.BPF), f.addr(el.key))
}

// update writes the element and reports a failure, which for a hash means that it is full.
func (f *fn) update(el element, val mem, flags int64) {
	ret := f.Call(fnMapUpdate, f.MapPtr(el.m.BPF), f.addr(el.key), f.addr(val), f.Const(flags))
	ok, bad := f.Func.NewBlock("updated"), f.Func.NewBlock("full")
	f.BranchImm(ir.Eq, ret, 0, ok, bad)
	f.Goto(bad)
	f.reportHelper(el.ref, fnMapUpdate, "map_update_elem", ret)
	f.Jump(ok)
	f.Goto(ok)
}

// cell is the memory of a scalar map's value, behind its set word: of this CPU, where each has its own.
func (f *fn) cell(m *Map) mem {
	base := f.MapValue(mapCells, m.Offset)
	if m.Storage == StoreCell || m.Slots == 1 {
		return mem{base: base}
	}
	cpu := f.BinImm(ir.OpAnd, f.CallPure(fnSMPProcessorID), int64(m.Slots-1))
	off := f.BinImm(ir.OpMul, cpu, int64(m.Stride))
	return mem{base: f.PtrAdd(base, off, int64((m.Slots-1)*m.Stride))}
}

// mapGet reads an element; what is not there reads as zero.
func (f *fn) mapGet(ref *syntax.MapRef) value {
	t := f.typeOf(ref)
	el, ok := f.element(ref)
	if !ok {
		return value{t: t, v: f.Const(0)}
	}
	return f.get(el, t)
}

func (f *fn) get(el element, t *types.Type) value {
	m := el.m
	if m.Value.IsAggregate() {
		return value{t: types.IntOf(8, m.Value.Signed), v: f.aggregated(el)}
	}
	switch m.Storage {
	case StoreCell:
		return value{t: m.Value, v: f.load(f.cell(m).at(setSize), m.Value.Size, m.Value.Signed)}
	case StorePerCPUHash:
		return value{t: m.Value, v: f.sumCPUs(el, 0, m.Value.Size)}
	}
	p := f.lookup(el)
	found, missing, next := f.Func.NewBlock("found"), f.Func.NewBlock("missing"), f.Func.NewBlock("got")
	result := f.Func.NewVar()
	f.BranchImm(ir.Ne, p, 0, found, missing)
	f.Goto(found)
	if m.Value.InRegister() {
		f.Set(result, f.Load(p, 0, m.Value.Size, m.Value.Signed))
	} else {
		f.Set(result, p)
	}
	f.Jump(next)
	f.Goto(missing)
	if f.opt.Warnings {
		f.reportHelper(el.ref, fnMapLookup, "map_lookup_elem", f.Const(0))
	}
	if m.Value.InRegister() {
		f.Set(result, f.Const(0))
	} else {
		f.Set(result, f.MapValue(mapTexts, f.zeroes(m.Value.Size)))
	}
	f.Jump(next)
	f.Goto(next)
	if m.Value.InRegister() {
		return value{t: m.Value, v: result}
	}
	return value{t: m.Value, m: mem{base: result}}
}

// zeroes is the offset of so many zero bytes in the read-only data.
func (l *lowerer) zeroes(n int) int { return l.texts.add(make([]byte, (n+7)&^7)) }

// mapAssign is @m[k] = e, @m[k] op= e, and the aggregates @m[k] = count().
func (f *fn) mapAssign(s *syntax.Assign) {
	ref := s.Target.(*syntax.MapRef)
	m := f.maps[ref.Name]
	if m == nil {
		f.refuse(ref, ref.Name+" has no type", "")
		return
	}
	if m.Value.IsAggregate() {
		if call, ok := s.Value.(*syntax.Call); ok && s.Op == syntax.OpNone {
			f.aggregate(ref, call)
			return
		}
		f.refuse(s, ref.Name+" holds "+m.Value.String()+", which only "+m.Value.String()+"() may assign", "")
		return
	}
	if s.Op != syntax.OpNone {
		f.mapModify(ref, s, func(old value) value {
			return f.binary(s.Op, f.opType(m), old, f.expr(s.Value), s)
		})
		return
	}
	if !m.Value.InRegister() {
		val := f.alloc(m.valueSize(), 8, "value")
		f.exprTo(s.Value, val, m.Value)
		if n := max(m.Value.Size, 1); n < m.valueSize() {
			f.zero(val.at(n), m.valueSize()-n, 1)
		}
		if el, ok := f.element(ref); ok {
			f.update(el, val, updateAny)
		}
		return
	}
	v := f.convert(f.expr(s.Value), m.Value)
	el, ok := f.element(ref)
	if !ok {
		return
	}
	f.put(el, v)
}

// opType is the type in which a compound assignment to a map computes.
func (f *fn) opType(m *Map) *types.Type {
	if m.Value.Kind == types.Pointer {
		return m.Value
	}
	return types.IntOf(8, m.Value.Signed)
}

// put stores a register value in an element, made if need be.
func (f *fn) put(el element, v ir.Value) {
	m := el.m
	if m.Storage == StoreCell {
		c := f.cell(m)
		f.storeImm(c, 8, 1)
		f.store(c.at(setSize), m.Value.Size, v)
		return
	}
	// Where elements come and go this one is most likely new; and where the time does not count, less code is better.
	if info := f.mapInfo(m.Name); info != nil && info.Deleted || seldom(f.program.Kind) {
		f.insert(el, v)
		return
	}
	p := f.lookup(el)
	found, missing, next := f.Func.NewBlock("found"), f.Func.NewBlock("missing"), f.Func.NewBlock("put")
	f.BranchImm(ir.Ne, p, 0, found, missing)
	f.Goto(found)
	f.Store(p, 0, m.Value.Size, v)
	f.Jump(next)
	f.Goto(missing)
	f.insert(el, v)
	f.Jump(next)
	f.Goto(next)
}

// insert stores v in an element that most likely is not there.
func (f *fn) insert(el element, v ir.Value) {
	if el.m.Sets > 0 {
		f.threadPut(el, v)
		return
	}
	f.hashInsert(el, v)
}

func (f *fn) hashInsert(el element, v ir.Value) {
	val := f.alloc(8, 8, "value")
	if el.m.Value.Size < 8 {
		f.storeImm(val, 8, 0)
	}
	f.store(val, el.m.Value.Size, v)
	f.update(el, val, updateAny)
}

func (l *lowerer) mapInfo(name string) *check.Map {
	for _, m := range l.info.Maps {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// mapModify replaces an element by what change makes of it, and returns the old and the new value. The key is evaluated
// once.
func (f *fn) mapModify(ref *syntax.MapRef, n syntax.Node, change func(old value) value) (old, changed ir.Value) {
	el, ok := f.element(ref)
	if !ok {
		return f.Const(0), f.Const(0)
	}
	m := el.m
	if m.Storage == StoreCell {
		c := f.cell(m)
		old = f.load(c.at(setSize), m.Value.Size, m.Value.Signed)
		changed = f.convert(change(value{t: m.Value, v: old}), m.Value)
		f.storeImm(c, 8, 1)
		f.store(c.at(setSize), m.Value.Size, changed)
		return old, changed
	}
	p := f.lookup(el)
	oldVar := f.Func.NewVar()
	found, missing, next := f.Func.NewBlock("found"), f.Func.NewBlock("missing"), f.Func.NewBlock("change")
	f.Set(oldVar, f.Const(0))
	f.BranchImm(ir.Ne, p, 0, found, next)
	f.Goto(found)
	f.Set(oldVar, f.Load(p, 0, m.Value.Size, m.Value.Signed))
	f.Jump(next)
	f.Goto(next)
	changed = f.convert(change(value{t: m.Value, v: oldVar}), m.Value)
	// What change did may have deleted the element: its address stays valid for this run, but would be written in vain.
	there, done := f.Func.NewBlock("there"), f.Func.NewBlock("changed")
	f.BranchImm(ir.Ne, p, 0, there, missing)
	f.Goto(there)
	f.Store(p, 0, m.Value.Size, changed)
	f.Jump(done)
	f.Goto(missing)
	f.insert(el, changed)
	f.Jump(done)
	f.Goto(done)
	return oldVar, changed
}

// mapIncDec is ++ and -- on an element.
func (f *fn) mapIncDec(e *syntax.IncDec) value {
	ref := e.X.(*syntax.MapRef)
	t := f.typeOf(e)
	step := int64(1)
	m := f.maps[ref.Name]
	if m != nil && m.Value.Kind == types.Pointer && m.Value.Elem != nil {
		step = int64(max(m.Value.Elem.Size, 1))
	}
	if e.Dec {
		step = -step
	}
	if m != nil && m.Value.IsInt() && m.Value.Size == 8 && m.Storage == StoreCell {
		// Others may count here at the same time.
		c := f.cell(m)
		old := f.load(c.at(setSize), 8, true)
		f.storeImm(c, 8, 1)
		b, off := f.base(c.at(setSize))
		f.AtomicAdd(b, off, 8, f.Const(step))
		if e.Prefix {
			old = f.BinImm(ir.OpAdd, old, step)
		}
		return value{t: m.Value, v: old}
	}
	if m != nil && m.Value.IsInt() && m.Value.Size == 8 && m.Storage == StoreHash {
		return f.hashIncDec(ref, m, step, e.Prefix)
	}
	old, changed := f.mapModify(ref, e, func(old value) value {
		return value{t: old.t, v: f.BinImm(ir.OpAdd, old.v, step)}
	})
	if e.Prefix {
		return value{t: t, v: changed}
	}
	return value{t: t, v: old}
}

func (f *fn) hashIncDec(ref *syntax.MapRef, m *Map, step int64, prefix bool) value {
	el, ok := f.element(ref)
	if !ok {
		return value{t: m.Value, v: f.Const(0)}
	}
	p := f.lookup(el)
	old := f.Func.NewVar()
	found, missing, next := f.Func.NewBlock("found"), f.Func.NewBlock("missing"), f.Func.NewBlock("counted")
	f.BranchImm(ir.Ne, p, 0, found, missing)
	f.Goto(found)
	f.Set(old, f.Load(p, 0, 8, true))
	f.AtomicAdd(p, 0, 8, f.Const(step))
	f.Jump(next)
	f.Goto(missing)
	f.Set(old, f.Const(0))
	f.insert(el, f.Const(step))
	f.Jump(next)
	f.Goto(next)
	if prefix {
		return value{t: m.Value, v: f.BinImm(ir.OpAdd, old, step)}
	}
	return value{t: m.Value, v: old}
}

// mapCall is a function on a map; ok is false if c is none.
func (f *fn) mapCall(c *syntax.Call) (result value, ok bool) {
	if len(c.Args) == 0 {
		return value{}, false
	}
	ref, isMap := c.Args[0].(*syntax.MapRef)
	switch c.Func {
	case "delete":
		return f.mapDelete(c), true
	case "has_key":
		return f.mapHas(c), true
	case "find":
		return f.mapFind(c), true
	case "len":
		if !isMap {
			return value{}, false
		}
		return value{t: f.typeOf(c), v: f.mapLen(ref)}, true
	case "clear", "zero":
		f.emitMap(c, ref)
		return value{t: types.TNone}, true
	case "print":
		if isMap && ref.Key == nil && f.maps[ref.Name] != nil && !f.printsByValue(ref) {
			f.emitMap(c, ref)
			return value{t: types.TNone}, true
		}
		if isMap && ref.Key == nil && f.maps[ref.Name] == nil {
			return value{t: types.TNone}, true // never assigned: there is nothing to print
		}
	}
	return value{}, false
}

// printsByValue: nothing does so far; a scalar map is printed by reference, as bpftrace has it.
func (f *fn) printsByValue(*syntax.MapRef) bool { return false }

// keyed is the MapRef with the key in it that a function on a map means: f(@m, k) or the older f(@m[k]).
func keyed(c *syntax.Call) *syntax.MapRef {
	if len(c.Args) == 0 {
		return nil
	}
	ref, ok := c.Args[0].(*syntax.MapRef)
	if !ok {
		return nil
	}
	if len(c.Args) > 1 && ref.Key == nil {
		return &syntax.MapRef{At: ref.At, Name: ref.Name, Key: c.Args[1]}
	}
	return ref
}

func (f *fn) mapDelete(c *syntax.Call) value {
	result := value{t: types.TBool}
	refs := []*syntax.MapRef{keyed(c)}
	if len(c.Args) > 1 {
		if first, ok := c.Args[0].(*syntax.MapRef); ok && first.Key != nil {
			// The older delete(@a[1], @b[2]).
			refs = refs[:0]
			for _, a := range c.Args {
				if r, ok := a.(*syntax.MapRef); ok {
					refs = append(refs, r)
				}
			}
		}
	}
	for _, ref := range refs {
		if ref == nil {
			continue
		}
		result.v = f.deleteOne(ref)
	}
	if result.v == 0 {
		result.v = f.Const(0)
	}
	return result
}

func (f *fn) deleteOne(ref *syntax.MapRef) ir.Value {
	if f.maps[ref.Name] == nil {
		return f.Const(0)
	}
	el, ok := f.element(ref)
	if !ok {
		return f.Const(0)
	}
	switch el.m.Storage {
	case StoreCell:
		c := f.cell(el.m)
		was := f.load(c, 8, false)
		f.zero(c, setSize+8, 8)
		return f.CmpImm(ir.Ne, was, 0)
	case StoreCPUCells:
		return f.deleteCells(el.m)
	}
	if el.m.Sets > 0 {
		return f.threadDelete(el)
	}
	ret := f.Call(fnMapDelete, f.MapPtr(el.m.BPF), f.addr(el.key))
	if f.opt.Warnings {
		ok, bad := f.Func.NewBlock("deleted"), f.Func.NewBlock("absent")
		f.BranchImm(ir.Eq, ret, 0, ok, bad)
		f.Goto(bad)
		f.reportHelper(ref, fnMapDelete, "map_delete_elem", ret)
		f.Jump(ok)
		f.Goto(ok)
	}
	return f.CmpImm(ir.Eq, ret, 0)
}

// deleteCells takes away a scalar aggregate on every CPU.
func (f *fn) deleteCells(m *Map) ir.Value {
	was := f.Func.NewVar()
	f.Set(was, f.Const(0))
	f.eachCell(m, func(c mem) {
		f.Set(was, f.Bin(ir.OpOr, was, f.isSet(m, c)))
		for n := 0; n < setSize+aggregateSize(m.Value); n += 64 {
			f.zero(c.at(n), min(64, setSize+aggregateSize(m.Value)-n), 8)
		}
	})
	return f.CmpImm(ir.Ne, was, 0)
}

// isSet is not 0 if a cell was ever written.
func (f *fn) isSet(m *Map, c mem) ir.Value {
	set := f.load(c, 8, false)
	if m.Storage == StoreCPUCells && m.Value.Kind == types.Count {
		set = f.Bin(ir.OpOr, set, f.load(c.at(setSize), 8, false))
	}
	return set
}

// exists says whether a scalar map has a value.
func (f *fn) exists(m *Map) ir.Value {
	if m.Storage == StoreCell {
		return f.CmpImm(ir.Ne, f.isSet(m, f.cell(m)), 0)
	}
	any := f.Func.NewVar()
	f.Set(any, f.Const(0))
	f.eachCell(m, func(c mem) { f.Set(any, f.Bin(ir.OpOr, any, f.isSet(m, c))) })
	return f.CmpImm(ir.Ne, any, 0)
}

// eachCell runs body for the cell of every CPU: a loop that the verifier can count.
func (f *fn) eachCell(m *Map, body func(mem)) {
	i := f.Func.NewVar()
	f.Set(i, f.Const(0))
	head, in, out := f.Func.NewBlock("cpus"), f.Func.NewBlock("cpu"), f.Func.NewBlock("all_cpus")
	f.Jump(head)
	f.Goto(head)
	f.BranchImm(ir.Lt, i, int64(m.Slots), in, out)
	f.Goto(in)
	off := f.BinImm(ir.OpMul, i, int64(m.Stride))
	body(mem{base: f.PtrAdd(f.MapValue(mapCells, m.Offset), off, int64((m.Slots-1)*m.Stride))})
	f.Set(i, f.BinImm(ir.OpAdd, i, 1))
	f.Jump(head)
	f.Goto(out)
}

func (f *fn) mapHas(c *syntax.Call) value {
	ref := keyed(c)
	if ref == nil || f.maps[ref.Name] == nil {
		return value{t: types.TBool, v: f.Const(0)}
	}
	el, ok := f.element(ref)
	if !ok {
		return value{t: types.TBool, v: f.Const(0)}
	}
	if el.m.Storage == StoreCell || el.m.Storage == StoreCPUCells {
		return value{t: types.TBool, v: f.exists(el.m)}
	}
	return value{t: types.TBool, v: f.CmpImm(ir.Ne, f.lookup(el), 0)}
}

// mapFind is find(@m, k, $v): $v gets the value if there is one.
func (f *fn) mapFind(c *syntax.Call) value {
	result := value{t: types.TBool, v: f.Const(0)}
	if len(c.Args) != 3 {
		return result
	}
	ref := keyed(c)
	v, ok := c.Args[2].(*syntax.Var)
	if !ok || ref == nil || f.maps[ref.Name] == nil {
		return result
	}
	el, ok := f.element(ref)
	if !ok {
		return result
	}
	place := f.varPlace(f.info.Vars[v])
	t := f.info.Vars[v].Type
	p := f.lookup(el)
	found, next := f.Func.NewBlock("found"), f.Func.NewBlock("find")
	f.BranchImm(ir.Ne, p, 0, found, next)
	f.Goto(found)
	if el.m.Value.InRegister() {
		n := f.convert(value{t: el.m.Value, v: f.Load(p, 0, el.m.Value.Size, el.m.Value.Signed)}, t)
		if place.inMem {
			f.store(place.m, t.Size, n)
		} else {
			f.Set(place.reg, n)
		}
	} else {
		f.copyTo(place.m, value{t: el.m.Value, m: mem{base: p}}, t)
	}
	f.Jump(next)
	f.Goto(next)
	result.v = f.CmpImm(ir.Ne, p, 0)
	return result
}
