package object

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// From the System V ABI; what a BPF object has of it.
const (
	elfHeaderSize  = 64
	elfSectionSize = 64
	elfSymbolSize  = 24
	elfRelSize     = 16

	elfRelocatable = 1
	elfExecutable  = 2
	elfShared      = 3
	elfNone        = 0
	elfBPF         = 247

	sectionSymbols = 2
	sectionNoBits  = 8
	sectionRel     = 9

	// maxData bounds what a section of variables may have the programs' maps hold: the file need not have its bytes.
	maxData = 64 << 20
)

// machines are the e_machine numbers that somebody may take for BPF.
var machines = map[uint16]string{3: "32-bit x86", 40: "32-bit ARM", 62: "x86-64", 183: "arm64", 243: "RISC-V", 21: "PowerPC", 22: "s390"}

// Is says whether a file is one for this package rather than a script.
func Is(head []byte) bool { return bytes.HasPrefix(head, []byte("\x7fELF")) }

// section is a section of the file. data is empty where the file has no bytes of it.
type section struct {
	name       string
	kind       uint32
	info, link uint32
	size       uint64
	entry      uint64
	from       uint64 // where data is in the file
	data       []byte
}

// symbol is a symbol of the file: where it is, and how long.
type symbol struct {
	name    string
	section int
	value   uint64
	size    uint64
	info    uint8
	other   uint8
	at      int // where in the file the symbol's entry is
}

// elfFile is a relocatable BPF object, little-endian, as far as this package looks into it itself.
type elfFile struct {
	sections []section
	symbols  []symbol
}

// readELF checks that the file is whole and of the kind that can be loaded.
func readELF(data []byte) (*elfFile, error) {
	if !Is(data) {
		return nil, errors.New("it is not an ELF file; a BPF object is made by clang -target bpf -c")
	}
	if len(data) < elfHeaderSize {
		return nil, fmt.Errorf("it is truncated: %d bytes, less than an ELF header has", len(data))
	}
	le := binary.LittleEndian
	switch {
	case data[4] != 2:
		return nil, errors.New("it is a 32-bit ELF file, and BPF objects have 64 bits; compile it with clang -target bpf")
	case data[5] == 2:
		return nil, errors.New("it is for big-endian machines, and this one is little-endian; compile it with clang -target bpfel")
	case data[5] != 1:
		return nil, fmt.Errorf("its byte order is %d, which is none", data[5])
	}
	kind, machine := le.Uint16(data[16:]), le.Uint16(data[18:])
	if machine != elfBPF && machine != elfNone {
		name := machines[machine]
		if name == "" {
			name = fmt.Sprintf("machine %d", machine)
		}
		what := "an object"
		switch kind {
		case elfExecutable:
			what = "an executable"
		case elfShared:
			what = "an executable or a shared library"
		}
		return nil, fmt.Errorf("it is %s for %s, not a BPF object; compile the BPF part with clang -target bpf -c", what, name)
	}
	if kind != elfRelocatable {
		return nil, fmt.Errorf("it is of ELF type %d and not a relocatable object; compile it with clang -target bpf -c, without linking", kind)
	}
	f := &elfFile{}
	if err := f.readSections(data); err != nil {
		return nil, err
	}
	return f, f.readSymbols()
}

func (f *elfFile) readSections(data []byte) error {
	le := binary.LittleEndian
	at, each, n, names := le.Uint64(data[40:]), uint64(le.Uint16(data[58:])), uint64(le.Uint16(data[60:])), int(le.Uint16(data[62:]))
	switch {
	case n == 0:
		return errors.New("it has no sections; is it truncated, or stripped of them?")
	case each != elfSectionSize:
		return fmt.Errorf("its section headers have %d bytes each, not %d", each, elfSectionSize)
	case at > uint64(len(data)) || uint64(len(data))-at < n*each:
		return fmt.Errorf("it is truncated: its section headers end at byte %d, and it has %d", at+n*each, len(data))
	}
	offsets := make([]uint32, n)
	for i := range offsets {
		h := data[at+uint64(i)*each:]
		s := section{
			kind: le.Uint32(h[4:]), size: le.Uint64(h[32:]), link: le.Uint32(h[40:]), info: le.Uint32(h[44:]), entry: le.Uint64(h[56:]),
		}
		offsets[i] = le.Uint32(h)
		from := le.Uint64(h[24:])
		if s.kind != sectionNoBits && s.kind != 0 {
			if from > uint64(len(data)) || uint64(len(data))-from < s.size {
				return fmt.Errorf("it is truncated: section %d has %d bytes from byte %d on, and the file has %d", i, s.size, from, len(data))
			}
			s.from = from
			s.data = data[from : from+s.size : from+s.size]
		}
		f.sections = append(f.sections, s)
	}
	if names >= len(f.sections) {
		return fmt.Errorf("its section %d, which has the names of the others, is not there", names)
	}
	for i := range f.sections {
		f.sections[i].name = cString(f.sections[names].data, uint64(offsets[i]))
	}
	for _, s := range f.sections {
		if s.kind == sectionNoBits && s.size > maxData {
			return fmt.Errorf("section %s: %d bytes of variables; the most that are taken are %d", s.name, s.size, maxData)
		}
	}
	return nil
}

