package kernel

import (
	"errors"
	"slices"
	"sync"
)

// btfIndex finds types in the raw section. It is made by one pass over them, and holds five bytes for each. The pass goes no
// further than what is asked for: all types take two milliseconds, and those that are common are among the first.
type btfIndex struct {
	base         *BTFTypes // what a module's types continue, nil for the kernel's own
	types, names []byte
	firstID      uint32 // of the own types: 1, or where the base ends
	firstName    uint32 // offset of the own names: 0, or where the base's end
	dir          string // where modules show their types

	mu     sync.Mutex // guards all that follows
	at     int        // where in types the pass goes on
	kinds  []uint8    // of the own types, in order
	nameAt []uint32   // their names
	marks  []uint32   // where in types each markEvery-th lies
	enums  []uint32   // where in types those with values lie, and
	enumID []uint32   // their IDs

	decoded map[uint32]*CType
	found   map[btfName]uint32 // 0: there is none
	// searches counts those that went through all names, by kind; byName has the kinds of which there were many.
	searches map[BTFKind]int
	byName   map[BTFKind]map[string]uint32
	modules  map[string]*BTFTypes
	kfuncs   map[uint32]bool // with the tag, nil before they were asked for
}

type btfName struct {
	kind BTFKind
	name string
}

// newBTFTypes makes the index, which is empty as yet. base is nil but for the types of a module; it must be whole.
func newBTFTypes(raw []byte, base *BTFTypes) (*BTFTypes, error) {
	scan, err := newBTFScanner(memoryBTF(raw))
	if err != nil {
		return nil, err
	}
	b := &BTFTypes{btfIndex{
		base:    base,
		types:   raw[scan.typesAt:scan.typesEnd],
		names:   raw[scan.namesAt:scan.namesEnd],
		firstID: 1,
		decoded: make(map[uint32]*CType),
		found:   make(map[btfName]uint32),
		modules: make(map[string]*BTFTypes),
	}}
	if base != nil {
		b.firstID, b.firstName = base.end(), base.firstName+uint32(len(base.names))
	}
	if uint64(b.firstName)+uint64(len(b.names)) > maxBTFSize {
		return nil, errors.New("BTF has too many names")
	}
	expected := len(b.types)/24 + 16
	b.kinds, b.nameAt = make([]uint8, 0, expected), make([]uint32, 0, expected)
	b.marks = make([]uint32, 0, expected/markEvery+1)
	return b, nil
}

// end is the ID after the last that the pass has come to.
func (b *BTFTypes) end() uint32 { return b.firstID + uint32(len(b.kinds)) }

// Count is the number of types, void and those of the base among them: IDs run from 0 to Count()-1.
func (b *BTFTypes) Count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.whole()
	return int(b.end())
}

// Has says whether there is a type with that ID.
func (b *BTFTypes) Has(id uint32) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.has(id)
}

// Find returns the ID of the type with that kind and name. Of several it is the first. Types of a module go before those
// of the kernel itself.
func (b *BTFTypes) Find(kind BTFKind, name string) (id uint32, ok bool) {
	if b == nil || name == "" || len(name) >= maxNameLen {
		return 0, false
	}
	b.mu.Lock()
	id, known := b.found[btfName{kind, name}]
	if !known {
		id = b.lookUp(kind, name)
		b.found[btfName{kind, name}] = id
	}
	b.mu.Unlock()
	if id == 0 && b.base != nil {
		return b.base.Find(kind, name)
	}
	return id, id != 0
}

// manySearches is after how many searches for a kind all names of it are put into a table, which takes as long as some
// dozens of searches and much memory.
const manySearches = 256

// lookUp finds a name. The lock is held.
func (b *BTFTypes) lookUp(kind BTFKind, name string) uint32 {
	if b.byName[kind] != nil {
		return b.byName[kind][name]
	}
	if b.searches == nil {
		b.searches, b.byName = make(map[BTFKind]int), make(map[BTFKind]map[string]uint32)
	}
	if b.searches[kind]++; b.searches[kind] < manySearches {
		return b.search(kind, name)
	}
	b.whole()
	table := make(map[string]uint32)
	for i, k := range b.kinds {
		if k != uint8(kind) {
			continue
		}
		if text, ok := b.text(b.nameAt[i]); ok && table[text] == 0 {
			table[text] = b.firstID + uint32(i)
		}
	}
	b.byName[kind] = table
	return table[name]
}

func (b *BTFTypes) search(kind BTFKind, name string) uint32 {
	want := newNameTest(name)
	for i := 0; i < len(b.kinds) || b.more(); i++ {
		if b.kinds[i] == uint8(kind) && want.is(b.nameFrom(b.nameAt[i])) {
			return b.firstID + uint32(i)
		}
	}
	return 0
}

