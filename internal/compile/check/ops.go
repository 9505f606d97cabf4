package check

import (
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// condition is an expression that decides: an integer, a bool, a pointer.
func (c *checker) condition(e syntax.Expr) value {
	v := c.operand(e)
	if v.usable() && !decides(v.t) {
		c.errorf(e.Span(), "a condition cannot be %s", v.t).hint("compare it with something")
		return invalid
	}
	return v
}

// decides says whether a value is true or false by being zero or not.
func decides(t *types.Type) bool {
	return t.IsInt() || t.Kind == types.Pointer || t.Kind == types.Context || t.Kind == types.KSym || t.Kind == types.Username
}

func (c *checker) unary(e *syntax.Unary) value {
	if e.Op == syntax.OpDeref {
		return c.deref(e)
	}
	v := c.operand(e.X)
	if e.Op == syntax.OpNot {
		if v.usable() && !decides(v.t) {
			c.errorf(e.Span(), "! cannot be used on %s", v.t)
		}
		if k := c.info.Consts[e.X]; k != nil && k.Kind != ConstString && !v.invalid() {
			return c.setBool(e, k.Int == 0)
		}
		return of(types.TBool)
	}
	if !v.usable() {
		return v
	}
	if !v.isInt() || v.isKind(types.Bool) {
		c.errorf(e.Span(), "%s cannot be used on %s", e.Op, v.t)
		return invalid
	}
	if k := c.info.Consts[e.X]; k != nil && v.literal && k.Kind == ConstInt {
		n := numberOf(v, k)
		if e.Op == syntax.OpCom {
			r := ^n.bits()
			return c.setInt(e, r, false)
		}
		n, ok := addNumbers(number{}, number{!n.negative && n.abs != 0, n.abs})
		if !ok {
			c.errorf(e.Span(), "-%d does not fit into 64 bits", k.Int)
			return invalid
		}
		return c.setInt(e, n.bits(), n.negative)
	}
	if v.t.Signed {
		return of(types.TInt64)
	}
	return of(types.IntOf(v.t.Size, false)) // as in C: of the bits that it has
}

// deref is *p.
func (c *checker) deref(e *syntax.Unary) value {
	v := c.operand(e.X)
	switch {
	case !v.usable():
		return v
	case v.isKind(types.Struct) && c.isArgs(e.X):
		return v // as older scripts write it
	case v.isPointer():
		return c.pointee(e, v)
	case v.isInt():
		c.note("deref")
		return value{t: types.TUint64}
	}
	c.errorf(e.Span(), "%s is no pointer", v.t)
	return invalid
}

// pointee is what a pointer points to.
func (c *checker) pointee(e syntax.Expr, v value) value {
	elem := v.t.Elem
	if elem == nil || elem.Kind == types.None {
		c.errorf(e.Span(), "what a %s points to is not known", v.t).hint("cast it to a pointer to a type, as in (uint8 *)$p")
		return invalid
	}
	return c.inMemory(elem, v.t.Space, v.t.Trusted || v.t.Kind == types.Context)
}

// inMemory is a value of type t that lies in memory: pointers read from there point into the same space.
func (c *checker) inMemory(t *types.Type, space types.Space, trusted bool) value {
	switch t.Kind {
	case types.Pointer:
		p := *t
		p.Space = space
		p.Trusted = trusted && t.Elem != nil && t.Elem.Kind == types.Struct && t.Elem.BTF != 0
		return value{t: &p}
	case types.Enum:
		return value{t: t}
	}
	return value{t: t, space: space, trusted: trusted}
}

// incDec is ++ and --.
func (c *checker) incDec(e *syntax.IncDec) value {
	switch x := e.X.(type) {
	case *syntax.Var:
		v := c.expr(x)
		if vr := c.info.Vars[x]; vr != nil {
			return c.step(c.slotOf(vr), v, x, vr.Name, e.Dec)
		}
		return v
	case *syntax.MapRef:
		m, v := c.mapValue(x)
		return c.step(&m.value, v, x, m.Name, e.Dec)
	}
	c.expr(e.X)
	c.errorf(e.Span(), "%s needs a variable or a map", stepText(e.Dec))
	return invalid
}

func stepText(down bool) string {
	if down {
		return "--"
	}
	return "++"
}

// step adds one to what a slot holds, or takes it away: an integer is one of 64 bits from then on, and one that goes down a
// signed one.
func (c *checker) step(s *slot, v value, at syntax.Expr, name string, down bool) value {
	switch {
	case v.invalid():
		return v
	case !v.known():
		v = value{t: types.TInt64, flexible: true}
	case v.isKind(types.Pointer):
	case v.isKind(types.Int, types.Enum):
		if s.declared == nil {
			v = value{t: types.IntOf(8, v.t.Signed || down), flexible: v.flexible}
		}
	default:
		c.errorf(at.Span(), "%s cannot be used on %s, which holds %s", stepText(down), name, v.t)
		return invalid
	}
	c.put(s, v, at, name)
	c.info.Types[at] = v.t
	return v
}

// binary is x op y.
func (c *checker) binary(e *syntax.Binary) value {
	if e.Op == syntax.OpLAnd || e.Op == syntax.OpLOr {
		return c.logic(e)
	}
	x, y := c.operand(e.X), c.operand(e.Y)
	if x.invalid() || y.invalid() {
		if isComparison(e.Op) {
			return of(types.TBool)
		}
		return invalid
	}
	if x.known() && y.known() {
		if v, done := c.fold(e, x, y); done {
			return v
		}
	}
	if isComparison(e.Op) {
		if x.known() && y.known() {
			c.comparison(e, x, y)
		}
		return of(types.TBool)
	}
	return c.arithmetic(e, e.Op, x, y)
}

// logic is && and ||: what is after a constant that decides is not looked at.
func (c *checker) logic(e *syntax.Binary) value {
	c.condition(e.X)
	if k := c.info.Consts[e.X]; k != nil && (k.Int != 0) == (e.Op == syntax.OpLOr) {
		return c.setBool(e, e.Op == syntax.OpLOr)
	}
	c.condition(e.Y)
	if c.info.Consts[e.X] != nil {
		if k := c.info.Consts[e.Y]; k != nil {
			return c.setBool(e, k.Int != 0)
		}
	}
	return of(types.TBool)
}

// arithmetic types an operator that is no comparison; at is where it stands.
func (c *checker) arithmetic(at syntax.Expr, op syntax.Op, x, y value) value {
	if c.assumeInt {
		// What has no type but what it gives itself counts as a literal.
		if !x.known() {
			x = value{t: types.TInt8, flexible: true}
		}
		if !y.known() {
			y = value{t: types.TInt8, flexible: true}
		}
	}
	if !x.known() || !y.known() {
		return unknown
	}
	switch {
	case x.isInt() && y.isInt():
		return c.intArithmetic(at, op, x, y)
	case x.isPointer() && y.isInt() && (op == syntax.OpAdd || op == syntax.OpSub):
		return c.pointerStep(x)
	case x.isInt() && y.isPointer() && op == syntax.OpAdd:
		return c.pointerStep(y)
	}
	c.errorf(at.Span(), "%s cannot be used on %s and %s", op, x.t, y.t)
	return invalid
}

// pointerStep is a pointer plus or minus a number: to the verifier it is a number from then on.
func (c *checker) pointerStep(p value) value {
	t := types.PointerTo(p.t.Elem, p.t.Space)
	if t.Elem == nil {
		t.Elem = types.TNone
	}
	return of(t)
}

// intArithmetic is always done in 64 bits. The result is signed where a side is, or where the operator can make it so.
func (c *checker) intArithmetic(at syntax.Expr, op syntax.Op, x, y value) value {
	signed := func(v value) bool { return v.t.Signed && !v.flexible }
	isSigned := op == syntax.OpSub || signed(x) || signed(y) || x.flexible && y.flexible
	if b, ok := at.(*syntax.Binary); ok && (op == syntax.OpDiv || op == syntax.OpMod) && (c.mayBeNegative(b.X, x) || c.mayBeNegative(b.Y, y)) {
		c.warnf("division", at.Span(), "%s is always unsigned, but an operand is signed", op).hint("cast it to uint64 if it cannot be negative")
	}
	if isSigned {
		return of(types.TInt64)
	}
	return of(types.TUint64)
}

// mayBeNegative says whether an operand is likely to be negative: a signed integer of C or a cast, not the difference of two
// times, which is signed as well and hardly ever negative.
func (c *checker) mayBeNegative(e syntax.Expr, v value) bool {
	switch e.(type) {
	case *syntax.Field, *syntax.Cast, *syntax.Unary:
		return v.t.Signed && !v.flexible && v.t.Kind == types.Int
	}
	k := c.info.Consts[e]
	return k != nil && isNegative(v.t, k)
}

// comparison checks whether two values can be compared.
func (c *checker) comparison(e *syntax.Binary, x, y value) {
	equality := e.Op == syntax.OpEq || e.Op == syntax.OpNe
	switch {
	case decides(x.t) && decides(y.t):
		return
	case x.t.Kind == types.String && y.t.Kind == types.String:
		if !equality {
			c.errorf(e.Span(), "texts can be compared with == and != only")
		}
		return
	case x.t.Kind == types.Buffer && y.t.Kind == types.Buffer, x.t.Kind == y.t.Kind && x.t.Kind == types.Inet,
		x.t.Kind == y.t.Kind && x.t.Kind == types.MAC:
		if equality {
			return
		}
	case x.t.Kind == types.Array && y.t.Kind == types.Array:
		if equality && x.t.Elem.IsInt() && types.Equal(x.t, y.t) {
			return
		}
	case x.t.Kind == y.t.Kind && (x.t.Kind == types.Tuple || x.t.Kind == types.Record):
		if _, _, ok := types.Join(x.t, y.t); ok && equality {
			return
		}
	}
	c.errorf(e.Span(), "%s and %s cannot be compared with %s", x.t, y.t, e.Op)
}

// note records that the body does something, in Program.Uses.
func (c *checker) note(what string) {
	if c.prog == nil {
		return
	}
	if c.prog.Uses == nil {
		c.prog.Uses = make(map[string]bool)
	}
	c.prog.Uses[what] = true
}
