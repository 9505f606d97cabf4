package symbol

import (
	"debug/elf"
	"encoding/binary"
	"sort"
)

const (
	maxGoData   = 64 << 20 // what says which functions are inlined
	maxGoHeader = 4 << 20  // a section that has the module's description in it
	maxRelocs   = 64 << 20
	withAddends = elf.SectionType(4) // relocations that say what they add
	// The words of runtime.moduledata, since Go 1.20.
	goModuleText  = 22
	goModuleFuncs = 40
	goModuleWords = 41
	// A function's description, of words of four bytes but for the last ones, which are bytes.
	goFuncFile, goFuncLine, goFuncTables, goFuncUnit = 5, 6, 7, 8
	goFuncDataCount, goFuncHead                      = 43, 44
	goTableInlined, goDataInlined                    = 2, 3
	goInlinedSize                                    = 16
	noGoData                                         = 1<<32 - 1
)

// goSource tells of functions of Go by the tables that every program of Go since 1.20 keeps for its own stack traces, stripped
// or not.
type goSource struct {
	table        *goTable
	units, files []byte
	values       []byte // tables of values by address
	inlines      []byte // nil: where they are was not found
	quantum      uint64
	entries      int
}

// readGoSource returns nil if the file is no such program.
func (img *image) readGoSource() (g *goSource) {
	var err error
	defer func() {
		if err != nil {
			g = nil
		}
	}()
	defer guard(&err)
	section := img.sectionNamed(".gopclntab", ".data.rel.ro.gopclntab")
	data, text := img.section(section, maxPclntab), img.sectionNamed(".text")
	if data == nil || text == nil || len(data) < 8 || img.file.ByteOrder.Uint32(data) != go120Table {
		return nil
	}
	t := newGoTable(data, img.file.ByteOrder, text)
	g = &goSource{table: t, units: t.part(4), files: t.part(5), values: t.part(6), quantum: uint64(data[6])}
	g.entries = int(min(t.count, maxFunctions, uint64(len(t.functions)/8)))
	if at, found := img.goFuncData(section.Addr, text); found {
		g.inlines = img.bytesFrom(at, maxGoData)
	}
	return g
}

func (g *goSource) size() int { return len(g.table.data) + len(g.inlines) }

// goFuncData finds the data of functions: its address is known to the description of the module only, which begins with the address
// of the table of functions.
func (img *image) goFuncData(table uint64, text *elf.Section) (at uint64, found bool) {
	word := uint64(8)
	if img.file.Class == elf.ELFCLASS32 {
		word = 4
	}
	number := func(b []byte) uint64 {
		if word == 4 {
			return uint64(img.file.ByteOrder.Uint32(b))
		}
		return img.file.ByteOrder.Uint64(b)
	}
	take := func(start, funcs uint64) bool {
		if start-text.Addr < text.Size && funcs != 0 {
			at, found = funcs, true
		}
		return found
	}
	for _, name := range []string{".go.module", ".noptrdata", ".data", ".data.rel.ro"} {
		data := img.section(img.sectionNamed(name), maxGoHeader)
		for i := uint64(0); i+goModuleWords*word <= uint64(len(data)); i += word {
			if number(data[i:]) == table && take(number(data[i+goModuleText*word:]), number(data[i+goModuleFuncs*word:])) {
				return at, true
			}
		}
	}
	if word != 8 {
		return 0, false
	}
	// Position independent programs have the addresses in their relocations.
	relocated := map[uint64]uint64{}
	var modules []uint64
	for _, s := range img.file.Sections {
		if s.Type != withAddends {
			continue
		}
		data := img.section(s, maxRelocs)
		for ; len(data) >= 24; data = data[24:] {
			where, what := number(data), number(data[16:])
			if what == table {
				modules = append(modules, where)
			}
			relocated[where] = what
		}
	}
	for _, m := range modules {
		if take(relocated[m+goModuleText*word], relocated[m+goModuleFuncs*word]) {
			break
		}
	}
	return at, found
}

// bytesFrom returns what is in the file from an address to the end of its section.
func (img *image) bytesFrom(addr uint64, limit uint64) []byte {
	for _, s := range img.file.Sections {
		if s.Flags&elf.SHF_ALLOC == 0 || !img.inFile(s) || addr < s.Addr || addr-s.Addr >= s.FileSize {
			continue
		}
		data := make([]byte, min(s.FileSize-(addr-s.Addr), limit))
		if _, err := s.ReadAt(data, int64(addr-s.Addr)); err != nil {
			return nil
		}
		return data
	}
	return nil
}

