// Package irtest makes random programs for tests: of the passes, of the register allocator, of the interpreter. They end,
// touch no memory but their own, and keep what the verifier demands.
package irtest

import (
	"fmt"
	"math/rand/v2"

	"sonde/internal/compile/ir"
)

// Maps of the programs. Out and Cells are arrays: Out has one value, in which a program leaves what it has computed, Cells
// several. Table is a hash, whose keys are u64 below TableKeys.
const (
	Out        = "out"
	OutBytes   = 512
	Cells      = "cells"
	CellCount  = 4
	CellBytes  = 32
	Table      = "table"
	TableKeys  = 5
	TableBytes = 16
	CtxWords   = 8
	resultSize = 8 * 24 // of Out: the rest is work space
)

// Options choose what is in the programs.
type Options struct {
	Statements int
	Fetch      bool // xchg and fetch-and-add: kernels from 5.12
}

// Env is a world for the interpreter in which a random program can run.
func Env(ctx []byte) *ir.Env {
	return &ir.Env{Ctx: ctx, Maps: map[string]*ir.FakeMap{
		Out:   {KeySize: 4, ValueSize: OutBytes, Array: true, MaxEntries: 1},
		Cells: {KeySize: 4, ValueSize: CellBytes, Array: true, MaxEntries: CellCount},
		Table: {KeySize: 8, ValueSize: TableBytes, MaxEntries: 64},
	}}
}

// Random makes the program that belongs to seed.
func Random(seed uint64, o Options) *ir.Program {
	r := rand.New(rand.NewPCG(seed, 0))
	p := &ir.Program{Name: "random", Funcs: []*ir.Func{ir.NewFunc("random", 1)}}
	for i := range 2 {
		p.Funcs = append(p.Funcs, callee(r, fmt.Sprintf("callee%d", i), 3+2*i))
	}
	p.Funcs = append(p.Funcs, shuffler(r, "shuffle", p.Funcs[2]))
	g := &generator{Rand: r, Builder: ir.NewBuilder(p.Funcs[0]), o: o, p: p}
	g.program()
	return p
}

type generator struct {
	*rand.Rand
	*ir.Builder
	o     Options
	p     *ir.Program
	ctx   ir.Value
	vals  []ir.Value // scalars in scope
	vars  []ir.Value
	fixed int       // of vars, how many the statements must not set: counters of loops
	ptrs  []pointer // to memory in scope that is written
	inUse int       // pointers to elements of Table in scope: what is deleted may be used for another key
	depth int
	loops int
}

type pointer struct {
	v    ir.Value
	size int
	cell bool
}

// callee is a function that mixes its arguments.
func callee(r *rand.Rand, name string, params int) *ir.Func {
	f := ir.NewFunc(name, params)
	b := ir.NewBuilder(f)
	sum := b.Const(r.Int64N(100))
	for _, i := range r.Perm(params) {
		sum = b.Bin(ir.OpAdd, b.BinImm(ir.OpMul, sum, 2*r.Int64N(50)+3), f.Params[i])
	}
	b.Ret(sum)
	return f
}

// shuffler is a function that hands its arguments on in another order: cycles of registers.
func shuffler(r *rand.Rand, name string, to *ir.Func) *ir.Func {
	f := ir.NewFunc(name, len(to.Params))
	b := ir.NewBuilder(f)
	var args []ir.Value
	for _, i := range r.Perm(len(f.Params)) {
		args = append(args, f.Params[i])
	}
	if r.IntN(3) == 0 {
		args[r.IntN(len(args))] = args[0]
	}
	b.Ret(b.BinImm(ir.OpAdd, b.CallFunc(to.Name, args...), 1))
	return f
}

func (g *generator) program() {
	g.ctx = g.Func.Params[0]
	for i := range 3 + g.IntN(4) {
		g.vals = append(g.vals, g.Load(g.ctx, 8*(i%CtxWords), 8, false))
	}
	for range 1 + g.IntN(5) {
		v := g.Func.NewVar()
		g.Set(v, g.constant())
		g.vars = append(g.vars, v)
	}
	g.ptrs = append(g.ptrs, pointer{v: g.MapValue(Out, resultSize), size: OutBytes - resultSize})
	for range 1 + g.IntN(3) {
		size := []int{8, 16, 32, 48}[g.IntN(4)]
		p := g.SlotAddr(g.Func.NewSlot(size, 8, "work"), 0)
		g.Zero(p, 0, size, 8)
		g.ptrs = append(g.ptrs, pointer{v: p, size: size})
	}
	g.statements(g.o.Statements)
	// Everything in scope counts, so that values live long.
	for i := 0; i < resultSize/8; i++ {
		g.Store(g.MapValue(Out, 0), 8*i, 8, g.scalar())
	}
	g.RetImm(0)
}

