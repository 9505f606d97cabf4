package kernel

import (
	"fmt"
	"iter"
	"slices"

	"github.com/cilium/ebpf/btf"
)

// maxReduced bounds the result, in bytes of types: the ready tools need a few kilobytes.
const maxReduced = 1 << 20

// btfNode is a type of the kernel's that the result will hold.
type btfNode struct {
	id     uint32 // in the result
	record []byte // the kernel's
	keep   []bool // which members of a struct or union, or values of an enum, are kept
	deep   bool   // a pointer keeps what it points to
}

// parts returns what follows a record of a kind that counts its parts: members, values or parameters.
func (n *btfNode) parts() iter.Seq2[int, []byte] {
	kind, count := kindOf(n.record)
	each := int(tails[kind].each)
	return func(yield func(int, []byte) bool) {
		for i := range count {
			if !yield(i, n.record[btfRecordLen+i*each:][:each]) {
				return
			}
		}
	}
}

// visit is a type of the kernel's seen from a local type: nil, or one with members, values or elements.
type visit struct {
	id    uint32
	local btf.Type
	deep  bool
}

// reducer grows the set of needed types from the roots by following, in the kernel's types, what is marked in the local ones.
type reducer struct {
	*btfScanner
	wants *wants
	nodes map[uint32]*btfNode // by the kernel's ID
	order []*btfNode          // by the ID in the result
	seen  map[visit]bool
	todo  []visit
	size  int
}

// reduce returns raw BTF that holds what wanted asks for of the BTF in src.
func reduce(src *btfSource, wanted *wants) ([]byte, error) {
	scan, err := newBTFScanner(src)
	if err != nil {
		return nil, err
	}
	found, err := scan.find(wanted.roots)
	if err != nil {
		return nil, err
	}
	r := &reducer{
		btfScanner: scan,
		wants:      wanted,
		nodes:      make(map[uint32]*btfNode),
		seen:       make(map[visit]bool),
	}
	for _, c := range found {
		root := wanted.roots[c.name]
		for _, local := range root.locals {
			r.push(c.id, local, root.deep)
		}
	}
	for len(r.todo) > 0 {
		next := r.todo[len(r.todo)-1]
		r.todo = r.todo[:len(r.todo)-1]
		if err := r.visit(next); err != nil {
			return nil, fmt.Errorf("BTF type %d: %w", next.id, err)
		}
	}
	return r.encode()
}

func (r *reducer) push(id uint32, local btf.Type, deep bool) {
	if id == 0 {
		return
	}
	switch local = btf.UnderlyingType(local); local.(type) {
	case *btf.Struct, *btf.Union, *btf.Enum, *btf.Array:
	default:
		local = nil
	}
	if next := (visit{id, local, deep}); !r.seen[next] {
		r.seen[next] = true
		r.todo = append(r.todo, next)
	}
}

func (r *reducer) visit(v visit) error {
	n, err := r.node(v.id)
	if err != nil {
		return err
	}
	switch kind, _ := kindOf(n.record); kind {
	case kindInt, kindFloat, kindForward:
	case kindTypedef, kindVolatile, kindConst, kindRestrict, kindTypeTag:
		r.push(btfOrder.Uint32(n.record[8:]), v.local, v.deep)
	case kindPointer:
		if v.deep {
			n.deep = true
			r.push(btfOrder.Uint32(n.record[8:]), nil, true)
		}
	case kindArray:
		var element btf.Type
		if array, ok := v.local.(*btf.Array); ok {
			element = array.Type
		}
		r.push(btfOrder.Uint32(n.record[12:]), element, v.deep)
		r.push(btfOrder.Uint32(n.record[16:]), nil, v.deep)
	case kindFuncProto:
		if v.deep {
			n.deep = true
			r.push(btfOrder.Uint32(n.record[8:]), nil, true)
			for i, part := range n.parts() {
				n.keep[i] = true
				r.push(btfOrder.Uint32(part[4:]), nil, true)
			}
		}
	case kindStruct, kindUnion:
		return r.visitMembers(n, v.local)
	case kindEnum, kindEnum64:
		return r.visitValues(n, v.local)
	default:
		return fmt.Errorf("kind %d is not that of a value", kind)
	}
	return nil
}

func (r *reducer) node(id uint32) (*btfNode, error) {
	if n := r.nodes[id]; n != nil {
		return n, nil
	}
	record, err := r.record(id)
	if err != nil {
		return nil, err
	}
	if r.size += len(record); r.size > maxReduced {
		return nil, fmt.Errorf("%w: more than %d bytes of types are asked for", ErrNotReduced, maxReduced)
	}
	n := &btfNode{record: slices.Clone(record)}
	_, parts := kindOf(record)
	n.keep = make([]bool, parts)
	r.nodes[id] = n
	r.order = append(r.order, n)
	n.id = uint32(len(r.order))
	return n, nil
}

func (r *reducer) visitMembers(n *btfNode, local btf.Type) error {
	names := r.wants.namedParts(local)
	if len(names) == 0 {
		return nil
	}
	for i, part := range n.parts() {
		typ := btfOrder.Uint32(part[4:])
		if btfOrder.Uint32(part) == 0 {
			// What is looked for may be in here. An empty copy of it does no harm.
			n.keep[i] = true
			r.push(typ, local, false)
			continue
		}
		name, err := r.name(btfOrder.Uint32(part))
		if err != nil {
			return err
		}
		for _, member := range names[string(name)] {
			n.keep[i] = true
			r.push(typ, member, false)
		}
	}
	return nil
}

func (r *reducer) visitValues(n *btfNode, local btf.Type) error {
	names := r.wants.namedParts(local)
	if len(names) == 0 {
		return nil
	}
	for i, part := range n.parts() {
		name, err := r.name(btfOrder.Uint32(part))
		if err != nil {
			return err
		}
		if _, ok := names[essentialName(string(name))]; ok {
			n.keep[i] = true
		}
	}
	return nil
}
