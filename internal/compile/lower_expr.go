package compile

import (
	"fmt"

	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// expr lowers e: numbers and pointers into a register, all else into memory that may be read directly.
func (f *fn) expr(e syntax.Expr) value {
	if c := f.constOf(e); c != nil {
		return f.constant(c, f.typeOf(e))
	}
	if !f.mayGrow(e) {
		return f.nothing(f.typeOf(e))
	}
	switch e := e.(type) {
	case *syntax.Var:
		return f.readVar(f.info.Vars[e])
	case *syntax.MapRef:
		return f.mapGet(e)
	case *syntax.Ident:
		return f.builtin(e, e.Name)
	case *syntax.Call:
		return f.call(e)
	case *syntax.Unary:
		return f.unary(e)
	case *syntax.Binary:
		return f.binaryExpr(e)
	case *syntax.IncDec:
		return f.incDec(e)
	case *syntax.Cast:
		return f.cast(e)
	case *syntax.Field, *syntax.Index, *syntax.TupleIndex:
		return f.fetch(f.locate(e))
	case *syntax.AddrOf:
		return f.addressOf(e)
	case *syntax.Comptime:
		return f.expr(e.X)
	case *syntax.Ternary, *syntax.IfExpr, *syntax.BlockExpr:
		return f.chosen(e)
	case *syntax.Tuple, *syntax.Record:
		return f.temporary(e, f.typeOf(e))
	}
	panic(fmt.Sprintf("compile: an expression of type %T", e))
}

// constant is a value known now.
func (f *fn) constant(c *check.Const, t *types.Type) value {
	if c.Kind != check.ConstString {
		return value{t: t, v: f.Const(int64(c.Int))}
	}
	size := max(len(c.Str)+1, t.Size)
	text := make([]byte, size)
	copy(text, c.Str)
	return value{t: types.StringOf(size), m: mem{base: f.MapValue(mapTexts, f.texts.add(text))}}
}

// nothing is the value of what could not be lowered: the script is refused, but lowering goes on to find more.
func (f *fn) nothing(t *types.Type) value {
	if t == nil || t.InRegister() || t.Kind == types.None {
		if t == nil {
			t = types.TInt64
		}
		return value{t: t, v: f.Const(0)}
	}
	m := f.alloc(max(t.Size, 1), 8, "nothing")
	f.zero(m, t.Size, 8)
	return value{t: t, m: m}
}

// temporary is the value of e in memory made for it.
func (f *fn) temporary(e syntax.Expr, t *types.Type) value {
	m := f.alloc(max(t.Size, 1), t.Align(), "value")
	f.exprTo(e, m, t)
	return value{t: t, m: m}
}

// exprTo writes the value of e at dst in the layout of t: strings padded with zeroes, holes of tuples zeroed.
func (f *fn) exprTo(e syntax.Expr, dst mem, t *types.Type) {
	if t.Size == 0 {
		return
	}
	if c := f.constOf(e); c != nil && (c.Kind == check.ConstString) == (t.Kind == types.String) {
		if t.Kind == types.String {
			f.storeText(dst, c.Str, t.Size)
		} else if t.IsInt() || t.Kind == types.Pointer {
			f.storeImm(dst, t.Size, int64(c.Int))
		} else {
			f.copyTo(dst, f.constant(c, f.typeOf(e)), t)
		}
		return
	}
	switch e := e.(type) {
	case *syntax.Tuple:
		f.elemsTo(e.Elems, dst, t)
		return
	case *syntax.Record:
		f.elemsTo(e.Elems, dst, t)
		return
	case *syntax.Ternary:
		f.choose(e, func(x syntax.Expr) { f.exprTo(x, dst, t) })
		return
	case *syntax.IfExpr, *syntax.BlockExpr:
		f.choose(e, func(x syntax.Expr) { f.exprTo(x, dst, t) })
		return
	case *syntax.Comptime:
		f.exprTo(e.X, dst, t)
		return
	case *syntax.Field, *syntax.Index, *syntax.TupleIndex:
		f.fetchTo(f.locate(e), dst, t)
		return
	case *syntax.Unary:
		if e.Op == syntax.OpDeref {
			f.fetchTo(f.locate(e), dst, t)
			return
		}
	case *syntax.Ident:
		if f.builtinTo(e, e.Name, dst, t) {
			return
		}
	case *syntax.Call:
		if f.callTo(e, dst, t) {
			return
		}
	}
	f.copyTo(dst, f.expr(e), t)
}

// elemsTo writes a tuple or a record.
func (f *fn) elemsTo(elems []syntax.Expr, dst mem, t *types.Type) {
	if len(t.Fields) != len(elems) {
		// A single value where a tuple of one is wanted, or the other way round.
		if len(elems) == 1 {
			f.exprTo(elems[0], dst, t)
		}
		return
	}
	f.zeroGaps(dst, t)
	for i, field := range t.Fields {
		mark := f.mark()
		f.exprTo(elems[i], dst.at(field.Offset), field.Type)
		f.release(mark)
	}
}

// choose lowers the alternatives of a conditional expression, or the end of a block, each with use.
func (f *fn) choose(e syntax.Expr, use func(syntax.Expr)) {
	switch e := e.(type) {
	case *syntax.Ternary:
		then := e.Then
		if then == nil {
			then = e.Cond
		}
		if c := f.constOf(e.Cond); c != nil {
			if isTrue(c) {
				use(then)
			} else {
				use(e.Else)
			}
			return
		}
		f.either(e.Cond, func() { use(then) }, func() { use(e.Else) })
	case *syntax.IfExpr:
		f.chooseIf(e.If, use)
	case *syntax.BlockExpr:
		f.blockValue(e.Body, use)
	default:
		use(e)
	}
}

func (f *fn) chooseIf(s *syntax.If, use func(syntax.Expr)) {
	if c := f.constOf(s.Cond); c != nil {
		if isTrue(c) {
			f.blockValue(s.Then, use)
		} else if s.Else != nil {
			f.elseValue(s.Else, use)
		}
		return
	}
	f.either(s.Cond, func() { f.blockValue(s.Then, use) }, func() {
		if s.Else != nil {
			f.elseValue(s.Else, use)
		}
	})
}

// elseValue is the value of an else: of its block, or of the if that is all there is in it.
func (f *fn) elseValue(b *syntax.Block, use func(syntax.Expr)) {
	if b.Value == nil && len(b.Stmts) == 1 {
		if in, ok := b.Stmts[0].(*syntax.If); ok {
			f.chooseIf(in, use)
			return
		}
	}
	f.blockValue(b, use)
}

func (f *fn) either(cond syntax.Expr, then, els func()) {
	yes, no, next := f.Func.NewBlock("yes"), f.Func.NewBlock("no"), f.Func.NewBlock("chosen")
	f.cond(cond, yes, no)
	f.Goto(yes)
	then()
	f.Jump(next)
	f.Goto(no)
	els()
	f.Jump(next)
	f.Goto(next)
}

// chosen is the value of a conditional or block expression.
func (f *fn) chosen(e syntax.Expr) value {
	t := f.typeOf(e)
	if t == nil || t.Kind == types.None {
		f.choose(e, f.effect)
		return value{t: types.TNone}
	}
	if !t.InRegister() {
		return f.temporary(e, t)
	}
	result := f.Func.NewVar()
	f.Set(result, f.Const(0))
	f.choose(e, func(x syntax.Expr) { f.Set(result, f.convert(f.expr(x), t)) })
	return value{t: t, v: result}
}

func (f *fn) unary(e *syntax.Unary) value {
	t := f.typeOf(e)
	switch e.Op {
	case syntax.OpNot:
		if x := f.typeOf(e.X); x != nil && x.InRegister() {
			v := f.expr(e.X)
			if v.t.Kind == types.Bool {
				return value{t: t, v: f.BinImm(ir.OpXor, v.v, 1)}
			}
			return value{t: t, v: f.CmpImm(ir.Eq, v.v, 0)}
		}
		return f.decided(e, t)
	case syntax.OpCom:
		return f.narrowed(f.Un(ir.OpNot, f.number(f.expr(e.X))), t)
	case syntax.OpNeg:
		return f.narrowed(f.Un(ir.OpNeg, f.number(f.expr(e.X))), t)
	case syntax.OpDeref:
		return f.fetch(f.locate(e))
	}
	panic("compile: unary operator " + e.Op.String())
}

// narrowed is the result of an operation of 64 bits as a value of type t.
func (f *fn) narrowed(v ir.Value, t *types.Type) value {
	if t == nil {
		t = types.TInt64
	}
	return value{t: t, v: f.convert(value{t: types.IntOf(8, t.Signed), v: v}, t)}
}

// number is a value to calculate with. The verifier knows what some pointers point to and lets nobody calculate with
// those; negated twice they are plain numbers.
func (f *fn) number(v value) ir.Value {
	if v.t.Kind != types.Pointer && v.t.Kind != types.Context {
		if !v.t.InRegister() {
			return f.convert(v, types.TUint64)
		}
		return v.v
	}
	if f.plainPointers() && !v.trusted {
		return v.v
	}
	return f.Bin(ir.OpSub, f.Const(0), f.Un(ir.OpNeg, v.v))
}

// decided turns a condition into a value.
func (f *fn) decided(e syntax.Expr, t *types.Type) value {
	result := f.Func.NewVar()
	f.Set(result, f.Const(0))
	yes, next := f.Func.NewBlock("true"), f.Func.NewBlock("decided")
	f.cond(e, yes, next)
	f.Goto(yes)
	f.Set(result, f.Const(1))
	f.Jump(next)
	f.Goto(next)
	if t == nil {
		t = types.TBool
	}
	return value{t: t, v: result}
}

func (f *fn) binaryExpr(e *syntax.Binary) value {
	t := f.typeOf(e)
	switch e.Op {
	case syntax.OpLAnd, syntax.OpLOr:
		return f.decided(e, t)
	case syntax.OpEq, syntax.OpNe, syntax.OpLt, syntax.OpLe, syntax.OpGt, syntax.OpGe:
		if !f.inRegisters(e.X, e.Y) {
			return f.decided(e, t)
		}
		x, y, cond := f.operands(e)
		return value{t: t, v: f.Cmp(cond, x, y)}
	}
	return f.binary(e.Op, t, f.expr(e.X), f.expr(e.Y), e)
}

// inRegisters says whether both are numbers or pointers.
func (f *fn) inRegisters(x, y syntax.Expr) bool {
	a, b := f.typeOf(x), f.typeOf(y)
	return a != nil && b != nil && (a.InRegister() || a.IsAggregate()) && (b.InRegister() || b.IsAggregate())
}

// operands are the two sides of a comparison and what to compare them by. Operands of different signs are compared as
// signed ones; a literal that both types hold has the sign of the other side.
func (f *fn) operands(e *syntax.Binary) (x, y ir.Value, c ir.Cond) {
	a, b := f.expr(e.X), f.expr(e.Y)
	signed := a.t.Signed || b.t.Signed
	if a.t.Signed != b.t.Signed {
		if n := f.constOf(e.X); n != nil && int64(n.Int) >= 0 {
			signed = b.t.Signed
		}
		if n := f.constOf(e.Y); n != nil && int64(n.Int) >= 0 {
			signed = a.t.Signed
		}
	}
	return a.v, b.v, condition(e.Op, signed)
}

func condition(op syntax.Op, signed bool) ir.Cond {
	switch op {
	case syntax.OpEq:
		return ir.Eq
	case syntax.OpNe:
		return ir.Ne
	case syntax.OpLt:
		if signed {
			return ir.SLt
		}
		return ir.Lt
	case syntax.OpLe:
		if signed {
			return ir.SLe
		}
		return ir.Le
	case syntax.OpGt:
		if signed {
			return ir.SGt
		}
		return ir.Gt
	}
	if signed {
		return ir.SGe
	}
	return ir.Ge
}

var binaryOps = map[syntax.Op]ir.Op{
	syntax.OpAdd: ir.OpAdd, syntax.OpSub: ir.OpSub, syntax.OpMul: ir.OpMul, syntax.OpDiv: ir.OpDiv, syntax.OpMod: ir.OpMod,
	syntax.OpAnd: ir.OpAnd, syntax.OpOr: ir.OpOr, syntax.OpXor: ir.OpXor, syntax.OpShl: ir.OpShl, syntax.OpShr: ir.OpShr,
}

// binary calculates with values of 64 bits; the result has type t.
func (f *fn) binary(op syntax.Op, t *types.Type, x, y value, n syntax.Node) value {
	if t == nil {
		t = types.TInt64
	}
	a, b := f.number(x), f.number(y)
	if t.Kind == types.Pointer {
		// Steps count what is pointed to.
		if x.t.Kind == types.Pointer {
			b = f.scaled(b, x.t)
		} else if y.t.Kind == types.Pointer {
			a = f.scaled(a, y.t)
		}
		return value{t: t, v: f.Bin(binaryOps[op], a, b)}
	}
	switch op {
	case syntax.OpDiv, syntax.OpMod:
		return f.narrowed(f.divide(n, binaryOps[op], a, b), t)
	case syntax.OpEq, syntax.OpNe, syntax.OpLt, syntax.OpLe, syntax.OpGt, syntax.OpGe:
		return value{t: t, v: f.Cmp(condition(op, x.t.Signed || y.t.Signed), a, b)}
	}
	return f.narrowed(f.Bin(binaryOps[op], a, b), t)
}

func (f *fn) scaled(n ir.Value, p *types.Type) ir.Value {
	if p.Elem == nil || p.Elem.Size <= 1 {
		return n
	}
	return f.BinImm(ir.OpMul, n, int64(p.Elem.Size))
}

// divide is unsigned, whatever the operands are. Division by zero gives 1 and is told.
func (f *fn) divide(n syntax.Node, op ir.Op, a, b ir.Value) ir.Value {
	if e, ok := n.(*syntax.Binary); ok {
		if c := f.constOf(e.Y); c != nil && c.Int != 0 {
			return f.BinImm(op, a, int64(c.Int))
		}
	}
	if s, ok := n.(*syntax.Assign); ok {
		if c := f.constOf(s.Value); c != nil && c.Int != 0 {
			return f.BinImm(op, a, int64(c.Int))
		}
	}
	result := f.Func.NewVar()
	ok, zero, next := f.Func.NewBlock("divide"), f.Func.NewBlock("by_zero"), f.Func.NewBlock("divided")
	f.BranchImm(ir.Ne, b, 0, ok, zero)
	f.Goto(zero)
	f.runtimeError(n, "division by zero: 1 is taken as the result")
	f.Set(result, f.Const(1))
	f.Jump(next)
	f.Goto(ok)
	f.Set(result, f.Bin(op, a, b))
	f.Jump(next)
	f.Goto(next)
	return result
}

func (f *fn) incDec(e *syntax.IncDec) value {
	switch x := e.X.(type) {
	case *syntax.MapRef:
		return f.mapIncDec(e)
	case *syntax.Var:
		return f.varIncDec(e, x)
	}
	f.refuse(e.X, "this cannot be counted up or down", "")
	return f.nothing(f.typeOf(e))
}

func (f *fn) cast(e *syntax.Cast) value {
	t := f.typeOf(e)
	if t == nil || t.Kind == types.None {
		f.expr(e.X)
		return value{t: types.TNone}
	}
	if !t.InRegister() {
		m := f.alloc(max(t.Size, 1), t.Align(), "cast")
		f.copyTo(m, f.expr(e.X), t)
		return value{t: t, m: m}
	}
	v := f.expr(e.X)
	if t.Kind == types.Pointer && v.t.Kind == types.Pointer {
		return value{t: t, v: v.v, trusted: v.trusted && v.t.Elem != nil && t.Elem != nil && types.Equal(v.t.Elem, t.Elem)}
	}
	if t.IsInt() && v.t.Kind == types.Pointer {
		return f.narrowed(f.number(v), t)
	}
	return value{t: t, v: f.convert(v, t)}
}

func (f *fn) addressOf(e *syntax.AddrOf) value {
	t := f.typeOf(e)
	switch x := e.X.(type) {
	case *syntax.Var:
		return value{t: t, v: f.addr(f.room(f.info.Vars[x]).m)}
	case *syntax.MapRef:
		return value{t: t, v: f.mapAddress(x)}
	}
	f.refuse(e, "this has no address", "")
	return f.nothing(t)
}

// mapAddress is &@m: the address of the map's value, for the scalar ones.
func (f *fn) mapAddress(x *syntax.MapRef) ir.Value {
	m := f.maps[x.Name]
	if m == nil || m.Storage != StoreCell {
		f.refuse(x, "the address of "+x.Name+" cannot be taken", "")
		return f.Const(0)
	}
	return f.addr(f.cell(m).at(setSize))
}
