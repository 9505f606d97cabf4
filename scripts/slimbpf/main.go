// Slimbpf reads the content of a section .BTF.ext and writes it without the lines of the source (Documentation/bpf/btf.rst
// in the kernel's tree has the format). Functions and relocations stay.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
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
	limit = 16 << 20
	// lineSize is what each record of a line takes: the part begins with it even where there is none.
	lineSize = 16
)

func run(in io.Reader, out io.Writer) error {
	all, err := io.ReadAll(io.LimitReader(in, limit))
	if err != nil {
		return err
	}
	slim, err := withoutLines(all)
	if err != nil {
		return err
	}
	_, err = out.Write(slim)
	return err
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
