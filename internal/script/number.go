package script

import (
	"encoding/binary"
	"math/bits"
	"strconv"

	"sonde/internal/compile/types"
)

const (
	hexDigits   = "0123456789abcdef"
	upperDigits = "0123456789ABCDEF"
)

// load reads a number of size bytes (at most 8), extended to 64 bits.
func load(b []byte, size uint8, signed bool) uint64 {
	var v uint64
	switch size {
	case 8:
		return binary.LittleEndian.Uint64(b)
	case 4:
		v = uint64(binary.LittleEndian.Uint32(b))
	case 2:
		v = uint64(binary.LittleEndian.Uint16(b))
	case 1:
		v = uint64(b[0])
	case 0:
		return 0
	default:
		for i := range int(size) {
			v |= uint64(b[i]) << (8 * i)
		}
	}
	if signed {
		shift := 64 - 8*uint(size)
		v = uint64(int64(v<<shift) >> shift)
	}
	return v
}

// number reads a value that is a number.
func number(t *types.Type, b []byte) uint64 {
	return load(b, uint8(min(t.Size, 8, len(b))), t.Signed)
}

func word(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

func half(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }

// bitField reads the bits of a bit field, which counts as unsigned as bpftrace has it. b begins at the field's offset.
func bitField(f *types.Field, b []byte) uint64 {
	var v uint64
	for i := f.BitOffset / 8; i < (f.BitOffset+f.Bits+7)/8; i++ {
		if shift := 8*i - f.BitOffset; shift >= 0 {
			v |= uint64(b[i]) << shift
		} else {
			v |= uint64(b[i]) >> -shift
		}
	}
	return v & (1<<f.Bits - 1)
}

func appendInt(dst []byte, v uint64, signed bool) []byte {
	if signed {
		return strconv.AppendInt(dst, int64(v), 10)
	}
	return strconv.AppendUint(dst, v, 10)
}

// appendIntJSON appends a JSON number, or a string where a reader that takes all numbers for floating-point ones would get
// another.
func appendIntJSON(dst []byte, v uint64, signed bool) []byte {
	magnitude := v
	if signed && int64(v) < 0 {
		magnitude = -v
	}
	if bits.Len64(magnitude)-bits.TrailingZeros64(magnitude) <= 53 {
		return appendInt(dst, v, signed)
	}
	return append(appendInt(append(dst, '"'), v, signed), '"')
}

func appendPointer(dst []byte, v uint64) []byte {
	return strconv.AppendUint(append(dst, "0x"...), v, 16)
}