// nameTest compares names by their first bytes, before their rest is looked at.
type nameTest struct {
	whole       []byte // with the NUL
	first, mask uint64
}

func newNameTest(name string) nameTest {
	t := nameTest{whole: append([]byte(name), 0), mask: ^uint64(0)}
	var head, mask [8]byte
	for i := range min(8, copy(head[:], t.whole)) {
		mask[i] = 0xff
	}
	t.first, t.mask = btfOrder.Uint64(head[:]), btfOrder.Uint64(mask[:])
	return t
}

func (t *nameTest) is(text []byte) bool {
	if len(text) >= 8 {
		if btfOrder.Uint64(text)&t.mask != t.first {
			return false
		}
		if len(t.whole) <= 8 {
			return true
		}
	}
	return len(text) >= len(t.whole) && string(text[:len(t.whole)]) == string(t.whole)
}

// nameFrom returns the names from an offset on; nil for an offset outside.
func (b *BTFTypes) nameFrom(offset uint32) []byte {
	if offset < b.firstName {
		return b.base.nameFrom(offset)
	}
	if offset -= b.firstName; uint64(offset) < uint64(len(b.names)) {
		return b.names[offset:]
	}
	return nil
}

// text returns the name at an offset. Offset 0 is no name.
func (b *BTFTypes) text(offset uint32) (name string, ok bool) {
	if offset == 0 {
		return "", true
	}
	text := b.nameFrom(offset)
	text, err := cutText(text[:min(len(text), maxNameLen)], int(offset))
	return string(text), err == nil
}

// EnumValue finds an enumerator by its name in any enum of the kernel.
func (b *BTFTypes) EnumValue(name string) (enum uint32, value int64, ok bool) {
	if b == nil || name == "" || len(name) >= maxNameLen {
		return 0, 0, false
	}
	if enum, value, ok = b.enumValue(name); !ok && b.base != nil {
		return b.base.EnumValue(name)
	}
	return enum, value, ok
}

func (b *BTFTypes) enumValue(name string) (enum uint32, value int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	want := newNameTest(name)
	for i := 0; ; i++ {
		for i == len(b.enums) {
			if !b.more() {
				return 0, 0, false
			}
		}
		record := b.types[b.enums[i]:]
		kind, count := kindOf(record)
		each := int(tails[kind].each)
		for n := range count {
			part := record[btfRecordLen+n*each:][:each]
			if want.is(b.nameFrom(btfOrder.Uint32(part))) {
				return b.enumID[i], enumValue(kind, record, part), true
			}
		}
	}
}

func enumValue(kind int, record, part []byte) int64 {
	low := btfOrder.Uint32(part[4:])
	switch {
	case kind == kindEnum64:
		return int64(uint64(btfOrder.Uint32(part[8:]))<<32 | uint64(low))
	case kindFlag(record):
		return int64(int32(low))
	}
	return int64(low)
}

// FunctionNames lists functions that match a pattern, sorted; of a module those of its own.
func (b *BTFTypes) FunctionNames(pattern string) []string { return b.Names(BTFFunc, pattern) }

// Names lists the names of the types of a kind that match a pattern, sorted and each once; of a module those of its own.
func (b *BTFTypes) Names(kind BTFKind, pattern string) []string {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !hasStar(pattern) {
		if pattern == "" || len(pattern) >= maxNameLen || b.search(kind, pattern) == 0 {
			return nil
		}
		return []string{pattern}
	}
	var names []string
	match := newPattern(pattern)
	b.whole()
	for i, k := range b.kinds {
		if k != uint8(kind) || b.nameAt[i] == 0 {
			continue
		}
		text := b.nameFrom(b.nameAt[i])
		text, err := cutText(text[:min(len(text), maxNameLen)], 0)
		if err == nil && match.bytes(text) {
			names = append(names, string(text))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// kfuncTag marks the functions that programs may call.
const kfuncTag = "bpf_kfunc"

// markedKfuncs returns the functions with that mark; none on kernels that mark none.
func (b *BTFTypes) markedKfuncs() map[uint32]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kfuncs == nil {
		b.kfuncs = make(map[uint32]bool)
		b.whole()
		want := newNameTest(kfuncTag)
		for i, kind := range b.kinds {
			if kind == kindDeclTag && want.is(b.nameFrom(b.nameAt[i])) {
				b.kfuncs[btfOrder.Uint32(b.record(b.firstID + uint32(i))[8:])] = true
			}
		}
	}
	return b.kfuncs
}
