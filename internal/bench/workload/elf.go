package workload

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
)

// exitCode is exit_group(0) in machine code.
var exitCode = map[string]struct {
	machine elf.Machine
	code    []byte
}{
	"amd64": {elf.EM_X86_64, []byte{
		0xb8, 0xe7, 0x00, 0x00, 0x00, // mov eax, 231
		0x31, 0xff, // xor edi, edi
		0x0f, 0x05, // syscall
	}},
	"arm64": {elf.EM_AARCH64, []byte{
		0xc8, 0x0b, 0x80, 0xd2, // mov x8, 94
		0x00, 0x00, 0x80, 0xd2, // mov x0, 0
		0x01, 0x00, 0x00, 0xd4, // svc 0
	}},
}

// WriteTiny writes the smallest static program there is for an architecture (GOARCH): it exits with 0. Beside it the cost
// of tracing its exec is not lost in the work of a dynamic linker, and no C compiler is needed to have it.
func WriteTiny(path, arch string) error {
	image, err := tinyELF(arch)
	if err != nil {
		return err
	}
	return os.WriteFile(path, image, 0o755)
}

func tinyELF(arch string) ([]byte, error) {
	exit, ok := exitCode[arch]
	if !ok {
		return nil, fmt.Errorf("no tiny program for architecture %q: add its exit_group to workload/elf.go", arch)
	}
	const headers = 64 + 56 // Ehdr and one Phdr
	const base = 0x400000
	size := uint64(headers + len(exit.code))
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(exit.machine), Version: uint32(elf.EV_CURRENT),
		Entry: base + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	segment := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
		Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x10000,
	}
	var image bytes.Buffer
	for _, part := range []any{header, segment, exit.code} {
		if err := binary.Write(&image, binary.LittleEndian, part); err != nil {
			return nil, err
		}
	}
	return image.Bytes(), nil
}