// frames returns the functions at an address, the innermost first.
func (g *goSource) frames(addr uint64) (found []inlined) {
	f, entry, ok := g.function(addr)
	if !ok {
		return nil
	}
	at := addr - entry
	for range maxInlined {
		index, isInlined := g.inlinedAt(f, at)
		file, line := g.line(f, at)
		if !isInlined {
			break
		}
		name, call, ok := g.inline(f, index)
		if !ok || call > uint64(maxFunctions)*64 {
			break
		}
		found = append(found, inlined{name: name, file: file, line: line})
		at = call
	}
	file, line := g.line(f, at)
	name := g.table.number(f, 4, 4)
	if name >= uint64(len(g.table.names)) {
		return nil
	}
	return append(found, inlined{name: string(zeroEnded(g.table.names[name:])), file: file, line: line})
}

// function returns the description of the one at an address.
func (g *goSource) function(addr uint64) (description []byte, entry uint64, ok bool) {
	t := g.table
	if addr < t.start {
		return nil, 0, false
	}
	at := addr - t.start
	after := sort.Search(g.entries, func(i int) bool { return t.number(t.functions, uint64(i)*8, 4) > at })
	if after == 0 || after == g.entries && at >= t.number(t.functions, uint64(g.entries)*8, 4) {
		return nil, 0, false
	}
	entry = t.number(t.functions, uint64(after-1)*8, 4)
	where := t.number(t.functions, uint64(after-1)*8+4, 4)
	if where+goFuncHead > uint64(len(t.functions)) {
		return nil, 0, false
	}
	return t.functions[where:], t.start + entry, true
}

// line returns what the tables of files and lines say of an offset in a function.
func (g *goSource) line(f []byte, at uint64) (string, int) {
	t := g.table
	file, ok := g.value(t.number(f, goFuncFile*4, 4), at)
	line, found := g.value(t.number(f, goFuncLine*4, 4), at)
	if !ok || !found || file < 0 || line < 0 {
		return "", 0
	}
	where := t.number(g.units, (t.number(f, goFuncUnit*4, 4)+uint64(file))*4, 4)
	if where >= uint64(len(g.files)) || where == 0 && file != 0 && len(g.units) == 0 {
		return "", 0
	}
	return string(zeroEnded(g.files[where:])), int(line)
}

// inlinedAt says which entry of a function's inlined ones an offset belongs to.
func (g *goSource) inlinedAt(f []byte, at uint64) (index uint64, ok bool) {
	if g.table.number(f, goFuncTables*4, 4) <= goTableInlined {
		return 0, false
	}
	n, ok := g.value(g.table.number(f, goFuncHead+goTableInlined*4, 4), at)
	return uint64(n), ok && n >= 0
}

// inline returns an inlined function, and the offset of the instruction that stands for its call.
func (g *goSource) inline(f []byte, index uint64) (name string, call uint64, ok bool) {
	t := g.table
	if f[goFuncDataCount] <= goDataInlined || len(g.inlines) == 0 {
		return "", 0, false
	}
	tree := t.number(f, goFuncHead+(t.number(f, goFuncTables*4, 4)+goDataInlined)*4, 4)
	if tree == noGoData {
		return "", 0, false
	}
	at := tree + index*goInlinedSize
	if at+goInlinedSize > uint64(len(g.inlines)) {
		return "", 0, false
	}
	where := t.number(g.inlines, at+4, 4)
	if where >= uint64(len(t.names)) {
		return "", 0, false
	}
	return string(zeroEnded(t.names[where:])), t.number(g.inlines, at+8, 4), true
}

// value looks up a table of values: differences to the value before, and for how many instructions they hold, of seven bits a
// byte; a difference of 0 ends it.
func (g *goSource) value(table, at uint64) (int64, bool) {
	if table == 0 || table >= uint64(len(g.values)) {
		return 0, false
	}
	data, value, upTo := g.values[table:], int32(-1), uint64(0)
	for first := true; ; first = false {
		change, n := binary.Uvarint(data[:min(len(data), 5)])
		if n <= 0 || change == 0 && !first {
			return 0, false
		}
		data = data[n:]
		length, n := binary.Uvarint(data[:min(len(data), 5)])
		if n <= 0 {
			return 0, false
		}
		data = data[n:]
		value += int32(-(uint32(change) & 1) ^ uint32(change)>>1)
		if upTo += length * g.quantum; at < upTo {
			return int64(value), true
		}
	}
}
