package main

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// ext makes a section whose parts lie in the order of their names.
func ext(functions, lines, relocations string) []byte {
	h := header{Magic: magic, Version: 1, Length: 32}
	h.FuncLen = uint32(len(functions))
	h.LineOff, h.LineLen = h.FuncLen, uint32(len(lines))
	h.CORERelOff, h.CORERLen = h.LineOff+h.LineLen, uint32(len(relocations))
	b, _ := binary.Append(nil, binary.LittleEndian, h)
	return append(b, functions+lines+relocations...)
}

func TestWithoutLines(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want []byte // nil: an error
	}{
		{"lines go", ext("functions", "\x10\x00\x00\x00many lines", "relocations"), ext("functions", "\x10\x00\x00\x00", "relocations")},
		{"no relocations", ext("f", "\x10\x00\x00\x00x", ""), ext("f", "\x10\x00\x00\x00", "")},
		{"empty", nil, nil},
		{"another format", []byte("no such section, but long enough for it"), nil},
		{"cut", ext("functions", "\x10\x00\x00\x00", "relocations")[:40], nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := withoutLines(tt.in)
			if !bytes.Equal(got, tt.want) || (err == nil) != (tt.want != nil) {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}
