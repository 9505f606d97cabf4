package check

import (
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// cast is (type)e.
func (c *checker) cast(e *syntax.Cast) value {
	t := c.typeExpr(e.Type)
	v := c.expr(e.X)
	if v.usable() && v.t.IsAggregate() && t != nil && !t.IsAggregate() {
		v = c.asNumber(e.X, v)
	}
	switch {
	case t == nil || !v.known():
		if t != nil && (t.Kind == types.Int || t.Kind == types.Pointer) {
			return of(t)
		}
		return unknown
	case t.Kind == types.Invalid || v.invalid():
		return invalid
	}
	to, ok := c.castTo(e, t, v)
	if !ok {
		c.errorf(e.Span(), "%s cannot be cast to %s", v.t, t)
		return invalid
	}
	if to.t != t {
		c.info.TypeExprs[e.Type] = to.t
	}
	return to
}

// castTo is the table of casts.
func (c *checker) castTo(e *syntax.Cast, t *types.Type, v value) (value, bool) {
	from := v.t
	k := c.info.Consts[e.X]
	switch t.Kind {
	case types.Int, types.Enum, types.Bool:
		switch {
		case from.IsInt(), from.Kind == types.Pointer, from.Kind == types.Context, from.Kind == types.Username, from.Kind == types.KSym:
			if k != nil && k.Kind != ConstString {
				c.info.Consts[e] = castConst(t, k)
			}
			return of(t), true
		case from.Kind == types.Array && from.Elem.IsInt() && from.Size == t.Size:
			return of(t), true
		case from.Kind == types.Array && from.Elem.IsInt() && from.Elem.Size == 1 && t.Kind == types.Int && from.Size <= 8:
			return of(t), from.Size == t.Size
		case from.Kind == types.Timestamp && t.Size == 8:
			return of(t), false
		}
	case types.Pointer:
		p := *t
		switch {
		case from.IsInt(), from.Kind == types.KSym:
			p.Space = c.space()
			return of(&p), true
		case from.Kind == types.Pointer, from.Kind == types.Context:
			p.Space = from.Space
			if from.Kind == types.Context {
				p.Space = types.SpaceKernel
			}
			// What the verifier knows of the pointer is about its old type.
			p.Trusted = from.Trusted && from.Elem != nil && t.Elem != nil && types.Equal(from.Elem, t.Elem)
			return of(&p), true
		case from.Kind == types.Array && v.space != types.SpaceNone, from.Kind == types.String && v.space != types.SpaceNone:
			p.Space = v.space
			return of(&p), true
		}
	case types.Array:
		return c.castToArray(t, v)
	case types.String:
		if from.Kind == types.String {
			c.copyConst(e, e.X)
			return of(t), from.Size <= t.Size
		}
		return of(t), from.Kind == types.Array && from.Elem.IsInt() && from.Elem.Size == 1 && from.Size <= t.Size
	case types.Buffer:
		return of(t), from.Kind == types.Buffer && from.Size <= t.Size
	case types.Username:
		return of(t), from.IsInt()
	case types.KSym:
		return of(t), from.IsInt() || from.Kind == types.Pointer
	}
	return v, types.Equal(from, t)
}

// castToArray is for an integer's bytes and a text's.
func (c *checker) castToArray(t *types.Type, v value) (value, bool) {
	from := v.t
	if t.Elem == nil || !t.Elem.IsInt() || t.Elem.Size == 0 {
		return of(t), types.Equal(from, t)
	}
	size := from.Size
	switch {
	case from.IsInt():
	case from.Kind == types.String && t.Elem.Size == 1:
		if t.Len >= size {
			return of(t), true // padded with zeros
		}
	case from.Kind == types.Array && from.Elem.IsInt(), from.Kind == types.Buffer:
	default:
		return of(t), false
	}
	if t.Len == 0 {
		if size%t.Elem.Size != 0 {
			return of(t), false
		}
		return of(types.ArrayOf(t.Elem, size/t.Elem.Size)), true
	}
	if from.IsInt() && v.literal {
		return of(t), t.Size <= 8 // a literal takes the size that is asked for
	}
	return of(t), t.Size == size
}

// castConst is a constant as a value of another type.
func castConst(t *types.Type, k *Const) *Const {
	n := k.Int
	if t.Kind == types.Bool {
		if n != 0 {
			n = 1
		}
		return &Const{Kind: ConstBool, Int: n}
	}
	if shift := 64 - 8*t.Size; shift > 0 && shift < 64 {
		if t.Signed {
			n = uint64(int64(n<<shift) >> shift)
		} else {
			n = n << shift >> shift
		}
	}
	return &Const{Kind: ConstInt, Int: n}
}

// space is where a number that is taken for an address points, in the program that is looked at.
func (c *checker) space() types.Space {
	if c.prog == nil {
		return types.SpaceNone
	}
	return c.prog.Space
}

// sizeof is sizeof(type) or sizeof(expression).
func (c *checker) sizeof(e *syntax.Sizeof) value {
	t := c.typeOrValue(e.Type, e.X)
	switch {
	case t == nil:
		return value{t: types.TUint64}
	case t.Kind == types.Invalid:
		return invalid
	}
	t.AllFields()
	if t.Kind == types.Struct && t.Size == 0 && len(t.Fields) == 0 {
		c.errorf(e.Span(), "the size of %s is not known", t)
		return invalid
	}
	return c.setInt(e, uint64(t.Size), false)
}

// typeOrValue is a type as written, or that of an expression.
func (c *checker) typeOrValue(te *syntax.TypeExpr, x syntax.Expr) *types.Type {
	if te != nil {
		return c.typeExpr(te)
	}
	return c.typeOfExpr(x)
}

// typeOfExpr is the type of an expression, or the type that a name means: the parameter of a macro can be either.
func (c *checker) typeOfExpr(x syntax.Expr) *types.Type {
	switch e := x.(type) {
	case *syntax.TypeArg:
		return c.typeExpr(e.Type)
	case *syntax.Ident:
		if builtinOf(e.Name) == nil {
			if _, ok := c.script.enumerators[e.Name]; !ok {
				if t := c.plainType(e.Name); t != nil {
					return t
				}
			}
		}
	case *syntax.MapRef:
		if e.Key == nil {
			if m := c.mapNamed(e); m.keyed {
				return m.key.now.t
			}
		}
	}
	return c.expr(x).t
}

// offsetof is offsetof(struct x, a.b).
func (c *checker) offsetof(e *syntax.Offsetof) value {
	t := c.typeOrValue(e.Type, e.X)
	switch {
	case t == nil:
		return value{t: types.TUint64}
	case t.Kind == types.Invalid:
		return invalid
	}
	for t.Kind == types.Pointer && e.Type == nil && t.Elem != nil {
		t = t.Elem
	}
	offset := 0
	for _, name := range e.Fields {
		if t.Kind != types.Struct && t.Kind != types.Record {
			c.errorf(e.Span(), "%s has no fields", t)
			return invalid
		}
		f, ok := t.Field(name)
		if !ok {
			c.errorf(e.Span(), "%s has no field %s", t, name).suggest(name, fieldNames(t, 0))
			return invalid
		}
		if f.Bits > 0 {
			c.errorf(e.Span(), "%s is a bit field: it has no offset", name)
			return invalid
		}
		offset, t = offset+f.Offset, f.Type
	}
	return c.setInt(e, uint64(offset), false)
}