func (g *generator) statements(n int) {
	for range n {
		g.statement()
	}
}

func (g *generator) constant() ir.Value {
	switch g.IntN(4) {
	case 0:
		return g.Const(int64(g.Uint64()))
	case 1:
		return g.Const([]int64{0, 1, -1, 1 << 31, -1 << 31, 1<<31 - 1, -1 << 63, 1<<63 - 1, 255, 1 << 32}[g.IntN(10)])
	}
	return g.Const(g.Int64N(64) - 8)
}

// scalar is some number in scope, the young ones preferred.
func (g *generator) scalar() ir.Value {
	switch {
	case g.IntN(8) == 0:
		return g.constant()
	case g.IntN(4) == 0 && len(g.vars) > 0:
		return g.vars[g.IntN(len(g.vars))]
	case g.IntN(2) == 0:
		return g.vals[g.IntN(len(g.vals))]
	}
	young := min(6, len(g.vals))
	return g.vals[len(g.vals)-1-g.IntN(young)]
}

func (g *generator) keep(v ir.Value) { g.vals = append(g.vals, v) }

func (g *generator) statement() {
	switch k := g.IntN(24); {
	case k < 9:
		g.keep(g.expression())
	case k < 11:
		if len(g.vars) > g.fixed {
			g.Set(g.vars[g.fixed+g.IntN(len(g.vars)-g.fixed)], g.scalar())
		}
	case k < 14:
		g.memory()
	case k < 16:
		g.branch()
	case k < 17:
		g.loop()
	case k < 19:
		g.callOwn()
	case k < 20:
		g.probeRead()
	case k < 21:
		g.cell()
	case k < 22:
		g.table()
	case k < 23:
		g.block()
	default:
		g.keep(g.indexed())
	}
}

func (g *generator) expression() ir.Value {
	op := ir.OpAdd + ir.Op(g.IntN(int(ir.OpSar-ir.OpAdd)+1))
	widths := []int{1, 2, 4, 8}
	switch k := g.IntN(14); {
	case k < 5:
		return g.Bin(op, g.scalar(), g.scalar())
	case k < 8:
		n := g.Int64N(100) - 20
		if op >= ir.OpShl {
			n = g.Int64N(64)
		} else if g.IntN(8) == 0 {
			n = int64(g.Uint64())
		} else if g.IntN(3) == 0 {
			n = 1 << g.IntN(40)
		}
		return g.BinImm(op, g.scalar(), n)
	case k == 8:
		return g.Un([]ir.Op{ir.OpNeg, ir.OpNot}[g.IntN(2)], g.scalar())
	case k == 9:
		return g.Ext(g.scalar(), widths[g.IntN(4)], g.IntN(2) == 0)
	case k == 10:
		return g.Swap(g.scalar(), widths[1+g.IntN(3)])
	case k == 11:
		return g.Cmp(ir.Cond(g.IntN(int(ir.SGe)+1)), g.scalar(), g.scalar())
	case k == 12:
		return g.CmpImm(ir.Cond(g.IntN(int(ir.SGe)+1)), g.scalar(), g.Int64N(20)-4)
	}
	return g.Min(g.scalar(), g.Int64N(1000))
}

// place is somewhere in memory for width bytes.
func (g *generator) place(width int) (ir.Value, int) {
	p := g.ptrs[g.IntN(len(g.ptrs))]
	if g.IntN(2) == 0 {
		p = g.ptrs[len(g.ptrs)-1]
	}
	return p.v, width * g.IntN(p.size/width)
}

func (g *generator) memory() {
	width := 1 << g.IntN(4)
	addr, off := g.place(width)
	switch k := g.IntN(8); {
	case k < 3:
		g.keep(g.Load(addr, off, width, g.IntN(3) == 0))
	case k < 5:
		g.Store(addr, off, width, g.scalar())
	case k == 5:
		g.StoreImm(addr, off, width, int64(g.Uint64())>>g.IntN(64))
	default:
		width := 4 + 4*g.IntN(2)
		addr, off := g.place(width)
		switch {
		case k == 6 || !g.o.Fetch:
			g.AtomicAdd(addr, off, width, g.scalar())
		case g.IntN(2) == 0:
			g.keep(g.Xchg(addr, off, width, g.scalar()))
		default:
			g.keep(g.FetchAdd(addr, off, width, g.scalar()))
		}
	}
}

