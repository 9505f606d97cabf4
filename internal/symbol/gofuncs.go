package symbol

import (
	"debug/elf"
	"encoding/binary"
)

const (
	maxPclntab = 128 << 20
	// The first word of Go's table of functions, by the release that began with it.
	go116Table = 0xfffffffa
	go118Table = 0xfffffff0
	go120Table = 0xfffffff1
)

// eachGoFunction reads the table that every Go program keeps for its own stack traces, stripped or not.
func (img *image) eachGoFunction(visit func(elfSymbol)) {
	data := img.section(img.sectionNamed(".gopclntab", ".data.rel.ro.gopclntab"), maxPclntab)
	text := img.sectionNamed(".text")
	if data == nil || text == nil {
		return
	}
	newGoTable(data, img.file.ByteOrder, text).each(visit)
}

type goTable struct {
	data             []byte
	order            binary.ByteOrder
	word             int // size of a pointer
	count            uint64
	names, functions []byte
	entry            int    // size of an address in functions
	start            uint64 // added to each
}

// newGoTable reads the header: magic, two zeros, the instruction quantum, the size of a word, then words that are
// counts and offsets. A table of unknown make has no functions.
func newGoTable(data []byte, order binary.ByteOrder, text *elf.Section) *goTable {
	t := &goTable{data: data, order: order}
	if len(data) < 8 {
		return t
	}
	if t.word = int(data[7]); t.word != 4 && t.word != 8 {
		return t
	}
	switch order.Uint32(data) {
	case go118Table, go120Table:
		t.entry = 4
		t.names, t.functions = t.part(3), t.part(7)
		// Where the code starts: position independent programs and new releases leave it to the linker.
		if t.start = t.header(2); t.start < text.Addr || t.start-text.Addr >= text.Size {
			t.start = text.Addr
		}
	case go116Table:
		t.entry = t.word
		t.names, t.functions = t.part(2), t.part(6)
	default:
		return t
	}
	t.count = t.header(0)
	return t
}

func (t *goTable) header(i int) uint64 {
	return t.number(t.data, uint64(8+i*t.word), t.word)
}

// number returns 0 behind the end.
func (t *goTable) number(b []byte, at uint64, size int) uint64 {
	if at > uint64(len(b)) || uint64(len(b))-at < uint64(size) {
		return 0
	}
	if size == 4 {
		return uint64(t.order.Uint32(b[at:]))
	}
	return t.order.Uint64(b[at:])
}

// part returns the data from the offset that is in the header.
func (t *goTable) part(i int) []byte {
	if at := t.header(i); at > 0 && at < uint64(len(t.data)) {
		return t.data[at:]
	}
	return nil
}

// each walks pairs of start and offset of the description, sorted, with the end of the last function behind.
func (t *goTable) each(visit func(elfSymbol)) {
	pair := uint64(2 * t.entry)
	for i := uint64(0); i < min(t.count, maxFunctions) && (i+1)*pair+uint64(t.entry) <= uint64(len(t.functions)); i++ {
		at := i * pair
		addr, next := t.number(t.functions, at, t.entry), t.number(t.functions, at+pair, t.entry)
		description := t.number(t.functions, at+uint64(t.entry), t.entry)
		if description >= uint64(len(t.functions)) || next < addr {
			continue
		}
		name := t.number(t.functions, description+uint64(t.entry), 4)
		if name >= uint64(len(t.names)) {
			continue
		}
		visit(elfSymbol{
			name: zeroEnded(t.names[name:]), kind: elf.STT_FUNC, binding: elf.STB_GLOBAL,
			addr: t.start + addr, size: next - addr,
		})
	}
}
