package check

import (
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// kernelTypes turns the kernel's BTF into types of the language. The BTF is opened when it is first asked for: most
// scripts need none, and opening it is a good part of what their start costs.
type kernelTypes struct {
	target kernel.Target
	opened bool
	btf    *btfTypes
	// modules have types of their own, which continue the kernel's.
	modules map[string]*btfTypes
}

func newKernelTypes(t kernel.Target) *kernelTypes { return &kernelTypes{target: t} }

// get returns the kernel's types, nil where it shows none.
func (k *kernelTypes) get() *btfTypes {
	if !k.opened {
		k.opened = true
		if raw := k.target.Types(); raw != nil {
			k.btf = newBTFTypes(raw)
		}
	}
	return k.btf
}

// module returns the types of a kernel module; those of the kernel for "" and "vmlinux".
func (k *kernelTypes) module(name string) *btfTypes {
	base := k.get()
	if base == nil || name == "" || name == "vmlinux" {
		return base
	}
	if m, ok := k.modules[name]; ok {
		return m
	}
	var m *btfTypes
	if raw, err := base.raw.Module(name); err == nil && raw != nil {
		m = newBTFTypes(raw)
	}
	if k.modules == nil {
		k.modules = make(map[string]*btfTypes)
	}
	k.modules[name] = m
	return m
}

// named finds struct, union or enum NAME ("" as tag: a typedef) of the kernel; nil if there is none.
func (k *kernelTypes) named(tag, name string) *types.Type {
	b := k.get()
	if b == nil {
		return nil
	}
	kinds := []kernel.BTFKind{kernel.BTFTypedef}
	switch tag {
	case "struct":
		kinds[0] = kernel.BTFStruct
	case "union":
		kinds[0] = kernel.BTFUnion
	case "enum":
		kinds = []kernel.BTFKind{kernel.BTFEnum, kernel.BTFEnum64}
	}
	for _, kind := range kinds {
		if id, ok := b.raw.Find(kind, name); ok {
			return b.typeOf(id)
		}
	}
	return nil
}

// enumerator finds an enum constant of the kernel.
func (k *kernelTypes) enumerator(name string) (t *types.Type, value int64, ok bool) {
	b := k.get()
	if b == nil {
		return nil, 0, false
	}
	id, value, ok := b.raw.EnumValue(name)
	if !ok {
		return nil, 0, false
	}
	return b.typeOf(id), value, true
}

// btfTypes converts the types of the kernel or of one module, each once.
type btfTypes struct {
	raw  *kernel.BTFTypes
	done map[uint32]*types.Type
}

func newBTFTypes(raw *kernel.BTFTypes) *btfTypes {
	return &btfTypes{raw: raw, done: make(map[uint32]*types.Type)}
}

// maxChain bounds how many typedefs, qualifiers and pointers are followed: damaged BTF may go in circles.
const maxChain = 64

// typeOf converts a type; what it cannot say becomes bytes or void, never nil.
func (b *btfTypes) typeOf(id uint32) *types.Type { return b.convert(id, 0) }

func (b *btfTypes) convert(id uint32, depth int) *types.Type {
	if t, ok := b.done[id]; ok {
		return t
	}
	c := b.raw.Type(id)
	if c == nil || id == 0 || depth > maxChain {
		return types.TNone
	}
	t := b.make(c, depth)
	b.done[id] = t
	return t
}

func (b *btfTypes) make(c *kernel.CType, depth int) *types.Type {
	switch c.Kind {
	case kernel.BTFInt:
		switch {
		case c.Bool:
			return types.TBool
		case c.Name == "char":
			return types.TInt8
		case c.Size > 8: // __int128
			return types.ArrayOf(types.TUint64, c.Size/8)
		}
		return types.IntOf(c.Size, c.Signed)
	case kernel.BTFEnum, kernel.BTFEnum64:
		t := &types.Type{Kind: types.Enum, Size: c.Size, Signed: c.Signed, Name: c.Name, EnumNames: make(map[int64]string, len(c.Values))}
		for _, v := range c.Values {
			if _, ok := t.EnumNames[v.Value]; !ok {
				t.EnumNames[v.Value] = v.Name
			}
		}
		return t
	case kernel.BTFPtr:
		return types.PointerTo(b.convert(c.Elem, depth+1), types.SpaceNone)
	case kernel.BTFArray:
		return b.array(c, depth)
	case kernel.BTFStruct, kernel.BTFUnion:
		return &types.Type{Kind: types.Struct, Size: c.Size, Name: c.Name, Union: c.Kind == kernel.BTFUnion, BTF: c.ID, Resolve: b.resolve}
	case kernel.BTFFwd:
		return &types.Type{Kind: types.Struct, Name: c.Name}
	case kernel.BTFTypedef, kernel.BTFVolatile, kernel.BTFConst, kernel.BTFRestrict, kernel.BTFTypeTag, kernel.BTFDeclTag:
		return b.convert(c.Elem, depth+1)
	case kernel.BTFFloat:
		return types.ArrayOf(types.TUint8, max(c.Size, 0))
	}
	return types.TNone
}

// array makes strings of char arrays.
func (b *btfTypes) array(c *kernel.CType, depth int) *types.Type {
	if c.Len < 0 || c.Len > 1<<24 {
		return types.TNone
	}
	elem := b.convert(c.Elem, depth+1)
	if elem == types.TInt8 && b.isChar(c.Elem) && c.Len > 0 {
		return types.StringOf(c.Len)
	}
	return types.ArrayOf(elem, c.Len)
}

// isChar tells char from s8 and its like.
func (b *btfTypes) isChar(id uint32) bool {
	for range maxChain {
		c := b.raw.Type(id)
		if c == nil {
			return false
		}
		switch c.Kind {
		case kernel.BTFInt:
			return c.Name == "char"
		case kernel.BTFTypedef, kernel.BTFVolatile, kernel.BTFConst, kernel.BTFTypeTag:
			id = c.Elem
		default:
			return false
		}
	}
	return false
}

// resolve fills in the members of a struct; it is its type's Resolve.
func (b *btfTypes) resolve(t *types.Type) {
	c := b.raw.Type(t.BTF)
	if c == nil {
		return
	}
	for _, m := range c.Members {
		f := types.Field{Name: m.Name, Type: b.typeOf(m.Type), Offset: m.BitOffset / 8, User: b.isUser(m.Type)}
		if m.Bits > 0 {
			f.Bits = m.Bits
			f.Offset, f.BitOffset = bitPlace(m.BitOffset, m.Bits, f.Type.Size)
		}
		t.Fields = append(t.Fields, f)
	}
}

// isUser says whether a pointer is tagged __user.
func (b *btfTypes) isUser(id uint32) bool {
	for range maxChain {
		c := b.raw.Type(id)
		if c == nil {
			return false
		}
		switch c.Kind {
		case kernel.BTFTypeTag:
			if c.Name == "user" {
				return true
			}
		case kernel.BTFPtr:
			elem := b.raw.Type(c.Elem)
			return elem != nil && elem.Kind == kernel.BTFTypeTag && elem.Name == "user"
		case kernel.BTFTypedef, kernel.BTFVolatile, kernel.BTFConst, kernel.BTFRestrict:
		default:
			return false
		}
		id = c.Elem
	}
	return false
}

// bitPlace says from which byte to read a bit field: at its type's alignment where it fits there, else where it begins.
func bitPlace(bit, bits, size int) (offset, bitOffset int) {
	if size > 0 {
		offset = bit / (size * 8) * size
		if bit-offset*8+bits <= size*8 {
			return offset, bit - offset*8
		}
	}
	return bit / 8, bit % 8
}

// function returns the parameters and the result of a kernel function or of a prototype; id is of either.
func (b *btfTypes) function(id uint32) (params []types.Field, result *types.Type, ok bool) {
	c := b.raw.Type(id)
	if c != nil && c.Kind == kernel.BTFFunc {
		c = b.raw.Type(c.Elem)
	}
	if c == nil || c.Kind != kernel.BTFFuncProto {
		return nil, nil, false
	}
	for i, p := range c.Params {
		if p.Type == 0 { // "..."
			break
		}
		params = append(params, types.Field{Name: p.Name, Type: b.typeOf(p.Type), Offset: 8 * i, User: b.isUser(p.Type)})
	}
	return params, b.typeOf(c.Elem), true
}
