package compile

import (
	"encoding/binary"

	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// condEqual branches on whether two values that are not numbers are equal.
func (f *fn) condEqual(x, y syntax.Expr, yes, no *ir.Block) {
	if text, ok := f.textOf(y); ok {
		f.condText(x, text, len(text)+1, yes, no)
		return
	}
	if text, ok := f.textOf(x); ok {
		f.condText(y, text, len(text)+1, yes, no)
		return
	}
	a, b := f.expr(x), f.expr(y)
	f.equal(a, b, no)
	f.Jump(yes)
}

// textOf is a string that is known now.
func (f *fn) textOf(e syntax.Expr) (string, bool) {
	if c := f.constOf(e); c != nil {
		return c.Str, c.Kind == check.ConstString
	}
	switch e := e.(type) {
	case *syntax.Ident:
		return f.builtinText(e.Name)
	case *syntax.Call:
		if len(e.Args) == 0 {
			return f.builtinText(e.Func)
		}
	}
	return "", false
}

// condText compares the first n bytes of e with those of a literal, whose NUL counts as one.
func (f *fn) condText(e syntax.Expr, text string, n int, yes, no *ir.Block) {
	if other, ok := f.textOf(e); ok {
		a, b := make([]byte, n), make([]byte, n)
		copy(a, text)
		copy(b, other)
		if string(a) == string(b) {
			f.Jump(yes)
		} else {
			f.Jump(no)
		}
		return
	}
	want := make([]byte, n)
	copy(want, text)
	load, size := f.stringWords(e, n)
	if size < n {
		want = want[:size] // what there is of it, and it ends there
		if len(text) > size {
			yes = no
		}
	}
	for at := 0; at < len(want); {
		width, mask := f.chunk(at, len(want)-at, size-at)
		var word [8]byte
		copy(word[:width], want[at:])
		w := load(at, width)
		if mask != 0 {
			w = f.BinImm(ir.OpAnd, w, int64(mask))
		}
		next := f.Func.NewBlock("same")
		f.BranchImm(ir.Eq, w, int64(binary.LittleEndian.Uint64(word[:])), next, no)
		f.Goto(next)
		at += width
	}
	f.Jump(yes)
}

// chunk is how many bytes to compare next: n are left, of more bytes that may be read. mask says which of them count, 0
// that all do.
func (f *fn) chunk(at, n, more int) (width int, mask uint64) {
	switch {
	case n >= 8:
		return 8, 0
	case n == 4 || n == 2 || n == 1:
		return n, 0
	case n > 4 && more >= 8:
		return 8, 1<<(8*n) - 1
	case n == 3 && more >= 4:
		return 4, 1<<24 - 1
	case n > 4:
		return 4, 0
	}
	return 2, 0
}

// stringWords makes the first n bytes of a string readable in words; size is how many there are.
func (f *fn) stringWords(e syntax.Expr, n int) (load func(at, width int) ir.Value, size int) {
	fromMem := func(m mem) func(at, width int) ir.Value {
		return func(at, width int) ir.Value { return f.loadBytes(m.at(at), width) }
	}
	name := ""
	switch x := e.(type) {
	case *syntax.Ident:
		name = x.Name
	case *syntax.Call:
		name = x.Func
	}
	if name == "comm" {
		if l, ok := f.commLocation(); ok && l.kind == typed {
			return func(at, width int) ir.Value { return f.LoadPure(l.base, l.off+at, width, false) }, commSize
		}
		m := f.alloc(commSize, 8, name)
		f.builtinString(e, name, m, commSize, false)
		return fromMem(m), commSize
	}
	if c, ok := e.(*syntax.Call); ok && c.Func == "str" {
		// One byte more than the literal has: a longer string differs there.
		size = (n + 1 + 7) &^ 7
		m := f.alloc(size, 8, "str")
		f.strCall(c, m, size)
		return fromMem(m), min(size, max(n, f.typeOf(e).Size))
	}
	l := f.locate(e)
	switch {
	case l.kind == typed && plainArray(l.t):
		return func(at, width int) ir.Value { return f.LoadPure(l.base, l.off+at, width, false) }, l.t.Size
	case l.kind == inContext && alignOf(l.m.off) == 8:
		return func(at, width int) ir.Value { return f.LoadPure(l.m.base, l.m.off+at, width, false) }, l.t.Size
	case l.kind == far:
		size = min((n+7)&^7, max(l.t.Size, 1))
		m := f.alloc((size+7)&^7, 8, "text")
		f.probeRead(m, size, f.offset(l.base, l.off), l.space, l.node)
		return fromMem(m), size
	}
	v := f.fetch(l)
	return fromMem(v.m), v.t.Size
}

// loadBytes loads a word that may lie anywhere: on the stack the verifier wants words aligned.
func (f *fn) loadBytes(m mem, width int) ir.Value {
	a := alignOf(m.off)
	if a >= width || !m.onSlot {
		return f.load(m, width, false)
	}
	v := f.load(m, a, false)
	for at := a; at < width; at += a {
		v = f.Bin(ir.OpOr, v, f.BinImm(ir.OpShl, f.load(m.at(at), a, false), int64(8*at)))
	}
	return v
}

// equal goes on if two values are equal, and to no if they are not.
func (f *fn) equal(a, b value, no *ir.Block) {
	switch {
	case a.t.InRegister() && b.t.InRegister():
		next := f.Func.NewBlock("same")
		f.Branch(ir.Eq, a.v, b.v, next, no)
		f.Goto(next)
	case a.t.InRegister() || b.t.InRegister():
		f.Jump(no)
		f.Goto(f.Func.NewBlock("never"))
	case a.t.Kind == types.String:
		f.equalStrings(a, b, min(a.t.Size, b.t.Size), no)
	case (a.t.Kind == types.Tuple || a.t.Kind == types.Record) && len(a.t.Fields) == len(b.t.Fields):
		for i, x := range a.t.Fields {
			y := b.t.Fields[i]
			f.equal(f.loadAt(x.Type, a.m.at(x.Offset)), f.loadAt(y.Type, b.m.at(y.Offset)), no)
		}
	default:
		f.equalBytes(a.m, b.m, min(a.t.Size, b.t.Size), no)
	}
}

// equalBytes compares memory of a fixed size.
func (f *fn) equalBytes(a, b mem, n int, no *ir.Block) {
	if n > 128 {
		f.eachByte(n, func(i ir.Value) {
			x := f.Load(f.PtrAdd(f.addr(a), i, int64(n-1)), 0, 1, false)
			y := f.Load(f.PtrAdd(f.addr(b), i, int64(n-1)), 0, 1, false)
			next := f.Func.NewBlock("same")
			f.Branch(ir.Eq, x, y, next, no)
			f.Goto(next)
		}, nil)
		return
	}
	for at := 0; at < n; {
		width := min(alignOf(a.off+at), alignOf(b.off+at))
		for width > n-at {
			width /= 2
		}
		next := f.Func.NewBlock("same")
		f.Branch(ir.Eq, f.load(a.at(at), width, false), f.load(b.at(at), width, false), next, no)
		f.Goto(next)
		at += width
	}
}

// equalStrings compares two strings up to a NUL, or up to n bytes.
func (f *fn) equalStrings(a, b value, n int, no *ir.Block) {
	done, rest := f.Func.NewBlock("equal"), f.Func.NewBlock("rest")
	f.eachByte(n, func(i ir.Value) {
		x := f.Load(f.PtrAdd(f.addr(a.m), i, int64(n-1)), 0, 1, false)
		y := f.Load(f.PtrAdd(f.addr(b.m), i, int64(n-1)), 0, 1, false)
		same, next := f.Func.NewBlock("same"), f.Func.NewBlock("more")
		f.Branch(ir.Eq, x, y, same, no)
		f.Goto(same)
		f.BranchImm(ir.Eq, x, 0, done, next)
		f.Goto(next)
	}, rest)
	// One that takes all of its place, without a NUL, is equal to a longer one that ends there.
	switch {
	case a.t.Size == n && b.t.Size > n:
		f.BranchImm(ir.Eq, f.load(b.m.at(n), 1, false), 0, done, no)
	case b.t.Size == n && a.t.Size > n:
		f.BranchImm(ir.Eq, f.load(a.m.at(n), 1, false), 0, done, no)
	default:
		f.Jump(done)
	}
	f.Goto(done)
}

// eachByte counts from 0 to n-1: a loop that the verifier can follow. Afterwards it goes on at out, made here if nil.
func (f *fn) eachByte(n int, body func(i ir.Value), out *ir.Block) {
	if out == nil {
		out = f.Func.NewBlock("bytes_done")
	}
	i := f.Func.NewVar()
	f.Set(i, f.Const(0))
	head, turn := f.Func.NewBlock("bytes"), f.Func.NewBlock("byte")
	f.Jump(head)
	f.Goto(head)
	f.BranchImm(ir.Lt, i, int64(n), turn, out)
	f.Goto(turn)
	body(i)
	f.Set(i, f.BinImm(ir.OpAdd, i, 1))
	f.Jump(head)
	f.Goto(out)
}

// strncmp is strncmp(a, b, n): 0 if the first n bytes are equal, else 1.
func (f *fn) strncmp(c *syntax.Call) value {
	result := f.Func.NewVar()
	f.Set(result, f.Const(1))
	same, next := f.Func.NewBlock("equal"), f.Func.NewBlock("compared")
	n := 0
	if known := f.constOf(c.Args[2]); known != nil {
		n = int(min(known.Int, 1<<16))
	}
	x, y := c.Args[0], c.Args[1]
	text, ok := f.textOf(y)
	if !ok {
		if text, ok = f.textOf(x); ok {
			x, y = y, x
		}
	}
	switch {
	case n == 0:
		f.Jump(same)
	case ok:
		f.condText(x, text, min(n, len(text)+1), same, next)
	default:
		a, b := f.expr(x), f.expr(y)
		f.equalStrings(a, b, min(n, a.t.Size, b.t.Size), next)
		f.Jump(same)
	}
	f.Goto(same)
	f.Set(result, f.Const(0))
	f.Jump(next)
	f.Goto(next)
	return value{t: f.typeOf(c), v: result}
}

// strstr is where in a string another one is, -1 if it is not in it.
func (f *fn) strstr(c *syntax.Call) ir.Value {
	needle, ok := f.textOf(c.Args[1])
	if !ok {
		return f.kernelStrstr(c)
	}
	if needle == "" {
		return f.Const(0)
	}
	hay := f.expr(c.Args[0])
	result := f.Func.NewVar()
	f.Set(result, f.Const(-1))
	out := f.Func.NewBlock("searched")
	last := hay.t.Size - len(needle) // the greatest place it can be at
	if last < 0 {
		return result
	}
	f.eachByte(last+1, func(i ir.Value) {
		p := f.PtrAdd(f.addr(hay.m), i, int64(last))
		next := f.Func.NewBlock("next")
		some := f.Func.NewBlock("some")
		f.BranchImm(ir.Eq, f.Load(p, 0, 1, false), 0, out, some)
		f.Goto(some)
		for at := 0; at < len(needle); {
			width, _ := f.chunk(at, len(needle)-at, 0)
			if hay.m.onSlot {
				width = 1 // on the stack the verifier wants words aligned
			}
			var word [8]byte
			copy(word[:width], needle[at:])
			same := f.Func.NewBlock("same")
			f.BranchImm(ir.Eq, f.Load(p, at, width, false), int64(binary.LittleEndian.Uint64(word[:])), same, next)
			f.Goto(same)
			at += width
		}
		f.Set(result, i)
		f.Jump(out)
		f.Goto(next)
	}, out)
	return result
}

// longestArray is the longest array of C that is given a NUL before the kernel looks for one.
const longestArray = 256

// terminated is a string that has a NUL, which arrays may not have.
func (f *fn) terminated(e syntax.Expr) value {
	v := f.expr(e)
	if _, ok := e.(*syntax.Call); ok || f.constOf(e) != nil || v.t.Size > longestArray {
		return v
	}
	t := types.StringOf(v.t.Size + 1)
	m := f.alloc(t.Size, 8, "string")
	f.copyTo(m, v, t)
	return value{t: t, m: m}
}

// kernelStrstr leaves the search for a string that is not known to the kernel.
func (f *fn) kernelStrstr(c *syntax.Call) ir.Value {
	id, ok := f.t.Kfunc("bpf_strstr")
	if !ok {
		f.refuse(c.Args[1], "this kernel cannot search for a string that is not a literal", "Linux 6.17 and later can")
		return f.Const(-1)
	}
	hay, needle := f.terminated(c.Args[0]), f.terminated(c.Args[1])
	ret := f.Kfunc("bpf_strstr", id, f.addr(hay.m), f.addr(needle.m))
	result := f.Func.NewVar()
	f.Set(result, f.Const(-1))
	found, next := f.Func.NewBlock("found"), f.Func.NewBlock("searched")
	at := f.Ext(ret, 4, true)
	f.BranchImm(ir.SGe, at, 0, found, next)
	f.Goto(found)
	f.Set(result, at)
	f.Jump(next)
	f.Goto(next)
	return result
}
