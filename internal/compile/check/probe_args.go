package check

import (
	"fmt"
	"strings"

	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// describe finds the types of a point's arguments, as far as the body needs them, and gives a key that is the same for
// points whose bodies are the same.
func (c *checker) describe(p *Program, pt *Point, n needs) string {
	key := fmt.Sprintf("%d/%d", pt.Kind, p.Space)
	switch pt.Kind {
	case Tracepoint:
		if n.args {
			return key + c.tracepointArgs(p, pt)
		}
	case RawTracepoint:
		if b := c.kernelTypes.module(pt.Group); b != nil && pt.BTF != 0 {
			params, _, _ := b.function(pt.BTF)
			if len(params) > 0 {
				params = c.rawNames(b, pt.Name, params)[1:] // the first is the tracepoint's own data
			}
			return key + c.functionArgs(p, pt, params, n)
		}
		p.noArgs = "the arguments of " + pt.Text + " are not known: this kernel shows no types for it (BTF)"
	case Fentry, Fexit:
		if b := c.kernelTypes.module(pt.Group); b != nil && pt.BTF != 0 {
			params, result, _ := b.function(pt.BTF)
			p.Retval = trusting(result, types.SpaceKernel)
			key = c.functionArgs(p, pt, params, n) + key
			if n.retval {
				key += "=" + p.Retval.String()
			}
			return key
		}
	case Iter:
		return key + pt.Name // each has a context of its own
	}
	return key
}

// rawNames gives the parameters of a tracepoint's programs the names they have in the function that calls those.
func (c *checker) rawNames(b *btfTypes, name string, params []types.Field) []types.Field {
	id, ok := b.raw.Find(kernel.BTFFunc, "__traceiter_"+name)
	if !ok {
		return params
	}
	named, _, _ := b.function(id)
	if len(named) != len(params) {
		return params
	}
	return named
}

// functionArgs makes the args struct of a function's parameters: 8 bytes each in the context.
func (c *checker) functionArgs(p *Program, pt *Point, params []types.Field, n needs) string {
	args := &types.Type{Kind: types.Struct, Name: pt.Text + "_args", Size: 8 * len(params)}
	var key strings.Builder
	for i, f := range params {
		space := types.SpaceKernel
		if f.User {
			space = types.SpaceUser
		}
		f.Offset = 8 * i
		f.Type = trusting(f.Type, space)
		args.Fields = append(args.Fields, f)
		p.Params = append(p.Params, f.Type)
		if n.args {
			fmt.Fprintf(&key, ",%s %s", f.Type, f.Name)
		}
	}
	if !n.args {
		fmt.Fprintf(&key, ",%d", len(params)) // argN are checked against their number
	}
	p.Args = args
	return key.String()
}

// trusting is a pointer as the verifier knows it in the arguments of a typed program.
func trusting(t *types.Type, space types.Space) *types.Type {
	if t == nil || t.Kind != types.Pointer {
		return t
	}
	p := *t
	p.Space = space
	p.Trusted = space == types.SpaceKernel && t.Elem != nil && t.Elem.Kind == types.Struct && t.Elem.BTF != 0
	return &p
}

// tracepointArgs makes the args struct of a tracepoint's format.
func (c *checker) tracepointArgs(p *Program, pt *Point) string {
	f, err := c.target.Tracepoint(pt.Group, pt.Name)
	if err != nil {
		p.noArgs = err.Error()
		return pt.Text
	}
	p.Format = f
	args := &types.Type{Kind: types.Struct, Name: pt.Text + "_args"}
	var key strings.Builder
	for _, tf := range f.Fields {
		args.Size = max(args.Size, tf.Offset+tf.Size)
		if tf.Common {
			continue
		}
		field := c.tracepointField(tf, p.Space)
		args.Fields = append(args.Fields, field)
		fmt.Fprintf(&key, ",%d:%s %s", field.Offset, tf.Type, field.Name)
	}
	p.Args = args
	return key.String()
}

// tracepointField turns a field of a format into one of the language. Sizes and signs are the format's; the C type says
// what is a text, a pointer, a struct or an enum.
func (c *checker) tracepointField(tf kernel.TracepointField, space types.Space) types.Field {
	f := types.Field{Name: tf.Name, Offset: tf.Offset}
	decl := strings.TrimSpace(tf.Type)
	if tf.DataLoc || tf.RelLoc {
		// What it refers to lies in the record, which is the kernel's memory.
		decl = strings.TrimPrefix(strings.TrimPrefix(decl, "__data_loc "), "__rel_loc ")
		decl, _, _ = strings.Cut(decl, "[")
		f.DataLoc = true
		f.Type = types.PointerTo(c.formatType(strings.TrimSpace(decl), 1, false), types.SpaceKernel)
		if tf.RelLoc {
			f.DataLoc, f.Type = false, types.TUint32
		}
		return f
	}
	decl, _, isArray := strings.Cut(decl, "[")
	decl = strings.TrimSpace(decl)
	switch {
	case isArray && tf.Array > 0:
		if isChar(decl) {
			f.Type = types.StringOf(tf.Size)
			break
		}
		elem := c.formatType(decl, tf.Size/tf.Array, tf.Signed)
		if strings.HasSuffix(decl, "*") {
			elem = c.formatPointer(decl, space)
		}
		f.Type = types.ArrayOf(elem, tf.Array)
		f.Type.Size = tf.Size
	case strings.HasSuffix(decl, "*") && tf.Size == 8:
		f.Type = c.formatPointer(decl, space)
	default:
		f.Type = c.formatType(decl, tf.Size, tf.Signed)
	}
	return f
}

func isChar(decl string) bool {
	return strings.TrimPrefix(decl, "const ") == "char"
}

// formatPointer is a pointer in a format: the last stars, each perhaps const.
func (c *checker) formatPointer(decl string, space types.Space) *types.Type {
	stars := 0
	for {
		decl = strings.TrimSpace(decl)
		if rest, ok := strings.CutSuffix(decl, "const"); ok && stars == 0 && strings.Contains(rest, "*") {
			decl = rest
			continue
		}
		rest, ok := strings.CutSuffix(decl, "*")
		if !ok {
			break
		}
		stars++
		decl = strings.TrimSuffix(strings.TrimSpace(rest), "const")
		if stars > 8 {
			break
		}
	}
	t := c.formatTarget(strings.TrimSpace(decl))
	for range stars {
		t = types.PointerTo(t, space)
	}
	return t
}

// formatTarget is what a pointer of a format points to. Structs are looked up when they are looked into.
func (c *checker) formatTarget(name string) *types.Type {
	name = cleanType(name)
	for _, tag := range [...]string{"struct ", "union "} {
		if rest, ok := strings.CutPrefix(name, tag); ok {
			return c.lazyStruct(strings.TrimSpace(tag), strings.TrimSpace(rest))
		}
	}
	if name == "void" || name == "" {
		return types.TNone
	}
	if t := cTypes[spelledInt(name)]; t != nil {
		return t
	}
	if t := languageTypes[name]; t != nil && t.Kind == types.Bool {
		return t
	}
	if t := c.kernelTypes.named("", name); t != nil {
		return t
	}
	return types.TNone
}

// cleanType takes the qualifiers away.
func cleanType(name string) string {
	words := strings.Fields(name)
	kept := words[:0]
	for _, w := range words {
		if w != "const" && w != "volatile" {
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, " ")
}

// lazyStruct is a struct that is looked up in the script and the kernel's types when it is first looked into.
func (c *checker) lazyStruct(tag, name string) *types.Type {
	if t := c.script.tags[tag+" "+name]; t != nil {
		return t
	}
	if t := c.lazy[tag+" "+name]; t != nil {
		return t
	}
	t := &types.Type{Kind: types.Struct, Name: name, Union: tag == "union", Resolve: c.completeFromKernel}
	if c.lazy == nil {
		c.lazy = make(map[string]*types.Type)
	}
	c.lazy[tag+" "+name] = t
	return t
}

// formatType is a field that is no pointer. Its size is that of the format, whatever the C type's is here.
func (c *checker) formatType(decl string, size int, signed bool) *types.Type {
	decl = cleanType(decl)
	if name, ok := strings.CutPrefix(decl, "enum "); ok && (size == 4 || size == 8) {
		return &types.Type{Kind: types.Enum, Size: size, Signed: signed, Name: strings.TrimSpace(name)}
	}
	switch {
	case decl == "bool" && size == 1:
		return types.TBool
	case size == 1 && decl == "char":
		return types.TInt8
	case size == 1 || size == 2 || size == 4 || size == 8:
		if !strings.HasPrefix(decl, "struct ") && !strings.HasPrefix(decl, "union ") {
			return types.IntOf(size, signed)
		}
	}
	for _, tag := range [...]string{"struct", "union"} {
		if name, ok := strings.CutPrefix(decl, tag+" "); ok {
			t := c.lazyStruct(tag, strings.TrimSpace(name))
			if t.Size == 0 {
				t.Size = size
			}
			return t
		}
	}
	return types.ArrayOf(types.TUint8, max(size, 0))
}
