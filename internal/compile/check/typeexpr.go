package check

import (
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// typeInvalid is the type of what has been complained about: nothing more is said about what is made of it.
var typeInvalid = &types.Type{Kind: types.Invalid}

// maxTypeSize bounds what a script can declare, in bytes.
const maxTypeSize = 1 << 24

// typeExpr resolves a type as written. nil means that it is not known yet (typeof of something untyped).
func (c *checker) typeExpr(te *syntax.TypeExpr) *types.Type {
	t := c.baseType(te)
	if t == nil || t.Kind == types.Invalid {
		return t
	}
	for _, s := range te.Suffixes {
		if t = c.suffix(te, t, s); t.Kind == types.Invalid {
			return t
		}
	}
	c.info.TypeExprs[te] = t
	return t
}

// suffix makes a pointer to t or an array of it.
func (c *checker) suffix(te *syntax.TypeExpr, t *types.Type, s syntax.TypeSuffix) *types.Type {
	switch {
	case s.Pointer:
		return types.PointerTo(t, types.SpaceNone)
	case s.Open:
		return types.ArrayOf(t, 0)
	case s.Len < 0 || t.Size > 0 && s.Len > maxTypeSize/t.Size:
		c.errorf(te.Span(), "an array of %d %s is too large", s.Len, t)
		return typeInvalid
	case t.Kind == types.None:
		c.errorf(te.Span(), "there are no arrays of void")
		return typeInvalid
	}
	return types.ArrayOf(t, s.Len)
}

// baseType resolves a type without its suffixes.
func (c *checker) baseType(te *syntax.TypeExpr) *types.Type {
	switch {
	case te.Typeof != nil:
		return c.typeOfExpr(te.Typeof)
	case te.TypeofType != nil:
		return c.typeExpr(te.TypeofType)
	case te.Tag != "":
		return c.taggedType(te)
	}
	if t := c.sizedType(te); t != nil {
		return t
	}
	if t := c.plainType(te.Name); t != nil {
		return t
	}
	// A name alone is taken for a struct too, as older scripts write it.
	for _, tag := range [...]string{"struct", "union", "enum"} {
		if t := c.findTagged(tag, te.Name); t != nil {
			return t
		}
	}
	c.unknownType(te, te.Name)
	return typeInvalid
}

// sizedType resolves the types that may have a size: string[N], buffer[N], inet[N].
func (c *checker) sizedType(te *syntax.TypeExpr) *types.Type {
	size := te.Size
	if size > maxTypeSize {
		c.errorf(te.Span(), "%s[%d] is too large", te.Name, size)
		return typeInvalid
	}
	switch te.Name {
	case "string":
		if size <= 0 {
			size = c.info.Config.MaxStrlen
		}
		return types.StringOf(size)
	case "buffer":
		if size <= 0 {
			size = max(c.info.Config.MaxStrlen-4, 1)
		}
		return bufferOf(size)
	case "inet":
		return typeInet
	}
	return nil
}

// bufferOf makes a buffer for n bytes, with its length in front.
func bufferOf(n int) *types.Type { return &types.Type{Kind: types.Buffer, Size: n + 4} }

// plainType finds a type by a name without a tag: the language's, C's, or a typedef of the kernel.
func (c *checker) plainType(name string) *types.Type {
	if t := languageTypes[name]; t != nil {
		return t
	}
	name = spelledInt(name)
	if t := cTypes[name]; t != nil {
		return t
	}
	if t := c.kernelTypes.named("", name); t != nil {
		return t
	}
	return nil
}

// taggedType resolves struct X, union X and enum X.
func (c *checker) taggedType(te *syntax.TypeExpr) *types.Type {
	if t := c.findTagged(te.Tag, te.Name); t != nil {
		return t
	}
	c.unknownType(te, te.Tag+" "+te.Name)
	return typeInvalid
}

// findTagged looks into the script's own types first.
func (c *checker) findTagged(tag, name string) *types.Type {
	if t := c.script.tags[tag+" "+name]; t != nil {
		return t
	}
	return c.kernelTypes.named(tag, name)
}

func (c *checker) unknownType(te *syntax.TypeExpr, name string) {
	p := c.errorf(te.Span(), "unknown type %q", name)
	switch {
	case c.kernelTypes.get() == nil && te.Tag != "":
		p.hint("this kernel shows no types of its own (BTF): define %s in the script", name)
	case te.Tag != "":
		p.suggest(name, c.script.names())
	default:
		known := c.script.names()
		for n := range languageTypes {
			known = append(known, n)
		}
		p.suggest(name, append(known, "string", "buffer"))
	}
}