func (f *elfFile) readSymbols() error {
	le := binary.LittleEndian
	for _, s := range f.sections {
		if s.kind != sectionSymbols {
			continue
		}
		if s.entry != elfSymbolSize || int(s.link) >= len(f.sections) {
			return fmt.Errorf("section %s: its symbols have %d bytes each, or no names", s.name, s.entry)
		}
		names := f.sections[s.link].data
		for b := s.data; len(b) >= elfSymbolSize; b = b[elfSymbolSize:] {
			f.symbols = append(f.symbols, symbol{
				at:   int(s.from) + len(s.data) - len(b),
				name: cString(names, uint64(le.Uint32(b))), info: b[4], other: b[5], section: int(le.Uint16(b[6:])),
				value: le.Uint64(b[8:]), size: le.Uint64(b[16:]),
			})
		}
		return nil
	}
	return errors.New("it has no symbols: nothing in it can be found by name; do not strip it of more than debug information (strip -g)")
}

// Bindings of symbols, in the upper half of their info.
const (
	bindGlobal = 1
	bindWeak   = 2
)

// hidden says that a function is for this object only (STV_HIDDEN, STV_INTERNAL).
func (s symbol) hidden() bool { return s.other&3 == 1 || s.other&3 == 2 }

// strengthened returns the file with the weak symbols of maps made global: libbpf's own headers define some so, and cilium's
// reader takes none.
func (f *elfFile) strengthened(data []byte) []byte {
	copied := false
	for _, s := range f.symbols {
		if s.info>>4 != bindWeak || s.section <= 0 || s.section >= len(f.sections) {
			continue
		}
		if name := f.sections[s.section].name; name != ".maps" && !isMapSection(name) {
			continue
		}
		if !copied {
			data, copied = bytes.Clone(data), true
		}
		data[s.at+4] = bindGlobal<<4 | s.info&0xf
	}
	return data
}

// cString is the text at an offset up to its NUL, empty where there is none.
func cString(data []byte, at uint64) string {
	if at >= uint64(len(data)) {
		return ""
	}
	text, _, ok := bytes.Cut(data[at:], []byte{0})
	if !ok {
		return ""
	}
	return string(text)
}

// at returns the symbols that are in a section.
func (f *elfFile) at(number int) (found []symbol) {
	for _, s := range f.symbols {
		if s.section == number && s.name != "" {
			found = append(found, s)
		}
	}
	return found
}

// relocations maps the offsets in a section at which addresses are to be filled in to the symbols whose they are.
func (f *elfFile) relocations(number int) map[uint64]symbol {
	found := make(map[uint64]symbol)
	le := binary.LittleEndian
	for _, s := range f.sections {
		if s.kind != sectionRel || s.info != uint32(number) || s.entry != elfRelSize {
			continue
		}
		for b := s.data; len(b) >= elfRelSize; b = b[elfRelSize:] {
			if to := le.Uint64(b[8:]) >> 32; to < uint64(len(f.symbols)) {
				found[le.Uint64(b)] = f.symbols[to]
			}
		}
	}
	return found
}

// string is the text that a pointer leads to: a symbol, or its section with the offset that stands in the pointer's place.
func (f *elfFile) string(to symbol, addend uint64) string {
	if to.section <= 0 || to.section >= len(f.sections) {
		return ""
	}
	if addend > 1<<32 || to.value > 1<<32 {
		return ""
	}
	return cString(f.sections[to.section].data, to.value+addend)
}

// isMapSection says whether a section has maps as structs, the way before BTF.
func isMapSection(name string) bool { return strings.HasPrefix(name, "maps") }
