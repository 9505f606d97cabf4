package compile

import "sonde/internal/compile/ir"

// threadSet goes to block slow if el has to be looked for in the hash alone, and gives the address of its set in the table.
func (f *fn) threadSet(el element, slow *ir.Block) ir.Value {
	look := f.Func.NewBlock("set")
	f.BranchImm(ir.Eq, el.thread, 0, slow, look)
	f.Goto(look)
	at := f.BinImm(ir.OpMul, f.BinImm(ir.OpAnd, el.thread, int64(el.m.Sets-1)), threadSetSize)
	return f.PtrAdd(f.MapValue(Threads, el.m.Offset), at, int64((el.m.Sets-1)*threadSetSize))
}

// ownWays branches on each element of a set: to a block of its own if it is this thread's. It ends where none was.
func (f *fn) ownWays(set ir.Value, el element, do func(way int)) {
	for way := range threadWays {
		own, other := f.Func.NewBlock("own"), f.Func.NewBlock("other")
		f.Branch(ir.Eq, f.Load(set, threadKeys+4*way, 4, false), el.thread, own, other)
		f.Goto(own)
		do(way)
		f.Goto(other)
	}
}

// threadLookup is the address of the element's value, or 0.
func (f *fn) threadLookup(el element) ir.Value {
	slow, none, done := f.Func.NewBlock("hash"), f.Func.NewBlock("none"), f.Func.NewBlock("looked")
	found := f.Func.NewVar()
	set := f.threadSet(el, slow)
	f.ownWays(set, el, func(way int) {
		f.Set(found, f.BinImm(ir.OpAdd, set, int64(threadValues+8*way)))
		f.Jump(done)
	})
	f.BranchImm(ir.Eq, f.Load(set, threadOver, 4, false), 0, none, slow)
	f.Goto(none)
	f.Set(found, f.Const(0))
	f.Jump(done)
	f.Goto(slow)
	f.Set(found, f.Call(fnMapLookup, f.MapPtr(el.m.BPF), f.addr(el.key)))
	f.Jump(done)
	f.Goto(done)
	return found
}

// threadPut stores v in the element, made if need be.
func (f *fn) threadPut(el element, v ir.Value) {
	slow, full, done := f.Func.NewBlock("hash"), f.Func.NewBlock("no_room"), f.Func.NewBlock("put")
	set := f.threadSet(el, slow)
	store := func(way int) {
		f.Store(set, threadValues+8*way, el.m.Value.Size, v)
		f.Jump(done)
	}
	f.ownWays(set, el, store)
	free := f.Func.NewBlock("free")
	f.BranchImm(ir.Eq, f.Load(set, threadOver, 4, false), 0, free, slow)
	f.Goto(free)
	for way := range threadWays {
		try, take, next := f.Func.NewBlock("try"), f.Func.NewBlock("take"), f.Func.NewBlock("next")
		f.BranchImm(ir.Eq, f.Load(set, threadUsed+4*way, 4, false), 0, try, next)
		f.Goto(try)
		// Who finds 0 has it; who finds 1 has changed nothing.
		f.BranchImm(ir.Eq, f.Xchg(set, threadUsed+4*way, 4, f.Const(1)), 0, take, next)
		f.Goto(take)
		f.Store(set, threadValues+8*way, el.m.Value.Size, v)
		f.Store(set, threadKeys+4*way, 4, el.thread)
		f.Jump(done)
		f.Goto(next)
	}
	f.Jump(full)
	f.Goto(full)
	f.StoreImm(set, threadOver, 4, 1)
	f.Jump(slow)
	f.Goto(slow)
	f.hashInsert(el, v)
	f.Jump(done)
	f.Goto(done)
}

// threadDelete takes the element away and says whether there was one.
func (f *fn) threadDelete(el element) ir.Value {
	slow, done := f.Func.NewBlock("hash"), f.Func.NewBlock("deleted")
	was := f.Func.NewVar()
	f.Set(was, f.Const(0))
	set := f.threadSet(el, slow)
	for way := range threadWays {
		own, next := f.Func.NewBlock("own"), f.Func.NewBlock("next")
		f.Branch(ir.Eq, f.Load(set, threadKeys+4*way, 4, false), el.thread, own, next)
		f.Goto(own)
		f.StoreImm(set, threadKeys+4*way, 4, 0)
		f.StoreImm(set, threadUsed+4*way, 4, 0)
		f.Set(was, f.Const(1))
		f.Jump(next)
		f.Goto(next)
	}
	f.BranchImm(ir.Eq, f.Load(set, threadOver, 4, false), 0, done, slow)
	f.Goto(slow)
	ret := f.Call(fnMapDelete, f.MapPtr(el.m.BPF), f.addr(el.key))
	f.Set(was, f.Bin(ir.OpOr, was, f.CmpImm(ir.Eq, ret, 0)))
	f.Jump(done)
	f.Goto(done)
	return was
}
