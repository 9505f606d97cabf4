package check

import (
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// expr finds the type of an expression and of all below it, and its value where that is known now.
func (c *checker) expr(e syntax.Expr) value {
	if c.depth++; c.depth > maxDepth {
		c.errorf(e.Span(), "this expression is nested too deep")
		c.depth--
		return invalid
	}
	switch e.(type) {
	case *syntax.IntLit, *syntax.StringLit, *syntax.BoolLit:
		// Their constants stay.
		if c.broken[e] {
			c.depth--
			return invalid
		}
	default:
		if !c.final || c.info.Consts[e] != nil {
			delete(c.info.Consts, e)
		}
	}
	v := c.exprOf(e)
	c.depth--
	if c.final && v.t != nil {
		c.info.Types[e] = v.t
	}
	return v
}

// maxDepth bounds the nesting of expressions and blocks.
const maxDepth = 2000

func (c *checker) exprOf(e syntax.Expr) value {
	switch e := e.(type) {
	case *syntax.IntLit:
		return c.setInt(e, e.Value, e.Neg && int64(e.Value) < 0)
	case *syntax.StringLit:
		return c.setString(e, e.Value)
	case *syntax.BoolLit:
		return c.setBool(e, e.Value)
	case *syntax.Ident:
		return c.ident(e)
	case *syntax.Var:
		return c.variable(e)
	case *syntax.Positional:
		return c.setInt(e, 0, false) // replaced before; only left in what is not reached
	case *syntax.MapRef:
		return c.readMap(e)
	case *syntax.AddrOf:
		return c.addressOf(e)
	case *syntax.Unary:
		return c.unary(e)
	case *syntax.IncDec:
		return c.incDec(e)
	case *syntax.Binary:
		return c.binary(e)
	case *syntax.Ternary:
		return c.ternary(e)
	case *syntax.Call:
		return c.call(e, nil)
	case *syntax.TypeArg:
		c.typeExpr(e.Type)
		c.errorf(e.Span(), "a type cannot stand here")
		return invalid
	case *syntax.Sizeof:
		return c.sizeof(e)
	case *syntax.Offsetof:
		return c.offsetof(e)
	case *syntax.Typeinfo:
		c.errorf(e.Span(), "typeinfo is not compiled yet")
		return invalid
	case *syntax.Comptime:
		return c.comptime(e)
	case *syntax.Cast:
		return c.cast(e)
	case *syntax.Field:
		return c.field(e)
	case *syntax.TupleIndex:
		return c.element(e, c.expr(e.X), e.Index)
	case *syntax.Index:
		return c.index(e)
	case *syntax.Tuple:
		return c.tuple(e)
	case *syntax.Record:
		return c.record(e)
	case *syntax.IfExpr:
		return c.ifExpr(e)
	case *syntax.BlockExpr:
		return c.blockValue(e.Body)
	}
	panic("check: unknown expression")
}

// operand is an expression whose value is used: an aggregate is read as a number.
func (c *checker) operand(e syntax.Expr) value {
	v := c.expr(e)
	return c.asNumber(e, v)
}

// asNumber says what a map's aggregate is where a value is needed.
func (c *checker) asNumber(e syntax.Expr, v value) value {
	if !v.usable() {
		return v
	}
	switch {
	case v.t.IsCastable():
		return value{t: aggregateNumber(v.t)}
	case v.t.IsAggregate():
		c.errorf(e.Span(), "%s cannot be used as a value", v.t).hint("it can be printed: print(@x)")
		return invalid
	case v.t.Kind == types.None:
		c.errorf(e.Span(), "this has no value")
		return invalid
	}
	return v
}

// aggregateNumber is the integer that a count, sum, min, max or avg reads as.
func aggregateNumber(t *types.Type) *types.Type {
	if t.Signed {
		return types.TInt64
	}
	return types.TUint64
}

// evalAll is for arguments that no more is asked of.
func (c *checker) evalAll(args []syntax.Expr) {
	for _, a := range args {
		switch a := a.(type) {
		case *syntax.TypeArg:
			c.typeExpr(a.Type)
		case *syntax.MapRef:
			if a.Key == nil {
				c.mapNamed(a).used = true
				continue
			}
			c.expr(a)
		default:
			c.expr(a)
		}
	}
}

// ident resolves a bare name: a builtin, then an enum constant.
func (c *checker) ident(e *syntax.Ident) value {
	if b := builtinOf(e.Name); b != nil {
		return c.builtin(b, e, nil, nil)
	}
	if k, ok := c.script.enumerators[e.Name]; ok {
		return c.enumConst(e, k.t, k.value)
	}
	if t, v, ok := c.kernelTypes.enumerator(e.Name); ok {
		return c.enumConst(e, t, v)
	}
	if v, ok := headerConstants[e.Name]; ok && c.included {
		c.info.Consts[e] = &Const{Kind: ConstInt, Int: uint64(v)}
		return of(types.TInt64)
	}
	names := builtinNames(true, false)
	for n := range c.macros {
		names = append(names, n)
	}
	for n := range c.defines {
		names = append(names, n)
	}
	for n := range c.script.enumerators {
		names = append(names, n)
	}
	p := c.errorf(e.Span(), "%s is not known", e.Name)
	if builtinIndex[e.Name] != nil {
		p.hint("it is used as %s", builtinIndex[e.Name].Usage)
	} else if v, ok := headerConstants[e.Name]; ok {
		p.hint("#define %s %d", e.Name, v)
	} else if near := nearest(e.Name, names); near != "" {
		p.hint("did you mean %s?", near)
	} else if c.kernelTypes.get() == nil {
		p.hint("if it is a constant of the kernel: this kernel shows no types (BTF), so #define it")
	}
	return invalid
}

func (c *checker) enumConst(e *syntax.Ident, t *types.Type, v int64) value {
	c.info.Consts[e] = &Const{Kind: ConstInt, Int: uint64(v)}
	return of(t)
}

// variable reads a scratch variable.
func (c *checker) variable(e *syntax.Var) value {
	v := c.info.Vars[e]
	if v == nil {
		return invalid
	}
	s := c.slotOf(v)
	if s.declared != nil && !s.now.known() {
		return value{t: s.declared}
	}
	now := s.now
	now.literal = false
	if now.known() {
		now.t = c.trustOf(v, now.t)
		if d := c.declarations[v]; d == nil || !d.sure || v.InCallback {
			now.trusted = false
		}
	} else if c.final {
		return of(types.TInt64)
	}
	return now
}

// addressOf is &$x and &@m.
func (c *checker) addressOf(e *syntax.AddrOf) value {
	var v value
	switch x := e.X.(type) {
	case *syntax.Var:
		v = c.expr(x)
	case *syntax.MapRef:
		v = c.readMap(x)
		if v.t != nil {
			c.info.Types[x] = v.t
		}
		c.mapNamed(x).AddressTaken = true
	default:
		c.expr(e.X)
		c.errorf(e.Span(), "only variables and maps have an address")
		return invalid
	}
	if !v.usable() {
		return v
	}
	return of(types.PointerTo(v.t, types.SpaceKernel))
}

// ternary is c ? a : b and c ?: b. As a statement, both may be calls without a value.
func (c *checker) ternary(e *syntax.Ternary) value {
	cond := c.condition(e.Cond)
	if k := c.info.Consts[e.Cond]; k != nil {
		taken := e.Else
		if k.Int != 0 {
			if taken = e.Then; taken == nil {
				taken = e.Cond
			}
		}
		v := c.branch(taken)
		c.copyConst(e, taken)
		return v
	}
	then := cond
	if e.Then != nil {
		then = c.branch(e.Then)
	}
	els := c.branch(e.Else)
	if then.isKind(types.None) && els.isKind(types.None) { // done for its effect
		return of(types.TNone)
	}
	return c.branches(e, c.asNumber(e, then), c.asNumber(e.Else, els))
}

// branch is a side of a ternary, which may be a call without a value.
func (c *checker) branch(e syntax.Expr) value {
	v := c.expr(e)
	if v.isKind(types.None) {
		return v
	}
	return c.asNumber(e, v)
}

// branches joins the two values that an expression can have.
func (c *checker) branches(e syntax.Expr, a, b value) value {
	v, _, ok := joinValues(a, b)
	if !ok {
		c.errorf(e.Span(), "one branch gives %s, the other %s", a.t, b.t)
		return invalid
	}
	v.literal = false
	return v
}

// ifExpr is an if used as a value.
func (c *checker) ifExpr(e *syntax.IfExpr) value {
	s := e.If
	c.condition(s.Cond)
	if k := c.info.Consts[s.Cond]; k != nil {
		taken := s.Then
		if k.Int == 0 {
			taken = s.Else
		}
		if taken == nil {
			return of(types.TNone)
		}
		v := c.blockValue(taken)
		if taken.Value != nil && len(taken.Stmts) == 0 {
			c.copyConst(e, taken.Value)
		}
		return v
	}
	if c.deferred(s) {
		return unknown
	}
	then := c.blockValue(s.Then)
	if s.Else == nil {
		return of(types.TNone)
	}
	els := c.blockValue(c.elseBlock(s))
	if then.isKind(types.None) || els.isKind(types.None) {
		return of(types.TNone)
	}
	return c.branches(e, then, els)
}

// elseBlock is the block of an else. `else if` is a block whose only statement is the next if: its value is that of the if.
func (c *checker) elseBlock(s *syntax.If) *syntax.Block {
	if b := s.Else; b.Value == nil && len(b.Stmts) == 1 {
		if next, ok := b.Stmts[0].(*syntax.If); ok && next.Then.Value != nil {
			b.Stmts, b.Value = nil, &syntax.IfExpr{At: next.At, If: next}
		}
	}
	return s.Else
}

// blockValue is the value of a block: void without one.
func (c *checker) blockValue(b *syntax.Block) value {
	if c.depth++; c.depth > maxDepth {
		c.depth--
		c.errorf(b.Span(), "this is nested too deep")
		return invalid
	}
	defer func() { c.depth-- }()
	c.stmts(b)
	if b.Value == nil {
		return of(types.TNone)
	}
	v := c.expr(b.Value)
	if v.usable() && v.t.IsAggregate() {
		v = c.asNumber(b.Value, v)
	}
	v.literal = false
	return v
}

// comptime is an expression that has to be known now.
func (c *checker) comptime(e *syntax.Comptime) value {
	v := c.operand(e.X)
	if v.known() && !v.invalid() && c.info.Consts[e.X] == nil {
		c.errorf(e.Span(), "the value of this is not known before the script runs")
		return invalid
	}
	c.copyConst(e, e.X)
	return v
}

// tuple is (a, b).
func (c *checker) tuple(e *syntax.Tuple) value {
	return c.elements(e, e.Elems, nil)
}

// record is (x = a, y = b).
func (c *checker) record(e *syntax.Record) value {
	seen := make(map[string]bool, len(e.Names))
	for i, n := range e.Names {
		if seen[n] {
			c.errorf(e.Elems[i].Span(), "the record has two fields %s", n)
		}
		seen[n] = true
	}
	return c.elements(e, e.Elems, e.Names)
}

func (c *checker) elements(e syntax.Expr, elems []syntax.Expr, names []string) value {
	v := value{elems: make([]value, len(elems))}
	list := make([]*types.Type, len(elems))
	bad, missing := false, false
	for i, x := range elems {
		el := c.operand(x)
		el.literal = false
		if el.usable() {
			el.t = untrusted(el.t)
			if !storable(el.t) {
				c.errorf(x.Span(), "%s cannot be part of a tuple", el.t)
				el = invalid
			}
		}
		bad, missing = bad || el.invalid(), missing || !el.known()
		v.elems[i], list[i] = el, el.t
	}
	switch {
	case bad:
		return invalid
	case missing:
		return unknown
	case names != nil:
		v.t = types.RecordOf(names, list)
	default:
		v.t = types.TupleOf(list)
	}
	if v.t.Size > maxValueSize {
		c.errorf(e.Span(), "a tuple of %d bytes is too large", v.t.Size)
		return invalid
	}
	return v
}

// maxValueSize bounds what is kept in one key, value or record.
const maxValueSize = 128 << 10

// storable says whether a value can be kept in a map, a tuple or a variable.
func storable(t *types.Type) bool {
	switch t.Kind {
	case types.None, types.Context, types.Invalid:
		return false
	}
	return !t.IsAggregate() && t.Size <= maxValueSize
}

// isNegative says how a constant of a type is to be read.
func isNegative(t *types.Type, k *Const) bool { return t.Signed && int64(k.Int) < 0 }
