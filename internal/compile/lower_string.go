package compile

import (
	"encoding/binary"

	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// A string lies in memory with a NUL behind it. Keys, values of maps and variables are filled up with zeroes to their
// size, so that equal strings are equal bytes; strTo leaves out that work.

// textInline is the longest literal that is stored as constants; longer ones are copied from the read-only data.
const textInline = 64

// strTo writes the string e at dst with its NUL within max bytes, and gives the number of bytes written, NUL included.
func (f *fn) strTo(e syntax.Expr, dst mem, max int) ir.Value {
	if max <= 0 {
		return f.Const(0)
	}
	if c := f.constOf(e); c != nil {
		if c.Kind == check.ConstString {
			return f.textTo(dst, c.Str, max)
		}
		f.storeImm(dst, 1, 0)
		return f.Const(1)
	}
	switch e := e.(type) {
	case *syntax.Ternary, *syntax.IfExpr, *syntax.BlockExpr:
		n := f.Func.NewVar()
		f.Set(n, f.Const(0))
		f.choose(e, func(x syntax.Expr) { f.Set(n, f.strTo(x, dst, max)) })
		return n
	case *syntax.Comptime:
		return f.strTo(e.X, dst, max)
	case *syntax.Ident:
		if isStringBuiltin(e.Name) {
			return f.builtinString(e, e.Name, dst, max, false)
		}
	case *syntax.Call:
		if isStringBuiltin(e.Func) {
			return f.builtinString(e, e.Func, dst, max, false)
		}
		if e.Func == "str" && f.typeOf(e).Kind == types.String {
			return f.strCall(e, dst, max)
		}
	case *syntax.Cast:
		if t := f.typeOf(e.X); t != nil && t.Kind == types.String {
			return f.strTo(e.X, dst, min(max, f.typeOf(e).Size))
		}
	case *syntax.Field, *syntax.Index, *syntax.TupleIndex, *syntax.Unary:
		return f.locatedTo(f.locate(e), dst, max)
	}
	v := f.expr(e)
	if v.t.InRegister() {
		f.storeImm(dst, 1, 0)
		return f.Const(1)
	}
	return f.locatedTo(location{kind: near, t: v.t, m: v.m, node: e}, dst, max)
}

func isStringBuiltin(name string) bool {
	switch name {
	case "comm", "probe", "probetype":
		return true
	}
	return false
}

// locatedTo writes the string that is somewhere.
func (f *fn) locatedTo(l location, dst mem, max int) ir.Value {
	size := l.t.Size
	if size == 0 {
		f.storeImm(dst, 1, 0)
		return f.Const(1)
	}
	if size <= 32 && size <= max && l.kind != far {
		f.fetchTo(l, dst, types.StringOf(size))
		if size < max {
			f.storeImm(dst.at(size), 1, 0)
			return f.Const(int64(size + 1))
		}
		return f.Const(int64(size))
	}
	most := min(size+1, max) // an array without a NUL is still read to its end
	switch l.kind {
	case near, known:
		return f.readStr(dst, f.addr(l.m), most, types.SpaceKernel)
	case typed:
		return f.readStr(dst, f.offset(l.base, l.off), most, types.SpaceKernel)
	case inContext:
		l = f.withoutContext(l)
		return f.readStr(dst, f.addr(l.m), most, types.SpaceKernel)
	}
	return f.readStr(dst, f.offset(l.base, l.off), most, l.space)
}

// textTo writes a literal without filling up.
func (f *fn) textTo(dst mem, text string, max int) ir.Value {
	n := min(len(text)+1, max)
	f.storeText(dst, text[:n-1], n)
	return f.Const(int64(n))
}

// storeText writes a literal, filled up with zeroes to size; it is cut to have a NUL.
func (f *fn) storeText(dst mem, text string, size int) {
	if size <= 0 {
		return
	}
	if len(text) >= size {
		text = text[:size-1]
	}
	if len(text) > textInline {
		data := make([]byte, (len(text)+8)&^7)
		copy(data, text)
		src := mem{base: f.MapValue(mapTexts, f.texts.add(data))}
		n := min(len(data), size)
		f.copy(dst, src, n, alignOf(dst.off))
		f.zeroAt(dst.at(n), size-n)
		return
	}
	data := make([]byte, size)
	copy(data, text)
	at := 0
	for at < size && at <= len(text) {
		width := alignOf(dst.off + at)
		for width > size-at {
			width /= 2
		}
		var word [8]byte
		copy(word[:width], data[at:])
		f.storeImm(dst.at(at), width, int64(binary.LittleEndian.Uint64(word[:])))
		at += width
	}
	f.zeroAt(dst.at(at), size-at)
}

// readStr copies the string at an address, of most bytes with its NUL, and gives how many bytes that was; 0 if it could
// not be read.
func (f *fn) readStr(dst mem, p ir.Value, most int, space types.Space) ir.Value {
	return f.readStrOf(dst, p, 0, most, space, nil)
}

// readStrOf is readStr with a length that is known at run time only, in size, if that is not 0.
func (f *fn) readStrOf(dst mem, p, size ir.Value, most int, space types.Space, node syntax.Node) ir.Value {
	helper, name := f.strHelper(space)
	var ret ir.Value
	if size == 0 {
		ret = f.Call(helper, f.addr(dst), f.Const(int64(most)), p)
	} else {
		ret = f.CallClamped(helper, []ir.Clamp{{Arg: 1, Min: 1, Max: int64(most)}}, f.addr(dst), size, p)
	}
	f.checkRead(node, helper, name, ret)
	n := f.Func.NewVar()
	f.Set(n, f.Const(0))
	some, next := f.Func.NewBlock("text"), f.Func.NewBlock("read")
	f.BranchImm(ir.SGt, ret, 0, some, next)
	f.Goto(some)
	f.Set(n, ret)
	f.Jump(next)
	f.Goto(next)
	return n
}

// readTo copies n bytes from an address.
func (f *fn) readTo(dst mem, p ir.Value, n int, space types.Space) {
	f.probeRead(dst, n, p, space, nil)
}

func (f *fn) strHelper(space types.Space) (number int, name string) {
	switch {
	case space == types.SpaceUser:
		return fnProbeReadUserStr, "probe_read_user_str"
	case space == types.SpaceNone && f.helper(fnProbeReadStr):
		return fnProbeReadStr, "probe_read_str"
	}
	return fnProbeReadKernelStr, "probe_read_kernel_str"
}

// source is where a function like str or buf reads: an address and whose memory it is in.
func (f *fn) source(e syntax.Expr) (p ir.Value, space types.Space) {
	t := f.typeOf(e)
	switch {
	case t.Kind == types.Pointer:
		v := f.expr(e)
		space = v.t.Space
		if space == types.SpaceNone {
			space = t.Space
		}
		return v.v, space
	case t.InRegister():
		return f.number(f.expr(e)), f.program.Space
	}
	l := f.locate(e)
	switch l.kind {
	case far:
		return f.offset(l.base, l.off), l.space
	case typed:
		return f.offset(l.base, l.off), types.SpaceKernel
	}
	l = f.withoutContext(l)
	return f.addr(l.m), types.SpaceKernel
}

// strCall is str(p[, n]).
func (f *fn) strCall(c *syntax.Call, dst mem, max int) ir.Value {
	t := f.typeOf(c)
	most := min(t.Size, max)
	p, space := f.source(c.Args[0])
	var size ir.Value
	if len(c.Args) > 1 {
		if n := f.constOf(c.Args[1]); n != nil {
			if n.Int < uint64(most) {
				most = int(n.Int) + 1
			}
		} else {
			size = f.BinImm(ir.OpAdd, f.number(f.expr(c.Args[1])), 1)
		}
	}
	if at := f.typeOf(c.Args[0]); at != nil && (at.Kind == types.Array || at.Kind == types.String) {
		most = min(most, at.Size+1)
	}
	if most <= 0 {
		return f.Const(0)
	}
	return f.readStrOf(dst, p, size, most, space, c)
}
