package kernel

import (
	"bytes"
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSymbolTable bounds the sections that are read of a file, in bytes: browsers have tables of about 100 MB.
const maxSymbolTable = 1 << 30

// elfFunctions lists the functions of an ELF file that match.
func elfFunctions(path, text string) (found []UserSymbol, err error) {
	err = withELF(path, func(table *elfTable) error {
		table.match = newPattern(text)
		if err := table.all(); err != nil {
			return err
		}
		found = table.found
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b UserSymbol) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Address, b.Address))
	})
	return slices.CompactFunc(found, func(a, b UserSymbol) bool { return a.Name == b.Name && a.Address == b.Address }), nil
}

// elfAddress finds a function or a variable by its name.
func elfAddress(path, name string) (symbol UserSymbol, ok bool) {
	err := withELF(path, func(table *elfTable) error {
		table.match, table.variables = newPattern(name), true
		err := table.all()
		if ok = len(table.found) > 0; ok {
			symbol = table.found[0]
		}
		return err
	})
	return symbol, ok && err == nil
}

// elfPlace tells where in the file the code is that has an address.
func elfPlace(path string, addr uint64) (offset uint64, ok bool) {
	_ = withELF(path, func(table *elfTable) error {
		for _, p := range table.elf.Progs {
			if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && addr >= p.Vaddr && addr-p.Vaddr < p.Filesz {
				offset, ok = addr-p.Vaddr+p.Off, true
			}
		}
		return nil
	})
	return offset, ok
}

// maxCode bounds what is read of a file's code.
const maxCode = 1 << 20

// readCode reads a part of a file.
func readCode(path string, from, to uint64) ([]byte, error) {
	if from > to || to-from > maxCode || to > 1<<62 {
		return nil, fmt.Errorf("%s: %d bytes of code at %#x", path, to-from, from)
	}
	file, _, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	code := make([]byte, to-from)
	n, err := file.ReadAt(code, int64(from))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return code[:n], nil
}

// openRegular opens a file that is no device and no pipe.
func openRegular(path string) (*os.File, int64, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// withELF calls do with the headers of an ELF file. A file that is damaged is an error; the library that reads its headers
// may panic on one.
func withELF(path string, do func(*elfTable) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: damaged ELF file: %v", path, r)
		}
	}()
	file, size, err := openRegular(path)
	if err != nil {
		return err
	}
	defer file.Close()
	e, err := elf.NewFile(file)
	if err != nil {
		return fmt.Errorf("%s: not an ELF file: %w", path, err)
	}
	if err := do(&elfTable{file: file, size: size, elf: e}); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// elfTable reads symbol tables without making symbols of what does not match.
type elfTable struct {
	file  *os.File
	size  int64
	elf   *elf.File
	match pattern
	found []UserSymbol

	variables bool // not functions only
}

// all reads the two tables that a file may have.
func (t *elfTable) all() error {
	for _, kind := range []elf.SectionType{elf.SHT_SYMTAB, elf.SHT_DYNSYM} {
		section := t.elf.SectionByType(kind)
		if section == nil {
			continue
		}
		if err := t.read(section); err != nil {
			return fmt.Errorf("%s: %w", section.Name, err)
		}
	}
	return nil
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
		function := kind == elf.STT_FUNC || kind == elf.STT_GNU_IFUNC
		variable := kind == elf.STT_OBJECT || kind == elf.STT_COMMON
		if !function && (!variable || !t.variables) || index == uint16(elf.SHN_UNDEF) || symbol.Address == 0 {
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
		if !ok && !variable {
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
