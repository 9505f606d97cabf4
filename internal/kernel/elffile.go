package kernel

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// maxSymbolTable bounds the sections that are read of a file, in bytes: browsers have tables of about 100 MB.
const maxSymbolTable = 1 << 30

// elfFunctions lists the functions of an ELF file that match. A file that is damaged is an error; the library that reads its
// headers may panic on one.
func elfFunctions(path, text string) (found []UserSymbol, err error) {
	defer func() {
		if r := recover(); r != nil {
			found, err = nil, fmt.Errorf("%s: damaged ELF file: %v", path, r)
		}
	}()
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	e, err := elf.NewFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: not an ELF file: %w", path, err)
	}
	table := elfTable{file: file, size: info.Size(), elf: e, match: newPattern(text)}
	for _, kind := range []elf.SectionType{elf.SHT_SYMTAB, elf.SHT_DYNSYM} {
		section := e.SectionByType(kind)
		if section == nil {
			continue
		}
		if err := table.read(section); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, section.Name, err)
		}
	}
	slices.SortFunc(table.found, func(a, b UserSymbol) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		if a.Address != b.Address {
			if a.Address < b.Address {
				return -1
			}
			return 1
		}
		return 0
	})
	return slices.CompactFunc(table.found, func(a, b UserSymbol) bool { return a.Name == b.Name && a.Address == b.Address }), nil
}

// elfTable reads symbol tables without making symbols of what does not match.
type elfTable struct {
	file  *os.File
	size  int64
	elf   *elf.File
	match pattern
	found []UserSymbol
}

func (t *elfTable) section(s *elf.Section) ([]byte, error) {
	if s.Type == elf.SHT_NOBITS || s.Flags&elf.SHF_COMPRESSED != 0 || s.FileSize > maxSymbolTable ||
		s.Offset > uint64(t.size) || s.FileSize > uint64(t.size)-s.Offset {
		return nil, errors.New("the section does not lie in the file")
	}
	raw := make([]byte, s.FileSize)
	return raw, readFull(t.file, raw, int(s.Offset))
}

func (t *elfTable) read(s *elf.Section) error {
	if int(s.Link) >= len(t.elf.Sections) {
		return errors.New("it has no names")
	}
	symbols, err := t.section(s)
	if err != nil {
		return err
	}
	names, err := t.section(t.elf.Sections[s.Link])
	if err != nil {
		return err
	}
	order := t.elf.ByteOrder
	each := elf.Sym64Size
	if t.elf.Class == elf.ELFCLASS32 {
		each = elf.Sym32Size
	}
	for ; len(symbols) >= each; symbols = symbols[each:] {
		var kind elf.SymType
		var index uint16
		var symbol UserSymbol
		if t.elf.Class == elf.ELFCLASS32 {
			kind, index = elf.SymType(symbols[12]&0xf), order.Uint16(symbols[14:])
			symbol.Address, symbol.Size = uint64(order.Uint32(symbols[4:])), uint64(order.Uint32(symbols[8:]))
		} else {
			kind, index = elf.SymType(symbols[4]&0xf), order.Uint16(symbols[6:])
			symbol.Address, symbol.Size = order.Uint64(symbols[8:]), order.Uint64(symbols[16:])
		}
		if kind != elf.STT_FUNC && kind != elf.STT_GNU_IFUNC || index == uint16(elf.SHN_UNDEF) || symbol.Address == 0 {
			continue
		}
		name := uint64(order.Uint32(symbols))
		if name >= uint64(len(names)) {
			continue
		}
		text := names[name:]
		end := bytes.IndexByte(text, 0)
		if end <= 0 {
			continue
		}
		text = text[:end]
		if at := bytes.IndexByte(text, '@'); at > 0 { // a version
			text = text[:at]
		}
		if !t.match.bytes(text) {
			continue
		}
		offset, ok := t.offset(symbol.Address)
		if !ok {
			continue
		}
		symbol.Name, symbol.Offset = string(text), offset
		t.found = append(t.found, symbol)
	}
	return nil
}

// offset tells where in the file lies what is at an address when the file is loaded.
func (t *elfTable) offset(address uint64) (uint64, bool) {
	for _, p := range t.elf.Progs {
		if p.Type == elf.PT_LOAD && address >= p.Vaddr && address-p.Vaddr < p.Filesz {
			return address - p.Vaddr + p.Off, true
		}
	}
	return 0, false
}
