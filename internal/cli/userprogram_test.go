package cli

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// userFunction is a function of a program that is made for a test. The program calls it once, with the text as its first
// and second argument and its own address as the third; it returns the text, or the number if there is one.
type userFunction struct {
	name, text string
	number     uint16
}

// writeProgram makes an executable file with such functions, in the place of a program or library that a script names.
// The functions keep frame pointers. It can be run: it calls them one after the other and ends.
func writeProgram(t testing.TB, path string, functions ...userFunction) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, programELF(functions), 0o755); err != nil {
		t.Fatal(err)
	}
}

// code is machine code in the making. Addresses count from its start.
type code struct {
	bytes []byte
	fixes []fix
}

// fix is a place that has to be told where something else is.
type fix struct {
	at     int
	target string
	put    func(at []byte, distance int)
}

func (c *code) add(b ...byte) { c.bytes = append(c.bytes, b...) }

func (c *code) word(w uint32) { c.bytes = binary.LittleEndian.AppendUint32(c.bytes, w) }

// near appends an instruction that ends with the distance to a target from its own end.
func (c *code) near(target string, opcode ...byte) {
	c.add(opcode...)
	c.fixes = append(c.fixes, fix{len(c.bytes), target, func(at []byte, distance int) {
		binary.LittleEndian.PutUint32(at, uint32(int32(distance-4)))
	}})
	c.add(0, 0, 0, 0)
}

// adr and bl are the instructions of arm64 that reach another place.
func (c *code) adr(register uint32, target string) {
	c.fixes = append(c.fixes, fix{len(c.bytes), target, func(at []byte, d int) {
		binary.LittleEndian.PutUint32(at, 0x10000000|uint32(d&3)<<29|uint32(d>>2&0x7ffff)<<5|register)
	}})
	c.word(0)
}

func (c *code) bl(target string) {
	c.fixes = append(c.fixes, fix{len(c.bytes), target, func(at []byte, d int) {
		binary.LittleEndian.PutUint32(at, 0x94000000|uint32(d>>2&0x3ffffff))
	}})
	c.word(0)
}

// call calls a function with its arguments.
func (c *code) call(f userFunction) {
	if runtime.GOARCH == "arm64" {
		c.adr(0, "text "+f.name)
		c.adr(1, "text "+f.name)
		c.adr(2, f.name)
		c.bl(f.name)
		return
	}
	c.near("text "+f.name, 0x48, 0x8d, 0x3d) // lea text(%rip), %rdi
	c.near("text "+f.name, 0x48, 0x8d, 0x35) // lea text(%rip), %rsi
	c.near(f.name, 0x48, 0x8d, 0x15)         // lea function(%rip), %rdx
	c.near(f.name, 0xe8)                     // call function
}

// body is the function itself.
func (c *code) body(f userFunction) {
	if runtime.GOARCH == "arm64" {
		c.word(0xa9bf7bfd) // stp x29, x30, [sp, #-16]!
		c.word(0x910003fd) // mov x29, sp
		if f.number != 0 {
			c.word(0xd2800000 | uint32(f.number)<<5) // mov x0, number
		} else {
			c.adr(0, "text "+f.name)
		}
		c.word(0xa8c17bfd) // ldp x29, x30, [sp], #16
		c.word(0xd65f03c0) // ret
		return
	}
	c.add(0x55, 0x48, 0x89, 0xe5) // push %rbp; mov %rsp, %rbp
	if f.number != 0 {
		c.add(0xb8, byte(f.number), byte(f.number>>8), 0, 0) // mov number, %eax
	} else {
		c.near("text "+f.name, 0x48, 0x8d, 0x05) // lea text(%rip), %rax
	}
	c.add(0x5d, 0xc3) // pop %rbp; ret
}

// exit ends the process with status 0.
func (c *code) exit() {
	if runtime.GOARCH == "arm64" {
		c.word(0xd2800000) // mov x0, 0
		c.word(0xd2800bc8) // mov x8, 94: exit_group
		c.word(0xd4000001) // svc 0
		return
	}
	c.add(0x31, 0xff, 0xb8, 231, 0, 0, 0, 0x0f, 0x05) // xor %edi, %edi; mov exit_group, %eax; syscall
}

