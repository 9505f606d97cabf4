package kernel

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// smallELF makes a file of one loaded segment, at 0x400000 for offset 0x100, with the symbols in .symtab.
func smallELF(symbols []elf.Sym64, names string) []byte {
	var b bytes.Buffer
	write := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	const header, program, section = 64, 56, 64
	symbolsAt := uint64(header + program + 3*section)
	namesAt := symbolsAt + uint64(len(symbols)*elf.Sym64Size)
	write(elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: header, Shoff: header + program,
		Ehsize: header, Phentsize: program, Phnum: 1, Shentsize: section, Shnum: 3, Shstrndx: 2,
	})
	write(elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: 5, Off: 0x100, Vaddr: 0x400000, Filesz: 0x1000, Memsz: 0x1000})
	write(elf.Section64{})
	write(elf.Section64{Type: uint32(elf.SHT_SYMTAB), Off: symbolsAt, Size: namesAt - symbolsAt, Link: 2, Entsize: elf.Sym64Size})
	write(elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: namesAt, Size: uint64(len(names))})
	write(symbols)
	b.WriteString(names)
	return b.Bytes()
}

func someELF() []byte {
	names := "\x00main\x00vers@@V2\x00data\x00away\x00undefined\x00ifunc\x00"
	at := func(name string) uint32 { return uint32(strings.Index(names, "\x00"+name) + 1) }
	function := uint8(elf.STT_FUNC) | uint8(elf.STB_GLOBAL)<<4
	return smallELF([]elf.Sym64{
		{},
		{Name: at("main"), Info: function, Shndx: 1, Value: 0x400010, Size: 7},
		{Name: at("vers"), Info: function, Shndx: 1, Value: 0x400020},
		{Name: at("data"), Info: uint8(elf.STT_OBJECT), Shndx: 1, Value: 0x400030},
		{Name: at("away"), Info: function, Shndx: 1, Value: 0x500000},
		{Name: at("undefined"), Info: function, Value: 0x400040},
		{Name: at("ifunc"), Info: uint8(elf.STT_GNU_IFUNC), Shndx: 1, Value: 0x400050},
		{Name: 1 << 20, Info: function, Shndx: 1, Value: 0x400060},
		{Name: at("main"), Info: function, Shndx: 1, Value: 0x400010, Size: 7},
	}, names)
}

func TestELFFunctions(t *testing.T) {
	dir := root(t, map[string]string{"a": string(someELF()), "text": "#!/bin/sh\n", "empty": "", "cut": string(someELF()[:200])})
	got, err := elfFunctions(filepath.Join(dir, "a"), "*")
	want := []UserSymbol{
		{Name: "ifunc", Address: 0x400050, Offset: 0x150},
		{Name: "main", Address: 0x400010, Offset: 0x110, Size: 7},
		{Name: "vers", Address: 0x400020, Offset: 0x120},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := elfFunctions(filepath.Join(dir, "a"), "m*n"); err != nil || len(got) != 1 {
		t.Errorf("m*n: %+v, %v", got, err)
	}
	for _, name := range []string{"text", "empty", "cut", "none", "."} {
		if got, err := elfFunctions(filepath.Join(dir, name), "*"); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestELFFunctionsOfFiles compares with what the library makes of files that are there.
func TestELFFunctionsOfFiles(t *testing.T) {
	compared := 0
	for _, path := range []string{"/proc/self/exe", "/bin/bash", "/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6"} {
		file, err := elf.Open(path)
		if err != nil {
			continue
		}
		symbols, _ := file.Symbols()
		dynamic, _ := file.DynamicSymbols()
		file.Close()
		want := make(map[string]bool)
		for _, s := range append(symbols, dynamic...) {
			kind := elf.ST_TYPE(s.Info)
			if (kind == elf.STT_FUNC || kind == elf.STT_GNU_IFUNC) && s.Section != elf.SHN_UNDEF && s.Value != 0 {
				name, _, _ := strings.Cut(s.Name, "@")
				want[name] = true
			}
		}
		found, err := elfFunctions(path, "*")
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		got := make(map[string]bool)
		for _, s := range found {
			got[s.Name] = true
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %d functions, want %d", path, len(got), len(want))
		}
		if len(want) > 0 {
			compared++
		}
	}
	if compared == 0 {
		t.Skip("no file with symbols")
	}
}

func FuzzELFFunctions(f *testing.F) {
	f.Add(someELF())
	f.Add(someELF()[:300])
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(dir, "a")
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		found, err := elfFunctions(path, "*")
		if err != nil && (len(found) > 0 || len(err.Error()) > 4096) {
			t.Errorf("%v, %v", found, err)
		}
		if len(found) > len(raw) {
			t.Errorf("%d functions in %d bytes", len(found), len(raw))
		}
	})
}

func TestELFAddress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, someELF(), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"main", "vers", "data"} {
		if s, ok := elfAddress(path, name); !ok || s.Name != name || s.Address == 0 {
			t.Errorf("%s: %+v, %v", name, s, ok)
		}
	}
	for _, name := range []string{"undefined", "no_such", ""} {
		if s, ok := elfAddress(path, name); ok {
			t.Errorf("%q: %+v", name, s)
		}
	}
	if _, ok := elfAddress(filepath.Dir(path), "main"); ok {
		t.Error("a folder")
	}
	for addr, want := range map[uint64]uint64{0x400000: 0x100, 0x400123: 0x223, 0x400fff: 0x10ff, 0x401000: 0, 0x3fffff: 0} {
		if got, ok := elfPlace(path, addr); got != want || ok != (want != 0) {
			t.Errorf("%#x is at %#x, %v; want %#x", addr, got, ok, want)
		}
	}
}

func TestReadCode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to uint64
		want     string
	}{{2, 5, "234"}, {8, 20, "89"}, {10, 11, ""}, {5, 5, ""}} {
		if got, err := readCode(path, c.from, c.to); err != nil || string(got) != c.want {
			t.Errorf("%d to %d: %q, %v", c.from, c.to, got, err)
		}
	}
	for _, c := range [][2]uint64{{5, 2}, {0, maxCode + 1}, {1 << 63, 1<<63 + 1}} {
		if got, err := readCode(path, c[0], c[1]); err == nil {
			t.Errorf("%x: %q", c, got)
		}
	}
	if _, err := readCode("/dev/null", 0, 1); err == nil {
		t.Error("a device")
	}
}
