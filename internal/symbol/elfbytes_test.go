package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// testELF is an ELF file in the making: one executable segment, whose bytes nobody looks at.
type testELF struct {
	class    elf.Class
	order    binary.ByteOrder
	kind     elf.Type
	textAddr uint64
	buildID  []byte
	symtab   []testSymbol
	dynsym   []testSymbol
	extra    []testSection // debug links and the like
}

type testSymbol struct {
	name    string
	kind    elf.SymType
	binding elf.SymBind
	section elf.SectionIndex // 1 is .text
	addr    uint64
	size    uint64
}

type testSection struct {
	name string
	data []byte
}

const (
	testTextOffset = 0x1000
	testTextSize   = 0x1000
)

type testHeader struct {
	name                     string
	kind                     elf.SectionType
	flags, addr              uint64
	offset, size, link, each uint64
}

func (e testELF) bytes() []byte {
	if e.class == 0 {
		e.class = elf.ELFCLASS64
	}
	if e.order == nil {
		e.order = binary.LittleEndian
	}
	if e.kind == 0 {
		e.kind = elf.ET_DYN
	}
	file := make([]byte, testTextOffset+testTextSize)
	headers := []testHeader{{}, {
		name: ".text", kind: elf.SHT_PROGBITS, flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR),
		addr: e.textAddr, offset: testTextOffset, size: testTextSize,
	}}
	add := func(h testHeader, data []byte) {
		for len(file)%8 != 0 {
			file = append(file, 0)
		}
		h.offset, h.size = uint64(len(file)), uint64(len(data))
		file = append(file, data...)
		headers = append(headers, h)
	}
	note := testHeader{}
	if e.buildID != nil {
		add(testHeader{name: ".note.gnu.build-id", kind: elf.SHT_NOTE}, e.note())
		note = headers[len(headers)-1]
	}
	for kind, symbols := range map[elf.SectionType][]testSymbol{elf.SHT_SYMTAB: e.symtab, elf.SHT_DYNSYM: e.dynsym} {
		if symbols == nil {
			continue
		}
		entries, names := e.symbols(symbols)
		each := uint64(elf.Sym64Size)
		if e.class == elf.ELFCLASS32 {
			each = elf.Sym32Size
		}
		add(testHeader{name: "." + kind.String()[4:], kind: kind, link: uint64(len(headers) + 1), each: each}, entries)
		add(testHeader{name: ".strtab", kind: elf.SHT_STRTAB}, names)
	}
	for _, s := range e.extra {
		add(testHeader{name: s.name, kind: elf.SHT_PROGBITS}, s.data)
	}
	names := []byte{0}
	for i := range headers {
		headers[i].each |= uint64(len(names)) << 32 // where its name lies
		names = append(append(names, headers[i].name...), 0)
	}
	headers[0].each = 0
	headers = append(headers, testHeader{kind: elf.SHT_STRTAB, offset: uint64(len(file)), size: uint64(len(names))})
	file = append(file, names...)
	for len(file)%8 != 0 {
		file = append(file, 0)
	}
	sections := uint64(len(file))
	for _, h := range headers {
		file = append(file, e.section(h)...)
	}
	copy(file, e.header(sections, len(headers)))
	segments := e.segment(elf.PT_LOAD, elf.PF_R|elf.PF_X, testTextOffset, e.textAddr, testTextSize)
	if e.buildID != nil {
		segments = append(segments, e.segment(elf.PT_NOTE, elf.PF_R, note.offset, 0, note.size)...)
	}
	copy(file[64:], segments)
	return file
}

func (e testELF) pack(values ...any) []byte {
	var b bytes.Buffer
	for _, v := range values {
		// What is an address or a size in the one class is half as long in the other.
		if wide, ok := v.(uint64); ok && e.class == elf.ELFCLASS32 {
			v = uint32(wide)
		}
		binary.Write(&b, e.order, v)
	}
	return b.Bytes()
}

func (e testELF) header(sections uint64, count int) []byte {
	data := byte(elf.ELFDATA2LSB)
	if e.order == binary.BigEndian {
		data = byte(elf.ELFDATA2MSB)
	}
	ident := [16]byte{0x7f, 'E', 'L', 'F', byte(e.class), data, 1}
	segment, section, size := uint16(56), uint16(64), uint16(64)
	if e.class == elf.ELFCLASS32 {
		segment, section, size = 32, 40, 52
	}
	segments := uint16(1)
	if e.buildID != nil {
		segments = 2
	}
	return e.pack(ident, uint16(e.kind), uint16(elf.EM_X86_64), uint32(1), e.textAddr, uint64(64), sections, uint32(0),
		size, segment, segments, section, uint16(count), uint16(count-1))
}

func (e testELF) segment(kind elf.ProgType, flags elf.ProgFlag, offset, addr, size uint64) []byte {
	if e.class == elf.ELFCLASS32 {
		return e.pack(uint32(kind), offset, addr, addr, size, size, uint32(flags), uint64(8))
	}
	return e.pack(uint32(kind), uint32(flags), offset, addr, addr, size, size, uint64(8))
}

func (e testELF) section(h testHeader) []byte {
	name, each := uint32(h.each>>32), h.each&(1<<32-1)
	return e.pack(name, uint32(h.kind), h.flags, h.addr, h.offset, h.size, uint32(h.link), uint32(0), uint64(8), each)
}

func (e testELF) symbols(list []testSymbol) (entries, names []byte) {
	names = []byte{0}
	for _, s := range list {
		info := elf.ST_INFO(s.binding, s.kind)
		at := uint32(len(names))
		names = append(append(names, s.name...), 0)
		if e.class == elf.ELFCLASS32 {
			entries = append(entries, e.pack(at, uint32(s.addr), uint32(s.size), info, byte(0), uint16(s.section))...)
		} else {
			entries = append(entries, e.pack(at, info, byte(0), uint16(s.section), s.addr, s.size)...)
		}
	}
	return entries, names
}

func (e testELF) note() []byte {
	other := e.pack(uint32(5), uint32(3), uint32(7), []byte("ABCD\x00\x00\x00\x00xyz\x00"))
	return append(other, e.pack(uint32(4), uint32(len(e.buildID)), uint32(3), []byte("GNU\x00"), e.buildID)...)
}
