package check

import (
	"slices"

	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// scriptTypes are what the C part defines.
type scriptTypes struct {
	tags        map[string]*types.Type // "struct x", "union x", "enum x"
	enumerators map[string]enumerator
	incomplete  map[string]*types.Type // named behind a pointer, not defined (yet)
}

type enumerator struct {
	t     *types.Type
	value int64
}

func (s *scriptTypes) names() []string {
	var names []string
	for n := range s.tags {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// preamble runs the preprocessor and lays out the structs of the C part, and of the files that come before it.
func (c *checker) preamble() {
	c.script = scriptTypes{
		tags: make(map[string]*types.Type), enumerators: make(map[string]enumerator), incomplete: make(map[string]*types.Type),
	}
	c.defines = make(map[string]*syntax.Define)
	for _, i := range c.program.Imports {
		c.errorf(i.Span(), "import is not compiled yet").hint("put what is in %q into the script", i.Path)
	}
	defined := make(map[string]string)
	if (c.program.C != nil || len(c.options.Includes) > 0) && c.kernelTypes.get() != nil {
		defined["BPFTRACE_HAVE_BTF"] = ""
	}
	for _, src := range c.options.Includes {
		part := &syntax.CPart{At: syntax.At{S: syntax.Span{End: syntax.Pos(len(src.Text))}}, Text: string(src.Text)}
		for _, d := range syntax.Preprocess(src, part, defined) {
			// Its places are in another file: say which, and stand at the start of the script.
			d.Message = src.Where(d.Span.Start) + ": " + d.Message
			d.Span = syntax.Span{}
			c.tell(d)
		}
		for i := range part.Defines {
			defined[part.Defines[i].Name] = part.Defines[i].Text
		}
		c.cPart(part)
	}
	if c.program.C != nil {
		for _, d := range syntax.Preprocess(c.source, c.program.C, defined) {
			c.tell(d)
		}
		c.cPart(c.program.C)
	}
	for _, t := range c.script.incomplete {
		t.Resolve = c.completeFromKernel
	}
}

// completeFromKernel gives a struct that the script only names the members that the kernel's of that name has.
func (c *checker) completeFromKernel(t *types.Type) {
	tag := "struct"
	if t.Union {
		tag = "union"
	}
	if k := c.kernelTypes.named(tag, t.Name); k != nil {
		t.Fields, t.Size, t.BTF = k.AllFields(), k.Size, k.BTF
	}
}

func (c *checker) cPart(part *syntax.CPart) {
	for i := range part.Defines {
		d := &part.Defines[i]
		c.defines[d.Name] = d
	}
	for _, e := range part.Enums {
		c.enum(e)
	}
	for _, s := range part.Structs {
		c.cStruct(s)
	}
	for i := range part.Includes {
		in := &part.Includes[i]
		c.included = true
		if ownHeader(in.Path) && c.kernelTypes.get() != nil {
			continue
		}
		p := c.warnf("include", in.Span(), "<%s> is not read: sonde has no C compiler", in.Path)
		if c.kernelTypes.get() != nil {
			p.hint("the kernel's own types are known without it")
		} else {
			p.hint("copy what the script needs of it into the script")
		}
	}
}

func (c *checker) enum(e *syntax.CEnum) {
	t := &types.Type{Kind: types.Enum, Size: 4, Name: e.Name, EnumNames: make(map[int64]string, len(e.Names))}
	for i, name := range e.Names {
		v := e.Values[i]
		if v < 0 {
			t.Signed = true
		}
		if v > 1<<32-1 || v < -1<<31 {
			t.Size = 8
		}
		if _, ok := t.EnumNames[v]; !ok {
			t.EnumNames[v] = name
		}
		c.script.enumerators[name] = enumerator{t, v}
	}
	if e.Name != "" {
		c.script.tags["enum "+e.Name] = t
	}
}

// cStruct lays out a struct or union as C does, and knows it by its name from then on.
func (c *checker) cStruct(s *syntax.CStruct) *types.Type {
	tag := "struct"
	if s.Union {
		tag = "union"
	}
	key := tag + " " + s.Name
	t := c.script.incomplete[key]
	if t == nil {
		t = &types.Type{Kind: types.Struct}
	}
	t.Name, t.Union = s.Name, s.Union
	if s.Name != "" {
		if c.script.tags[key] != nil && c.script.incomplete[key] == nil {
			c.errorf(s.Span(), "%s is defined twice", key)
			return typeInvalid
		}
		c.script.tags[key] = t
		c.script.incomplete[key] = t // its own members may point to it
	}
	l := layout{packed: s.Packed, union: s.Union, align: 1}
	for _, f := range s.Fields {
		ft := c.cField(f)
		if ft.Kind == types.Invalid {
			continue
		}
		if f.Bits >= 0 && (!ft.IsInt() || f.Bits > ft.Size*8) {
			c.errorf(f.Span(), "a bit field of %d bits does not fit into %s", f.Bits, ft)
			continue
		}
		l.add(f.Name, ft, f.Bits)
		if l.bits/8 > maxTypeSize {
			c.errorf(f.Span(), "%s is too large", key)
			break
		}
	}
	t.Fields, t.Size = l.done()
	delete(c.script.incomplete, key)
	return t
}

// cField resolves the type of a member.
func (c *checker) cField(f *syntax.CField) *types.Type {
	var t *types.Type
	var suffixes []syntax.TypeSuffix
	if f.Type != nil {
		suffixes = f.Type.Suffixes
	}
	pointed := slices.ContainsFunc(suffixes, func(s syntax.TypeSuffix) bool { return s.Pointer })
	switch {
	case f.Def != nil:
		t = c.cStruct(f.Def)
	case f.Type == nil:
		return typeInvalid
	case pointed && (f.Type.Tag == "struct" || f.Type.Tag == "union"):
		t = c.pointedStruct(f.Type.Tag, f.Type.Name)
	default:
		bare := *f.Type
		bare.Suffixes = nil
		t = c.baseType(&bare)
	}
	if t == nil || t.Kind == types.Invalid {
		return typeInvalid
	}
	// Pointers bind first, then the dimensions from the last to the first, as C reads them.
	for _, s := range suffixes {
		if s.Pointer {
			t = types.PointerTo(t, types.SpaceNone)
		}
	}
	isChar := f.Type != nil && f.Type.Tag == "" && f.Type.Name == "char" && t == types.TInt8
	for _, s := range slices.Backward(suffixes) {
		if s.Pointer {
			continue
		}
		if isChar && s.Len > 0 && s.Len <= maxTypeSize {
			t, isChar = types.StringOf(s.Len), false
			continue
		}
		if t = c.suffix(&syntax.TypeExpr{At: f.At}, t, s); t.Kind == types.Invalid {
			return t
		}
	}
	if t.Size == 0 && t.Kind == types.Struct && f.Def == nil {
		c.errorf(f.Span(), "%s is not complete here: define it before it is used", t)
		return typeInvalid
	}
	return t
}

// pointedStruct finds what a pointer points to; it may come later, or be the kernel's.
func (c *checker) pointedStruct(tag, name string) *types.Type {
	key := tag + " " + name
	if t := c.script.tags[key]; t != nil {
		return t
	}
	t := c.script.incomplete[key]
	if t == nil {
		t = &types.Type{Kind: types.Struct, Name: name, Union: tag == "union"}
		c.script.incomplete[key] = t
	}
	return t
}

// layout places members one after the other.
type layout struct {
	packed, union bool
	align         int
	bits          int // where the next member can begin
	largest       int // of a union, in bits
	fields        []types.Field
}

// add places a member; width is that of a bit field, negative for others.
func (l *layout) add(name string, t *types.Type, width int) {
	align := t.Align()
	if l.packed {
		align = 1
	}
	if l.union {
		l.bits = 0
	}
	if width == 0 { // ends the unit of the bit fields before it
		l.bits = roundUp(l.bits, t.Size*8)
		return
	}
	if width > 0 {
		unit := t.Size * 8
		if !l.packed && l.bits/unit != (l.bits+width-1)/unit {
			l.bits = roundUp(l.bits, unit)
		}
		f := types.Field{Name: name, Type: t, Bits: width}
		f.Offset, f.BitOffset = bitPlace(l.bits, width, t.Size)
		if name != "" {
			l.fields = append(l.fields, f)
			l.align = max(l.align, align)
		}
		l.bits += width
	} else {
		l.bits = roundUp(l.bits, align*8)
		l.fields = append(l.fields, types.Field{Name: name, Type: t, Offset: l.bits / 8})
		l.align = max(l.align, align)
		l.bits += t.Size * 8
	}
	l.largest = max(l.largest, l.bits)
}

// done gives the members and the size of the whole.
func (l *layout) done() ([]types.Field, int) {
	return l.fields, roundUp(max(l.bits, l.largest), l.align*8) / 8
}

func roundUp(n, to int) int {
	if to <= 1 {
		return n
	}
	return (n + to - 1) / to * to
}
