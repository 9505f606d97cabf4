package symbol

import (
	"bytes"
	"slices"
	"strings"
)

const (
	// Of the functions of one file; the largest browsers have a million.
	maxFunctions  = 1 << 21
	maxTableNames = 128 << 20
	// How many functions that start later may lie inside one that covers an address.
	maxNested = 64
)

// table holds the functions of a file or of a JIT: sorted, one name an address, and no pointers for the collector to
// follow.
type table struct {
	functions []function
	names     []byte // each ends in a zero byte
	shown     map[int]shownName
}

type function struct {
	addr uint64
	size uint32 // 0: up to the next one
	name uint32 // where in names
}

type shownName struct{ name, mangled string }

// bytes is about what the table takes of memory.
func (t *table) bytes() int {
	if t == nil {
		return 0
	}
	return len(t.functions)*16 + len(t.names)
}

// find returns the function that covers an address.
func (t *table) find(addr uint64) (index int, found bool) {
	if t == nil {
		return 0, false
	}
	after, _ := slices.BinarySearchFunc(t.functions, addr, func(f function, a uint64) int {
		if f.addr <= a {
			return -1
		}
		return 1
	})
	nearest := after - 1
	for i := nearest; i >= 0 && i > nearest-maxNested; i-- {
		if f := t.functions[i]; f.size != 0 && addr-f.addr < uint64(f.size) {
			return i, true
		}
	}
	if nearest >= 0 && t.functions[nearest].size == 0 {
		return nearest, true
	}
	return 0, false
}

// frame names an address of the table.
func (t *table) frame(addr uint64) (Frame, bool) {
	i, found := t.find(addr)
	if !found {
		return Frame{}, false
	}
	shown, kept := t.shown[i]
	if !kept {
		shown.mangled = t.name(t.functions[i].name)
		shown.name = Demangle(shown.mangled)
		if t.shown == nil {
			t.shown = map[int]shownName{}
		}
		t.shown[i] = shown
	}
	return Frame{Name: shown.name, Mangled: shown.mangled, Offset: addr - t.functions[i].addr, Ok: true}, true
}

func (t *table) name(at uint32) string {
	return string(zeroEnded(t.names[at:]))
}

// zeroEnded returns the bytes before the first zero byte.
func zeroEnded(b []byte) []byte {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		return b[:end]
	}
	return b
}

// tableBuilder collects functions in any order. What goes beyond the caps is left out.
type tableBuilder struct {
	functions []rankedFunction
	names     []byte
}

type rankedFunction struct {
	function
	rank uint32 // of several at one address the highest is shown
}

func (b *tableBuilder) full() bool {
	return len(b.functions) >= maxFunctions || len(b.names) >= maxTableNames
}

// add takes the function unless the builder is full. The name is copied.
func (b *tableBuilder) add(addr, size uint64, name []byte, rank uint32) {
	if b.full() || len(name) == 0 {
		return
	}
	f := rankedFunction{function{addr, uint32(min(size, 1<<32-1)), uint32(len(b.names))}, rank}
	b.functions = append(b.functions, f)
	b.names = append(append(b.names, name...), 0)
}

// table sorts what was collected and keeps one function an address. Labels inside a function go: they have no size and would
// seem to reach behind its end. The builder is used up.
func (b *tableBuilder) table() *table {
	slices.SortFunc(b.functions, b.compare)
	kept, names := b.functions[:0], 0
	var last, covered uint64 // the address kept last, and up to where functions with a size reach
	for _, f := range b.functions {
		if len(kept) > 0 && f.addr == last || f.size == 0 && f.addr < covered {
			continue
		}
		last, covered = f.addr, max(covered, f.addr+uint64(f.size))
		kept = append(kept, f)
		names += len(zeroEnded(b.names[f.name:])) + 1
	}
	t := &table{functions: make([]function, 0, len(kept)), names: make([]byte, 0, names)}
	for _, f := range kept {
		name := zeroEnded(b.names[f.name:])
		f.name = uint32(len(t.names))
		t.names = append(append(t.names, name...), 0)
		t.functions = append(t.functions, f.function)
	}
	*b = tableBuilder{}
	return t
}

// compare puts the better name of two at one address first: the higher rank, the longer function, then what a reader
// is more likely to know: "malloc" before "__libc_malloc".
func (b *tableBuilder) compare(x, y rankedFunction) int {
	switch {
	case x.addr != y.addr:
		return order(x.addr < y.addr)
	case x.rank != y.rank:
		return order(x.rank > y.rank)
	case x.size != y.size:
		return order(x.size > y.size)
	}
	first, second := zeroEnded(b.names[x.name:]), zeroEnded(b.names[y.name:])
	if p, q := underscores(first), underscores(second); p != q {
		return order(p < q)
	}
	if len(first) != len(second) {
		return order(len(first) < len(second))
	}
	return bytes.Compare(first, second)
}

func order(less bool) int {
	if less {
		return -1
	}
	return 1
}

func underscores(name []byte) int {
	return len(name) - len(bytes.TrimLeft(name, "_"))
}

// globMatch says whether the name matches a pattern in which only '*' is special.
func globMatch(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return true
}
