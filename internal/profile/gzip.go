package profile

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// gzipped packs bytes as RFC 1951 and 1952 have it, with the codes that need no description: half again as large as the library makes
// it of a profile, without the twentieth part of a megabyte that the library adds to the program.
func gzipped(data []byte) []byte {
	w := bitWriter{out: []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}}
	w.bits(1, 1) // the only block
	w.bits(1, 2) // of fixed codes
	w.deflate(data)
	w.symbol(256)
	w.bits(0, 7) // the last bits go out
	out := binary.LittleEndian.AppendUint32(w.out, crc32.ChecksumIEEE(data))
	return binary.LittleEndian.AppendUint32(out, uint32(len(data)))
}

const (
	shortest, longest = 4, 258
	window            = 32 << 10
	hashBits          = 15
)

// deflate replaces what was there before, not too long ago, by how far back it is: the newest place of four bytes is remembered.
func (w *bitWriter) deflate(data []byte) {
	var last [1 << hashBits]int32 // places, counted from 1
	remember := func(at int) (before int) {
		h := binary.LittleEndian.Uint32(data[at:]) * 0x9e3779b1 >> (32 - hashBits)
		before = int(last[h]) - 1
		last[h] = int32(at + 1)
		return before
	}
	for at := 0; at < len(data); {
		length, back := 0, 0
		if at+shortest <= len(data) {
			if before := remember(at); before >= 0 && at-before <= window {
				back = at - before
				for length < longest && at+length < len(data) && data[before+length] == data[at+length] {
					length++
				}
			}
		}
		if length < shortest {
			w.symbol(int(data[at]))
			at++
			continue
		}
		w.copy(length, back)
		for end := at + length; at < end; {
			if at++; at < end && at+shortest <= len(data) {
				remember(at)
			}
		}
	}
}

// copy writes a length and a distance: codes for ranges of them, each with the bits that tell where in the range.
func (w *bitWriter) copy(length, back int) {
	switch n := length - 3; {
	case length == longest:
		w.symbol(285)
	case n < 8:
		w.symbol(257 + n)
	default:
		extra := bits.Len(uint(n)) - 3
		w.symbol(257 + 4*extra + n>>extra)
		w.bits(uint32(n)&(1<<extra-1), extra)
	}
	n, extra := back-1, 0
	code := n
	if n >= 4 {
		extra = bits.Len(uint(n)) - 2
		code = 2*extra + n>>extra
	}
	w.bits(bits.Reverse32(uint32(code))>>27, 5)
	w.bits(uint32(n)&(1<<extra-1), extra)
}

// bitWriter fills bytes from their low bits on.
type bitWriter struct {
	out  []byte
	held uint64
	n    int
}

func (w *bitWriter) bits(value uint32, n int) {
	w.held |= uint64(value) << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.out = append(w.out, byte(w.held))
		w.held >>= 8
	}
}

// symbol writes the fixed code of a byte, of a length or of the end. Codes begin with their high bits.
func (w *bitWriter) symbol(s int) {
	code, n := 0, 8
	switch {
	case s < 144:
		code = 0x30 + s
	case s < 256:
		code, n = 0x190+s-144, 9
	case s < 280:
		code, n = s-256, 7
	default:
		code = 0xc0 + s - 280
	}
	w.bits(bits.Reverse32(uint32(code))>>(32-n), n)
}
