package ir

// Builder appends instructions to a function, block by block.
type Builder struct {
	Func *Func
	// Block is where instructions go; nil after a terminator: what follows is unreachable and dropped.
	Block *Block
	Pos   int32
}

// NewBuilder begins in the entry block.
func NewBuilder(f *Func) *Builder { return &Builder{Func: f, Block: f.Blocks[0], Pos: -1} }

// Emit appends in; after a terminator it does nothing.
//
//go:noinline
func (b *Builder) Emit(in Instr) Value {
	if b.Block == nil {
		return in.Dst
	}
	in.Pos = b.Pos
	b.Block.Instrs = append(b.Block.Instrs, in)
	return in.Dst
}

//go:noinline
func (b *Builder) value(in Instr) Value {
	in.Dst = b.Func.NewValue()
	return b.Emit(in)
}

// Goto continues in blk, which must have no instructions yet.
//
//go:noinline
func (b *Builder) Goto(blk *Block) { b.Block = blk }

//go:noinline
func (b *Builder) end(in Instr) {
	b.Emit(in)
	b.Block = nil
}

//go:noinline
func (b *Builder) Jump(to *Block) { b.end(Instr{Op: OpJump, Then: to}) }

//go:noinline
func (b *Builder) Ret(v Value) { b.end(Instr{Op: OpRet, Args: []Value{v}}) }

//go:noinline
func (b *Builder) RetImm(n int64) { b.end(Instr{Op: OpRet, Imm: n}) }

//go:noinline
func (b *Builder) Branch(c Cond, x, y Value, then, els *Block) {
	b.end(Instr{Op: OpBranch, Cond: c, Args: []Value{x, y}, Then: then, Else: els})
}

//go:noinline
func (b *Builder) BranchImm(c Cond, x Value, imm int64, then, els *Block) {
	b.end(Instr{Op: OpBranch, Cond: c, Args: []Value{x}, Imm: imm, Then: then, Else: els})
}

//go:noinline
func (b *Builder) Const(n int64) Value { return b.value(Instr{Op: OpConst, Imm: n}) }

//go:noinline
func (b *Builder) Set(variable, v Value) { b.Emit(Instr{Op: OpSet, Dst: variable, Args: []Value{v}}) }

//go:noinline
func (b *Builder) Bin(op Op, x, y Value) Value { return b.value(Instr{Op: op, Args: []Value{x, y}}) }

//go:noinline
func (b *Builder) BinImm(op Op, x Value, n int64) Value {
	return b.value(Instr{Op: op, Args: []Value{x}, Imm: n})
}

//go:noinline
func (b *Builder) Un(op Op, x Value) Value { return b.value(Instr{Op: op, Args: []Value{x}}) }

//go:noinline
func (b *Builder) Ext(x Value, width int, signed bool) Value {
	op := OpZext
	if signed {
		op = OpSext
	}
	return b.value(Instr{Op: op, Args: []Value{x}, Width: uint8(width)})
}

//go:noinline
func (b *Builder) Swap(x Value, width int) Value {
	return b.value(Instr{Op: OpSwap, Args: []Value{x}, Width: uint8(width)})
}

//go:noinline
func (b *Builder) Cmp(c Cond, x, y Value) Value {
	return b.value(Instr{Op: OpCmp, Cond: c, Args: []Value{x, y}})
}

//go:noinline
func (b *Builder) CmpImm(c Cond, x Value, n int64) Value {
	return b.value(Instr{Op: OpCmp, Cond: c, Args: []Value{x}, Imm: n})
}

//go:noinline
func (b *Builder) Min(x Value, most int64) Value {
	return b.value(Instr{Op: OpMin, Args: []Value{x}, Imm: most})
}

//go:noinline
func (b *Builder) Load(addr Value, off, width int, signed bool) Value {
	return b.value(Instr{Op: OpLoad, Args: []Value{addr}, Off: int32(off), Width: uint8(width), Signed: signed})
}

