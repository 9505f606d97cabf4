package symbol

import (
	"bytes"
	"debug/elf"
	"io"
	"strings"
)

const (
	maxSymbolTable = 256 << 20 // of entries
	maxStrings     = 128 << 20
)

// elfSymbol is an entry of a symbol table. The name is valid until the next one.
type elfSymbol struct {
	name    []byte
	kind    elf.SymType
	binding elf.SymBind
	section elf.SectionIndex
	addr    uint64
	size    uint64
}

// eachSymbol calls visit for the entries of .symtab or .dynsym that have a name and an address of their own.
func (img *image) eachSymbol(kind elf.SectionType, visit func(elfSymbol)) {
	for _, s := range img.file.Sections {
		if s.Type != kind || !img.inFile(s) || s.FileSize > maxSymbolTable || int(s.Link) >= len(img.file.Sections) {
			continue
		}
		names := img.section(img.file.Sections[s.Link], maxStrings)
		if names == nil {
			continue
		}
		img.eachEntry(io.NewSectionReader(s.ReaderAt, 0, int64(s.FileSize)), names, visit)
	}
}

func (img *image) eachEntry(r io.Reader, names []byte, visit func(elfSymbol)) {
	entry := elf.Sym32Size
	if img.file.Class == elf.ELFCLASS64 {
		entry = elf.Sym64Size
	}
	chunk := make([]byte, entry*4096)
	for {
		n, err := io.ReadFull(r, chunk)
		for at := 0; at+entry <= n; at += entry {
			name, symbol := img.decode(chunk[at : at+entry])
			if uint64(name) >= uint64(len(names)) || symbol.section == elf.SHN_UNDEF {
				continue
			}
			symbol.name = zeroEnded(names[name:])
			// "memcpy@@GLIBC_2.14"
			if version := bytes.IndexByte(symbol.name, '@'); version > 0 {
				symbol.name = symbol.name[:version]
			}
			if len(symbol.name) > 0 {
				visit(symbol)
			}
		}
		if err != nil {
			return
		}
	}
}

func (img *image) decode(b []byte) (name uint32, s elfSymbol) {
	order := img.file.ByteOrder
	var info byte
	if img.file.Class == elf.ELFCLASS64 {
		info, s.section = b[4], elf.SectionIndex(order.Uint16(b[6:]))
		s.addr, s.size = order.Uint64(b[8:]), order.Uint64(b[16:])
	} else {
		s.addr, s.size = uint64(order.Uint32(b[4:])), uint64(order.Uint32(b[8:]))
		info, s.section = b[12], elf.SectionIndex(order.Uint16(b[14:]))
	}
	s.kind, s.binding = elf.ST_TYPE(info), elf.ST_BIND(info)
	return order.Uint32(b), s
}

// function says whether a symbol is of code. Assembly often leaves its labels without a type.
func (img *image) function(s *elfSymbol) bool {
	switch s.kind {
	case elf.STT_FUNC, elf.STT_GNU_IFUNC:
		return true
	case elf.STT_NOTYPE:
		// "$x" and the like mark code and data on arm64; ".L" are the compiler's.
		if s.name[0] == '$' || strings.HasPrefix(string(s.name), ".L") || int(s.section) >= len(img.file.Sections) {
			return false
		}
		return img.file.Sections[s.section].Flags&elf.SHF_EXECINSTR != 0
	}
	return false
}

// rank orders the names of one address: typed before untyped, global before weak before local.
func (s *elfSymbol) rank() uint32 {
	var rank uint32
	switch s.binding {
	case elf.STB_GLOBAL:
		rank = 2
	case elf.STB_WEAK:
		rank = 1
	}
	if s.kind != elf.STT_NOTYPE {
		rank += 4
	}
	return rank
}

// eachFunction calls visit for every function that the file, its compressed part, its debug file or Go's own table
// names; the same may come several times.
func (img *image) eachFunction(debug debugDirs, path string, visit func(elfSymbol)) (err error) {
	defer guard(&err)
	symtab := false
	functions := func(img *image, kind elf.SectionType) {
		img.eachSymbol(kind, func(s elfSymbol) {
			if img.function(&s) {
				symtab = symtab || kind == elf.SHT_SYMTAB
				visit(s)
			}
		})
	}
	functions(img, elf.SHT_SYMTAB)
	functions(img, elf.SHT_DYNSYM)
	if symtab {
		return nil
	}
	if mini := img.miniDebug(); mini != nil {
		functions(mini, elf.SHT_SYMTAB)
	}
	separate, closeIt := debug.find(img, path)
	if separate != nil {
		defer closeIt()
		functions(separate, elf.SHT_SYMTAB)
	}
	if !symtab {
		img.eachGoFunction(visit)
	}
	return nil
}

// functions returns the table of all of them.
func (img *image) functions(debug debugDirs, path string) (*table, error) {
	var b tableBuilder
	err := img.eachFunction(debug, path, func(s elfSymbol) {
		b.add(s.addr, s.size, s.name, s.rank())
	})
	return b.table(), err
}