// scoped makes statements whose values nobody outside sees.
func (g *generator) scoped(n int) {
	vals, ptrs := len(g.vals), len(g.ptrs)
	g.depth++
	g.statements(n)
	g.depth--
	g.vals, g.ptrs = g.vals[:vals], g.ptrs[:ptrs]
}

func (g *generator) branch() {
	if g.depth > 3 {
		return
	}
	then, els, join := g.Func.NewBlock("then"), g.Func.NewBlock("else"), g.Func.NewBlock("join")
	cond := ir.Cond(g.IntN(int(ir.Test) + 1))
	if g.IntN(2) == 0 {
		g.Branch(cond, g.scalar(), g.scalar(), then, els)
	} else {
		g.BranchImm(cond, g.scalar(), g.Int64N(40)-8, then, els)
	}
	g.Goto(then)
	g.scoped(1 + g.IntN(4))
	g.Jump(join)
	g.Goto(els)
	if g.IntN(2) == 0 {
		g.scoped(1 + g.IntN(4))
	}
	g.Jump(join)
	g.Goto(join)
}

func (g *generator) loop() {
	if g.loops > 1 {
		return
	}
	g.loops++
	i := g.Func.NewVar()
	g.Set(i, g.Const(0))
	// What a round leaves in carry is for the next one only: nobody uses it behind the loop.
	carry := g.SlotAddr(g.Func.NewSlot(8, 8, "carry"), 0)
	g.Store(carry, 0, 8, g.scalar())
	head, body, done := g.Func.NewBlock("head"), g.Func.NewBlock("body"), g.Func.NewBlock("done")
	g.Jump(head)
	g.Goto(head)
	g.BranchImm(ir.Lt, i, int64(1+g.IntN(4)), body, done)
	g.Goto(body)
	g.vars = append([]ir.Value{i}, g.vars...)
	g.fixed++
	x := g.Load(carry, 0, 8, false)
	g.Store(carry, 0, 8, g.Bin(ir.OpAdd, x, g.scalar()))
	if len(g.vars) > g.fixed {
		g.Set(g.vars[g.fixed], g.Bin(ir.OpXor, x, g.vars[g.fixed]))
	}
	g.scoped(1 + g.IntN(5))
	g.fixed--
	g.vars = g.vars[1:]
	g.Set(i, g.BinImm(ir.OpAdd, i, 1))
	g.Jump(head)
	g.Goto(done)
	g.loops--
}

func (g *generator) callOwn() {
	f := g.p.Funcs[1+g.IntN(len(g.p.Funcs)-1)]
	args := make([]ir.Value, len(f.Params))
	for i := range args {
		args[i] = g.scalar()
	}
	if g.IntN(2) == 0 {
		// Young values, which are still in the registers that calls take.
		for i := range args {
			args[i] = g.BinImm(ir.OpAdd, args[i], int64(i))
		}
		g.Shuffle(len(args), func(i, j int) { args[i], args[j] = args[j], args[i] })
		args[g.IntN(len(args))] = args[0]
	}
	g.keep(g.CallFunc(f.Name, args...))
}

// probeRead copies memory through a helper, with a size that is computed.
func (g *generator) probeRead() {
	to, from := g.ptrs[g.IntN(len(g.ptrs))], g.ptrs[g.IntN(len(g.ptrs))]
	room := min(to.size, from.size)
	if to == from || to.cell && from.cell {
		return // they may overlap
	}
	clamp := []ir.Clamp{{Arg: 1, Min: int64(g.IntN(2)), Max: int64(1 + g.IntN(room))}}
	size := g.scalar()
	ret := g.CallClamped(113, clamp, to.v, size, from.v)
	g.keep(ret)
}

