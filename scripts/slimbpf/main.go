// Slimbpf takes out of two files with the content of the sections .BTF and .BTF.ext what loading an object does not need: the
// lines of the source, and the strings that only those refer to (Documentation/bpf/btf.rst in the kernel's tree has the formats).
// Types, functions and relocations stay.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: slimbpf BTF EXT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "slimbpf:", err)
		os.Exit(1)
	}
}

// header is struct btf_ext_header. Offsets count from its end.
type header struct {
	Magic                uint16
	Version, Flags       uint8
	Length               uint32
	FuncOff, FuncLen     uint32
	LineOff, LineLen     uint32
	CORERelOff, CORERLen uint32
}

const (
	magic = 0xeb9f
	// lineSize is what each record of a line takes: the part begins with it even where there is none.
	lineSize = 16
)

func run(typesFile, extFile string) error {
	types, err := os.ReadFile(typesFile)
	if err != nil {
		return err
	}
	ext, err := os.ReadFile(extFile)
	if err != nil {
		return err
	}
	if ext, err = withoutLines(ext); err != nil {
		return fmt.Errorf("%s: %w", extFile, err)
	}
	if types, ext, err = withoutStrings(types, ext); err != nil {
		return fmt.Errorf("%s, %s: %w", typesFile, extFile, err)
	}
	return errors.Join(os.WriteFile(typesFile, types, 0o600), os.WriteFile(extFile, ext, 0o600))
}

func withoutLines(ext []byte) ([]byte, error) {
	var h header
	n, err := binary.Decode(ext, binary.LittleEndian, &h)
	if err != nil || h.Magic != magic || int(h.Length) != n {
		return nil, errors.New("no .BTF.ext with functions, lines and relocations")
	}
	part := func(off, size uint32) ([]byte, error) {
		body := ext[n:]
		if uint64(off)+uint64(size) > uint64(len(body)) {
			return nil, fmt.Errorf("a part of %d bytes at %d does not fit into %d", size, off, len(body))
		}
		return body[off : off+size], nil
	}
	functions, err := part(h.FuncOff, h.FuncLen)
	if err != nil {
		return nil, err
	}
	relocations, err := part(h.CORERelOff, h.CORERLen)
	if err != nil {
		return nil, err
	}
	lines := binary.LittleEndian.AppendUint32(nil, lineSize)
	h.FuncOff, h.LineOff, h.LineLen = 0, h.FuncLen, uint32(len(lines))
	h.CORERelOff = h.LineOff + h.LineLen
	slim, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		return nil, err
	}
	for _, p := range [][]byte{functions, lines, relocations} {
		slim = append(slim, p...)
	}
	return slim, nil
}
