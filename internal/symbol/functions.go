package symbol

import (
	"cmp"
	"debug/elf"
	"fmt"
	"slices"
	"strings"
)

// maxListed is how many functions a pattern may match.
const maxListed = 1 << 20

// Functions lists the functions of an ELF file that a pattern matches, in which '*' stands for anything, sorted by
// offset. With cpp the pattern is for the C++ or Rust name: without its parameters, unless the pattern has some.
func Functions(path, pattern string, cpp bool) ([]Symbol, error) {
	match := func(name string) bool { return globMatch(pattern, name) }
	if cpp {
		show := DemangleBare
		if strings.Contains(pattern, "(") {
			show = Demangle
		}
		match = func(name string) bool { return globMatch(pattern, show(name)) }
	}
	var found []Symbol
	err := withFile(path, func(img *image) error {
		seen := map[Symbol]bool{}
		return img.eachFunction(systemDebugDirs, path, func(s elfSymbol) {
			if len(found) >= maxListed || !match(string(s.name)) {
				return
			}
			offset, mapped := img.offset(s.addr)
			if !mapped {
				return
			}
			symbol := Symbol{Name: string(s.name), Address: s.addr, Offset: offset}
			if seen[symbol] {
				return
			}
			seen[symbol] = true
			symbol.Size, symbol.Demangled = s.size, Demangle(symbol.Name)
			found = append(found, symbol)
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(x, y Symbol) int {
		return cmp.Or(cmp.Compare(x.Offset, y.Offset), cmp.Compare(x.Name, y.Name))
	})
	return found, nil
}

// Address finds a function or a variable of an ELF file by its name.
func Address(path, name string) (symbol Symbol, found bool, err error) {
	err = withFile(path, func(img *image) (err error) {
		defer guard(&err)
		take := func(s elfSymbol) {
			data := s.kind == elf.STT_OBJECT || s.kind == elf.STT_COMMON
			if found && s.binding == elf.STB_LOCAL || string(s.name) != name || !data && !img.function(&s) {
				return
			}
			symbol, found = Symbol{Name: name, Demangled: Demangle(name), Address: s.addr, Size: s.size}, true
			symbol.Offset, _ = img.offset(s.addr)
		}
		img.eachSymbol(elf.SHT_SYMTAB, take)
		img.eachSymbol(elf.SHT_DYNSYM, take)
		if found {
			return nil
		}
		return img.eachFunction(systemDebugDirs, path, take)
	})
	return symbol, found, err
}

// withFile calls do with the headers of an ELF file.
func withFile(path string, do func(*image) error) error {
	f, info, err := openRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	img, err := openImage(f, info.Size)
	if err == nil {
		err = do(img)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
