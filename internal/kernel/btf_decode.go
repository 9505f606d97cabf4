package kernel

import "slices"

// voidType is the type with ID 0, which the section does not hold.
var voidType = CType{Kind: BTFVoid, Name: "void"}

// Type decodes one type; nil for an ID that is not there, and for a type that refers to one that is not. ID 0 is void. The answer
// is kept, and must not be changed.
func (b *BTFTypes) Type(id uint32) *CType {
	switch {
	case id == 0:
		return &voidType
	case b == nil:
		return nil
	case id < b.firstID:
		return b.base.Type(id)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	typ, known := b.decoded[id]
	if !known {
		if !b.has(id) {
			return nil
		}
		typ = b.decode(id)
		b.decoded[id] = typ
	}
	return typ
}

// record returns the bytes of one of the own types.
func (b *BTFTypes) record(id uint32) []byte {
	index := id - b.firstID
	at := int(b.marks[index/markEvery])
	for range index % markEvery {
		tail, _ := tailLen(btfOrder.Uint32(b.types[at+4:]))
		at += btfRecordLen + tail
	}
	tail, _ := tailLen(btfOrder.Uint32(b.types[at+4:]))
	return b.types[at:][:btfRecordLen+tail]
}

// kindFlag is the top bit of a record's info: what it means depends on the kind.
func kindFlag(record []byte) bool { return record != nil && btfOrder.Uint32(record[4:])>>31 != 0 }

// The flags of an int.
const (
	intSigned = 1 << 0
	intBool   = 1 << 2
)

func (b *BTFTypes) decode(id uint32) *CType {
	record := b.record(id)
	kind, count := kindOf(record)
	name, ok := b.text(btfOrder.Uint32(record))
	if !ok {
		return nil
	}
	t := &CType{ID: id, Kind: BTFKind(kind), Name: name}
	word, tail := btfOrder.Uint32(record[8:]), record[btfRecordLen:]
	switch kind {
	case kindInt:
		encoding := btfOrder.Uint32(tail) >> 24 & 0xf
		t.Size, t.Signed, t.Bool = int(word), encoding&intSigned != 0, encoding&intBool != 0
	case kindFloat, kindDatasec:
		t.Size = int(word)
	case kindArray:
		t.Elem, t.Len = btfOrder.Uint32(tail), int(btfOrder.Uint32(tail[8:]))
	case kindStruct, kindUnion:
		t.Size = int(word)
		ok = b.decodeMembers(t, kindFlag(record), tail, count)
	case kindEnum, kindEnum64:
		t.Size, t.Signed = int(word), kindFlag(record)
		ok = b.decodeValues(t, record, tail, count)
	case kindFuncProto:
		t.Elem = word
		ok = b.decodeParams(t, tail, count)
	case kindForward:
	default:
		t.Elem = word
	}
	if !ok || !b.has(t.Elem) {
		return nil
	}
	return t
}

func (b *BTFTypes) decodeMembers(t *CType, bitFields bool, tail []byte, count int) bool {
	t.Members = make([]CMember, count)
	for i := range t.Members {
		part := tail[i*12:][:12]
		name, ok := b.text(btfOrder.Uint32(part))
		m := CMember{Name: name, Type: btfOrder.Uint32(part[4:]), BitOffset: int(btfOrder.Uint32(part[8:]))}
		if bitFields { // then the offset has only 24 bits
			m.Bits, m.BitOffset = m.BitOffset>>24, m.BitOffset&0xffffff
		}
		if !ok || !b.has(m.Type) {
			return false
		}
		t.Members[i] = m
	}
	return true
}

func (b *BTFTypes) decodeValues(t *CType, record, tail []byte, count int) bool {
	kind, each := int(t.Kind), int(tails[t.Kind].each)
	t.Values = make([]CEnumValue, count)
	for i := range t.Values {
		part := tail[i*each:][:each]
		name, ok := b.text(btfOrder.Uint32(part))
		if !ok {
			return false
		}
		t.Values[i] = CEnumValue{name, enumValue(kind, record, part)}
	}
	return true
}

func (b *BTFTypes) decodeParams(t *CType, tail []byte, count int) bool {
	t.Params = make([]CParam, count)
	for i := range t.Params {
		part := tail[i*8:][:8]
		name, ok := b.text(btfOrder.Uint32(part))
		p := CParam{name, btfOrder.Uint32(part[4:])}
		if !ok || !b.has(p.Type) {
			return false
		}
		t.Params[i] = p
	}
	return true
}

// Resolve follows typedefs, qualifiers and tags to what is behind them. Nil where there is nothing, or they run in a circle.
func (b *BTFTypes) Resolve(id uint32) *CType {
	for range maxTypeDepth {
		t := b.Type(id)
		if t == nil {
			return nil
		}
		switch t.Kind {
		case BTFTypedef, BTFVolatile, BTFConst, BTFRestrict, BTFTypeTag:
			id = t.Elem
		default:
			return t
		}
	}
	return nil
}

// pointerSize is the same on all machines that there are programs for.
const pointerSize = 8

// Sizeof returns how many bytes a value of the type takes; ok is false for what has no size.
func (b *BTFTypes) Sizeof(id uint32) (size int, ok bool) {
	count := uint64(1)
	for range maxTypeDepth {
		t := b.Resolve(id)
		if t == nil {
			return 0, false
		}
		each := uint64(0)
		switch t.Kind {
		case BTFArray:
			if count *= uint64(t.Len); count > maxBTFSize {
				return 0, false
			}
			id = t.Elem
			continue
		case BTFPtr:
			each = pointerSize
		case BTFInt, BTFFloat, BTFStruct, BTFUnion, BTFEnum, BTFEnum64:
			each = uint64(t.Size)
		default:
			return 0, false
		}
		return int(count * each), true
	}
	return 0, false
}

// Field finds a member of a struct or union by its name, also in members without a name; its BitOffset is from the start
// of the outermost.
func (b *BTFTypes) Field(id uint32, name string) (CMember, bool) {
	looks := maxFieldLooks
	return b.field(id, name, &looks)
}

// maxFieldLooks bounds how many members without a name are looked into, for damaged types can contain themselves.
const maxFieldLooks = 1000

func (b *BTFTypes) field(id uint32, name string, looks *int) (CMember, bool) {
	t := b.Resolve(id)
	if *looks--; t == nil || name == "" || *looks < 0 {
		return CMember{}, false
	}
	if i := slices.IndexFunc(t.Members, func(m CMember) bool { return m.Name == name }); i >= 0 {
		return t.Members[i], true
	}
	for _, outer := range t.Members {
		if outer.Name != "" {
			continue
		}
		if m, ok := b.field(outer.Type, name, looks); ok {
			m.BitOffset += outer.BitOffset
			return m, true
		}
	}
	return CMember{}, false
}