//go:noinline
func (b *Builder) LoadPure(addr Value, off, width int, signed bool) Value {
	return b.value(Instr{Op: OpLoad, Args: []Value{addr}, Off: int32(off), Width: uint8(width), Signed: signed, Pure: true})
}

//go:noinline
func (b *Builder) Store(addr Value, off, width int, v Value) {
	b.Emit(Instr{Op: OpStore, Args: []Value{addr, v}, Off: int32(off), Width: uint8(width)})
}

//go:noinline
func (b *Builder) StoreImm(addr Value, off, width int, n int64) {
	b.Emit(Instr{Op: OpStore, Args: []Value{addr}, Imm: n, Off: int32(off), Width: uint8(width)})
}

//go:noinline
func (b *Builder) AtomicAdd(addr Value, off, width int, v Value) {
	b.Emit(Instr{Op: OpAtomicAdd, Args: []Value{addr, v}, Off: int32(off), Width: uint8(width)})
}

//go:noinline
func (b *Builder) Xchg(addr Value, off, width int, v Value) Value {
	return b.value(Instr{Op: OpXchg, Args: []Value{addr, v}, Off: int32(off), Width: uint8(width)})
}

//go:noinline
func (b *Builder) FetchAdd(addr Value, off, width int, v Value) Value {
	return b.value(Instr{Op: OpFetchAdd, Args: []Value{addr, v}, Off: int32(off), Width: uint8(width)})
}

//go:noinline
func (b *Builder) Zero(addr Value, off, size, align int) {
	if size > 0 {
		b.Emit(Instr{Op: OpZero, Args: []Value{addr}, Off: int32(off), Imm: int64(size), Width: uint8(align)})
	}
}

//go:noinline
func (b *Builder) Copy(dst Value, dstOff int, src Value, srcOff, size, align int) {
	if size > 0 {
		b.Emit(Instr{Op: OpCopy, Args: []Value{dst, src}, Off: int32(dstOff), Off2: int32(srcOff), Imm: int64(size), Width: uint8(align)})
	}
}

//go:noinline
func (b *Builder) SlotAddr(s Slot, off int) Value {
	return b.value(Instr{Op: OpSlot, Slot: s, Off: int32(off)})
}

//go:noinline
func (b *Builder) MapPtr(name string) Value { return b.value(Instr{Op: OpMapPtr, Sym: name}) }

//go:noinline
func (b *Builder) MapValue(name string, off int) Value {
	return b.value(Instr{Op: OpMapValue, Sym: name, Off: int32(off)})
}

//go:noinline
func (b *Builder) FuncPtr(name string) Value { return b.value(Instr{Op: OpFuncPtr, Sym: name}) }

//go:noinline
func (b *Builder) PtrAdd(p, off Value, most int64) Value {
	return b.value(Instr{Op: OpPtrAdd, Args: []Value{p, off}, Imm: most})
}

//go:noinline
func (b *Builder) Call(helper int, args ...Value) Value {
	return b.value(Instr{Op: OpCall, Imm: int64(helper), Args: args})
}

//go:noinline
func (b *Builder) CallPure(helper int, args ...Value) Value {
	return b.value(Instr{Op: OpCall, Imm: int64(helper), Args: args, Pure: true})
}

//go:noinline
func (b *Builder) CallClamped(helper int, clamp []Clamp, args ...Value) Value {
	return b.value(Instr{Op: OpCall, Imm: int64(helper), Args: args, Clamp: clamp})
}

//go:noinline
func (b *Builder) Kfunc(name string, id uint32, args ...Value) Value {
	return b.value(Instr{Op: OpKfunc, Imm: int64(id), Sym: name, Args: args})
}

//go:noinline
func (b *Builder) CallFunc(name string, args ...Value) Value {
	return b.value(Instr{Op: OpCallFunc, Sym: name, Args: args})
}
