package kernel

import (
	"fmt"
	"math"
)

// encoder collects records and names and puts them together as raw BTF.
type encoder struct {
	types   []byte
	names   []byte
	offsets map[string]uint32
}

func newEncoder() *encoder {
	return &encoder{names: []byte{0}, offsets: map[string]uint32{"": 0}}
}

func (e *encoder) word(value uint32) { e.types = btfOrder.AppendUint32(e.types, value) }

func (e *encoder) name(name []byte) uint32 {
	offset, ok := e.offsets[string(name)]
	if !ok {
		offset = uint32(len(e.names))
		e.offsets[string(name)] = offset
		e.names = append(append(e.names, name...), 0)
	}
	return offset
}

func (e *encoder) blob() []byte {
	out := make([]byte, 0, btfHeaderLen+len(e.types)+len(e.names))
	out = btfOrder.AppendUint16(out, btfMagic)
	out = append(out, btfVersion, 0)
	for _, word := range []uint32{btfHeaderLen, 0, uint32(len(e.types)), uint32(len(e.types)), uint32(len(e.names))} {
		out = btfOrder.AppendUint32(out, word)
	}
	return append(append(out, e.types...), e.names...)
}

// encode writes the needed types with what is kept of them.
func (r *reducer) encode() ([]byte, error) {
	e := newEncoder()
	for id, n := range r.order {
		if err := r.encodeNode(e, n); err != nil {
			return nil, fmt.Errorf("reduced type %d: %w", id+1, err)
		}
	}
	if len(e.types)+len(e.names) > math.MaxInt32 {
		return nil, fmt.Errorf("%w: the result is too large", ErrNotReduced)
	}
	return e.blob(), nil
}

func (r *reducer) encodeNode(e *encoder, n *btfNode) error {
	start := len(e.types)
	e.types = append(e.types, n.record[:btfRecordLen]...)
	kind, _ := kindOf(n.record)

	kept := uint32(0)
	for i, part := range n.parts() {
		if !n.keep[i] {
			continue
		}
		kept++
		name, err := r.newName(e, part)
		if err != nil {
			return err
		}
		e.word(name)
		rest := part[4:]
		if kind == kindStruct || kind == kindUnion || kind == kindFuncProto {
			e.word(r.newID(rest))
			rest = rest[4:]
		}
		e.types = append(e.types, rest...)
	}
	switch kind {
	case kindInt:
		e.types = append(e.types, n.record[btfRecordLen:]...)
	case kindArray:
		e.word(r.newID(n.record[12:]))
		e.word(r.newID(n.record[16:]))
		e.types = append(e.types, n.record[20:]...)
	}

	head := e.types[start:]
	name, err := r.newName(e, n.record)
	if err != nil {
		return err
	}
	btfOrder.PutUint32(head, name)
	btfOrder.PutUint32(head[4:], btfOrder.Uint32(n.record[4:])&^0xffff|kept)
	switch kind {
	case kindTypedef, kindVolatile, kindConst, kindRestrict, kindTypeTag:
		btfOrder.PutUint32(head[8:], r.newID(n.record[8:]))
	case kindPointer, kindFuncProto:
		target := uint32(0)
		if n.deep {
			target = r.newID(n.record[8:])
		}
		btfOrder.PutUint32(head[8:], target)
	}
	return nil
}

// newName returns the offset in the result of the name whose offset in the kernel's BTF starts field.
func (r *reducer) newName(e *encoder, field []byte) (uint32, error) {
	offset := btfOrder.Uint32(field)
	if offset == 0 {
		return 0, nil
	}
	name, err := r.name(offset)
	if err != nil {
		return 0, err
	}
	return e.name(name), nil
}

// newID returns the ID in the result of the type whose ID in the kernel's BTF starts field: of a type that was visited, or
// of void.
func (r *reducer) newID(field []byte) uint32 {
	if n := r.nodes[btfOrder.Uint32(field)]; n != nil {
		return n.id
	}
	return 0
}