// cell looks a cell up and works with it where there is one.
func (g *generator) cell() {
	if g.depth > 3 {
		return
	}
	slot := g.SlotAddr(g.Func.NewSlot(4, 4, "key"), 0)
	if g.IntN(2) == 0 {
		g.StoreImm(slot, 0, 4, g.Int64N(CellCount+1))
	} else {
		g.Store(slot, 0, 4, g.BinImm(ir.OpMod, g.scalar(), CellCount+1))
	}
	ptr := g.Call(1, g.MapPtr(Cells), slot)
	found, join := g.Func.NewBlock("found"), g.Func.NewBlock("join")
	if g.IntN(2) == 0 {
		g.BranchImm(ir.Ne, ptr, 0, found, join)
	} else {
		g.BranchImm(ir.Eq, ptr, 0, join, found)
	}
	g.Goto(found)
	n := len(g.ptrs)
	g.ptrs = append(g.ptrs, pointer{ptr, CellBytes, true})
	g.scoped(1 + g.IntN(5))
	g.ptrs = g.ptrs[:n]
	g.Jump(join)
	g.Goto(join)
	if g.IntN(3) == 0 {
		value := g.SlotAddr(g.Func.NewSlot(CellBytes, 8, "value"), 0)
		g.Zero(value, 0, CellBytes, 8)
		g.Store(value, 8, 8, g.scalar())
		key := g.SlotAddr(g.Func.NewSlot(8, 8, "key2"), 0)
		g.StoreImm(key, 0, 4, g.Int64N(CellCount+1))
		// Before 6.4 the kernel called the map's own function, which returns 32 bits.
		g.keep(g.Ext(g.Call(2, g.MapPtr(Cells), key, value, g.Const(0)), 4, true))
	}
}

// tableKey writes a key of Table.
func (g *generator) tableKey() ir.Value {
	slot := g.SlotAddr(g.Func.NewSlot(8, 8, "tkey"), 0)
	switch g.IntN(3) {
	case 0:
		g.StoreImm(slot, 0, 8, g.Int64N(TableKeys))
	case 1:
		g.Zero(slot, 0, 8, 8)
		g.Store(slot, 0, 1, g.BinImm(ir.OpMod, g.scalar(), TableKeys))
	default:
		// The same value again and again.
		g.Store(slot, 0, 8, g.BinImm(ir.OpMod, g.vals[g.IntN(2)], TableKeys))
	}
	return slot
}

// table looks an element of Table up, adds it where it is missing, or deletes it.
func (g *generator) table() {
	if g.depth > 3 {
		return
	}
	key := g.tableKey()
	if g.IntN(4) == 0 {
		if g.inUse == 0 {
			g.Call(3, g.MapPtr(Table), key)
		}
		return
	}
	ptr := g.Call(1, g.MapPtr(Table), key)
	found, missing, join := g.Func.NewBlock("found"), g.Func.NewBlock("missing"), g.Func.NewBlock("join")
	g.BranchImm(ir.Ne, ptr, 0, found, missing)
	g.Goto(found)
	n := len(g.ptrs)
	g.ptrs = append(g.ptrs, pointer{ptr, TableBytes, true})
	g.inUse++
	g.scoped(1 + g.IntN(4))
	g.inUse--
	g.ptrs = g.ptrs[:n]
	g.Jump(join)
	g.Goto(missing)
	value := g.SlotAddr(g.Func.NewSlot(TableBytes, 8, "value"), 0)
	g.Store(value, 0, 8, g.scalar())
	g.Store(value, 8, 8, g.scalar())
	g.Call(2, g.MapPtr(Table), key, value, g.Const(0))
	g.Jump(join)
	g.Goto(join)
}

// block zeroes or copies.
func (g *generator) block() {
	align := 1 << g.IntN(4)
	to, from := g.ptrs[g.IntN(len(g.ptrs))], g.ptrs[g.IntN(len(g.ptrs))]
	if g.IntN(2) == 0 {
		off := align * g.IntN(to.size/align)
		g.Zero(to.v, off, 1+g.IntN(to.size-off), align)
		return
	}
	if to == from || to.cell && from.cell {
		return // they may overlap
	}
	toOff, fromOff := align*g.IntN(to.size/align), align*g.IntN(from.size/align)
	g.Copy(to.v, toOff, from.v, fromOff, 1+g.IntN(min(to.size-toOff, from.size-fromOff)), align)
}

// indexed reads memory at a computed place.
func (g *generator) indexed() ir.Value {
	p := g.PtrAdd(g.ptrs[0].v, g.scalar(), int64(g.ptrs[0].size-8))
	if g.IntN(2) == 0 {
		g.Store(p, 0, 1, g.scalar())
	}
	return g.Load(p, g.IntN(8), 1, false)
}
