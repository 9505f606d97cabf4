package allocator

import (
	"path/filepath"
	"slices"
	"strings"

	"sonde/internal/symbol"
)

// Function is a function that gives memory, or takes it back.
type Function struct {
	Name    string
	Address uint64 // in the file, as its code is addressed
	// Probe and Offset are where the probe goes, by its address and by its place in the file.
	Probe, Offset uint64
	Length        uint64 // of its code, 0 if that is not known
	Size          Size
	Flags         uint32
	Frees         bool
	Kept          bool // it matters only where it is asked for what is kept
}

// Range is of addresses in a file.
type Range struct{ Start, End uint64 }

// Object is a file with such functions.
type Object struct {
	*symbol.Object
	Shown  string // its path, as the process knows it
	Family string // "glibc", "jemalloc"...; empty if it is not known
	Go     bool   // it has the allocator of Go programs
	// Functions are sorted by address, one an address.
	Functions []Function
	Text      Range
	// Inner is code from which a call is one that the allocator makes for itself.
	Inner []Range
	// Whole says that no code of the file is the program's own.
	Whole bool
	// Tells is where, in the file, the function is that the loader calls when it has mapped other files; 0: it is not here.
	Tells uint64
}

// found are the symbols of a file that matter.
type found struct {
	symbols []symbol.Symbol
	family  string
	malloc  bool // it has malloc, or its like with a prefix
	libc    bool // it is the C library
	maps    bool // it has mmap; allocators may bring one too, which takes the place of the C library's
	goes    bool
	tells   uint64 // Object.Tells
}

func inspect(file *symbol.Object, name string) (f found, err error) {
	order := len(marks)
	base := filepath.Base(name)
	if strings.Contains(base, "musl") {
		f.family = "musl"
	} else if strings.HasPrefix(base, "ld-") || strings.HasPrefix(base, "ld.") {
		// Old loaders have a malloc for themselves.
		found, err := file.Functions(func(raw []byte) bool { return string(raw) == tellsDebugger })
		if len(found) > 0 {
			f.tells = found[0].Offset
		}
		return f, err
	}
	f.symbols, err = file.Functions(func(raw []byte) bool {
		name := string(raw)
		if i := slices.IndexFunc(marks, func(m mark) bool { return m.symbol == name }); i >= 0 && i < order {
			order, f.family = i, marks[i].family
		}
		k, prefix, ok := kindOf(name)
		switch {
		case slices.Contains(libcs, name):
			f.libc = true
			return false
		case name == tellsDebugger:
			return true
		case !ok:
			// The compiler puts an ending behind the name of a function that it has taken apart: .isra.0, .constprop.0, .part.0.
			whole, _, _ := strings.Cut(name, ".")
			return slices.Contains(inside, whole)
		case name == goAllocator:
			f.goes = true
		case k.size == SizeArg0 && !k.frees && name == prefix+"malloc":
			f.malloc = true
		case name == "mmap":
			f.maps = true
		}
		return true
	})
	f.symbols = slices.DeleteFunc(f.symbols, func(s symbol.Symbol) bool {
		if s.Name != tellsDebugger {
			return false
		}
		f.tells = s.Offset
		return true
	})
	return f, err
}

// newObject takes of a file the functions that pass.
func newObject(file *symbol.Object, shown string, f found, whole bool, pass func(name string, k kind) bool) *Object {
	o := &Object{Object: file, Shown: shown, Family: f.family, Go: f.goes, Whole: whole}
	o.Text.Start, o.Text.End = file.Text()
	for _, s := range f.symbols {
		k, _, ok := kindOf(s.Name)
		if !ok {
			if !whole && s.Size > 0 {
				o.Inner = append(o.Inner, Range{s.Address, s.Address + s.Size})
			}
			continue
		}
		if !pass(s.Name, k) {
			continue
		}
		fn := Function{
			Name: s.Name, Address: s.Address, Probe: s.Address, Offset: s.Offset, Length: s.Size, Size: k.size, Flags: k.flags, Frees: k.frees, Kept: k.kept,
		}
		if n := len(o.Functions); n > 0 && o.Functions[n-1].Address == fn.Address {
			if better(fn.Name, o.Functions[n-1].Name) {
				o.Functions[n-1] = fn
			}
			continue
		}
		o.Functions = append(o.Functions, fn)
	}
	o.settle()
	return o
}

// better prefers, of the names of one function, the one that people know: without underscores, then the shorter.
func better(name, than string) bool {
	if a, b := strings.HasPrefix(name, "_"), strings.HasPrefix(than, "_"); a != b {
		return b
	}
	return len(name) < len(than)
}