func (c *code) align() {
	for len(c.bytes)%16 != 0 {
		c.add(0)
	}
}

// programELF has one segment with the headers, the code and the texts, and a symbol table.
func programELF(functions []userFunction) []byte {
	var c code
	places, sizes := map[string]int{"_start": 0}, map[string]int{}
	for _, f := range functions {
		c.call(f)
	}
	c.exit()
	sizes["_start"] = len(c.bytes)
	for _, f := range functions {
		c.align()
		places[f.name] = len(c.bytes)
		c.body(f)
		sizes[f.name] = len(c.bytes) - places[f.name]
	}
	for _, f := range functions {
		places["text "+f.name] = len(c.bytes)
		c.add(append([]byte(f.text), 0)...)
	}
	return codeELF(&c, append([]string{"_start"}, functionNames(functions)...), places, sizes)
}

// codeELF makes an executable file of code that begins with _start; names are the symbols that it has.
func codeELF(c *code, symbolNames []string, places, sizes map[string]int) []byte {
	const base, header, segment, section, start = 0x400000, 64, 56, 64, 0x80
	for _, x := range c.fixes {
		x.put(c.bytes[x.at:], places[x.target]-x.at)
	}

	var symbols bytes.Buffer
	names := []byte{0}
	write := func(b *bytes.Buffer, v any) { _ = binary.Write(b, binary.LittleEndian, v) } // into memory: cannot fail
	write(&symbols, elf.Sym64{})
	for _, name := range symbolNames {
		write(&symbols, elf.Sym64{
			Name: uint32(len(names)), Info: byte(elf.STB_GLOBAL)<<4 | byte(elf.STT_FUNC), Shndx: 1,
			Value: uint64(base + start + places[name]), Size: uint64(sizes[name]),
		})
		names = append(append(names, name...), 0)
	}
	const sectionNames = "\x00.text\x00.symtab\x00.strtab\x00.shstrtab\x00"
	c.align()
	loaded := uint64(start + len(c.bytes))
	symbolsAt := loaded
	namesAt := symbolsAt + uint64(symbols.Len())
	sectionNamesAt := namesAt + uint64(len(names))
	sectionsAt := (sectionNamesAt + uint64(len(sectionNames)) + 7) &^ 7

	machine := elf.EM_X86_64
	if runtime.GOARCH == "arm64" {
		machine = elf.EM_AARCH64
	}
	h := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Entry: base + start, Phoff: header, Shoff: sectionsAt,
		Ehsize: header, Phentsize: segment, Phnum: 1, Shentsize: section, Shnum: 5, Shstrndx: 4,
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	var b bytes.Buffer
	write(&b, h)
	write(&b, elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base, Paddr: base, Filesz: loaded, Memsz: loaded, Align: 0x10000,
	})
	b.Write(make([]byte, start-b.Len()))
	b.Write(c.bytes)
	b.Write(symbols.Bytes())
	b.Write(names)
	b.WriteString(sectionNames)
	b.Write(make([]byte, int(sectionsAt)-b.Len()))
	write(&b, elf.Section64{})
	write(&b, elf.Section64{
		Name: 1, Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR), Addr: base + start,
		Off: start, Size: uint64(len(c.bytes)), Addralign: 16,
	})
	write(&b, elf.Section64{
		Name: 7, Type: uint32(elf.SHT_SYMTAB), Off: symbolsAt, Size: uint64(symbols.Len()), Link: 3, Info: 1, Addralign: 8, Entsize: elf.Sym64Size,
	})
	write(&b, elf.Section64{Name: 15, Type: uint32(elf.SHT_STRTAB), Off: namesAt, Size: uint64(len(names)), Addralign: 1})
	write(&b, elf.Section64{Name: 23, Type: uint32(elf.SHT_STRTAB), Off: sectionNamesAt, Size: uint64(len(sectionNames)), Addralign: 1})
	return b.Bytes()
}

func functionNames(functions []userFunction) []string {
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = f.name
	}
	return names
}
