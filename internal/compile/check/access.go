package check

import (
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// field is x.name and x->name: pointers are followed until there is a struct.
func (c *checker) field(e *syntax.Field) value {
	v := c.expr(e.X)
	if !v.usable() {
		return v
	}
	t, space, trusted := v.t, v.space, v.trusted
	for depth := 0; (t.Kind == types.Pointer || t.Kind == types.Context) && t.Elem != nil && depth < maxChain; depth++ {
		space, trusted = t.Space, t.Trusted || t.Kind == types.Context
		t = t.Elem
		if t.Kind == types.Pointer {
			trusted = false
		}
	}
	switch t.Kind {
	case types.Record:
		for i := range t.Fields {
			if t.Fields[i].Name == e.Name {
				return c.part(v, t, i)
			}
		}
	case types.Struct:
		f, ok := t.Field(e.Name)
		if ok {
			return c.member(e, f, space, trusted)
		}
		if len(t.Fields) == 0 {
			c.errorf(e.Span(), "the members of %s are not known", t).hint("define it in the script, or include BTF in the kernel")
			return invalid
		}
	default:
		c.errorf(e.Span(), "%s has no field %s", t, e.Name)
		return invalid
	}
	at := e.NameSpan
	if at == (syntax.Span{}) {
		at = e.Span()
	}
	c.errorf(at, "%s has no field %s", t, e.Name).suggest(e.Name, fieldNames(t, 0))
	return invalid
}

// member is a field of a struct that lies in memory.
func (c *checker) member(e *syntax.Field, f types.Field, space types.Space, trusted bool) value {
	if c.isArgs(e.X) {
		v := value{t: f.Type, space: f.Type.Space}
		if f.Type.Kind == types.Enum {
			v.t = c.namedEnum(f.Type)
		}
		if f.Type.Kind == types.Struct || f.Type.Kind == types.Array {
			v.space = types.SpaceKernel
		}
		return v
	}
	if f.User {
		space, trusted = types.SpaceUser, false
	}
	v := c.inMemory(f.Type, space, trusted)
	if f.Type.Kind == types.Enum {
		v.t = c.namedEnum(f.Type)
	}
	return v
}

// namedEnum gives an enum that is only known by its name (from a tracepoint's format) the names of its values.
func (c *checker) namedEnum(t *types.Type) *types.Type {
	if t.EnumNames != nil || t.Name == "" {
		return t
	}
	if k := c.findTagged("enum", t.Name); k != nil && k.Kind == types.Enum {
		named := *t
		named.EnumNames = k.EnumNames
		return &named
	}
	return t
}

// isArgs says whether an expression is the args builtin, perhaps dereferenced.
func (c *checker) isArgs(e syntax.Expr) bool {
	switch e := e.(type) {
	case *syntax.Ident:
		return e.Name == "args"
	case *syntax.Unary:
		return e.Op == syntax.OpDeref && c.isArgs(e.X)
	}
	return false
}

// fieldNames are the names that can follow a struct, those of anonymous members included.
func fieldNames(t *types.Type, depth int) []string {
	var names []string
	for _, f := range t.AllFields() {
		switch {
		case f.Name != "":
			names = append(names, f.Name)
		case f.Type.Kind == types.Struct && depth < 8:
			names = append(names, fieldNames(f.Type, depth+1)...)
		}
	}
	return names
}

// element is t.0.
func (c *checker) element(e syntax.Expr, v value, i int) value {
	if !v.usable() {
		return v
	}
	if v.t.Kind != types.Tuple {
		c.errorf(e.Span(), "%s is no tuple", v.t)
		return invalid
	}
	if i < 0 || i >= len(v.t.Fields) {
		c.errorf(e.Span(), "the tuple has %s, so there is no .%d", plural(len(v.t.Fields), "element"), i)
		return invalid
	}
	return c.part(v, v.t, i)
}

// part is a field of a tuple or record.
func (c *checker) part(v value, t *types.Type, i int) value {
	if i < len(v.elems) && types.Equal(v.elems[i].t, t.Fields[i].Type) {
		p := v.elems[i]
		p.literal = false
		return p
	}
	return of(t.Fields[i].Type)
}

// index is x[i].
func (c *checker) index(e *syntax.Index) value {
	v, i := c.expr(e.X), c.operand(e.I)
	if !v.usable() || !i.usable() {
		if v.invalid() || i.invalid() {
			return invalid
		}
		return unknown
	}
	k := c.info.Consts[e.I]
	if v.t.Kind == types.Tuple {
		if k == nil || k.Kind != ConstInt || k.Int > 1<<20 {
			c.errorf(e.I.Span(), "the index of a tuple has to be a number that stands there")
			return invalid
		}
		return c.element(e, v, int(k.Int))
	}
	if !i.isInt() {
		c.errorf(e.I.Span(), "an index is a number, not %s", i.t)
		return invalid
	}
	length, elem := 0, types.TInt8
	switch v.t.Kind {
	case types.String:
		length = v.t.Size
		if s := c.info.Consts[e.X]; s != nil && k != nil && k.Kind == ConstInt && k.Int < uint64(length) {
			n := byte(0)
			if k.Int < uint64(len(s.Str)) {
				n = s.Str[k.Int]
			}
			c.info.Consts[e] = &Const{Kind: ConstInt, Int: uint64(int64(int8(n)))}
			return of(types.TInt8)
		}
	case types.Array:
		length, elem = v.t.Len, v.t.Elem
	case types.Pointer, types.Context:
		if v.t.Elem == nil || v.t.Elem.Kind == types.None {
			return c.pointee(e, v)
		}
		return c.inMemory(v.t.Elem, v.t.Space, false)
	default:
		c.errorf(e.Span(), "%s cannot be indexed", v.t)
		return invalid
	}
	if k != nil && length > 0 && k.Int >= uint64(length) {
		c.errorf(e.I.Span(), "index %d is outside of %s", int64(k.Int), v.t)
		return invalid
	}
	return c.inMemory(elem, v.space, v.trusted && k != nil && elem.Kind != types.Pointer)
}
