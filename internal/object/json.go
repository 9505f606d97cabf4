package object

import (
	"encoding/hex"
	"math"
	"strconv"

	"github.com/cilium/ebpf/btf"

	"sonde/internal/print"
)

// appendJSON appends a value as JSON: structs as objects, arrays as arrays, char arrays and enums as strings, pointers as
// numbers. What is cut off is null.
func appendJSON(dst []byte, t btf.Type, b []byte, depth int) []byte {
	if depth > maxDepth || len(dst) > maxShown {
		return append(dst, "null"...)
	}
	switch t := bare(t).(type) {
	case *btf.Struct:
		return appendObject(dst, t.Members, b, depth)
	case *btf.Union:
		return appendObject(dst, t.Members, b, depth)
	case *btf.Array:
		if isChar(t.Type) {
			return print.AppendJSON(dst, untilNUL(b))
		}
		return appendArrayJSON(dst, t, b, depth)
	case *btf.Enum:
		if n, ok := integer(t, b); ok {
			return appendEnumJSON(dst, t, n)
		}
		return append(dst, "null"...)
	case *btf.Pointer:
		if n, ok := unsigned(b, 8); ok {
			return strconv.AppendUint(dst, n, 10)
		}
		return append(dst, "null"...)
	case *btf.Float:
		n, ok := unsigned(b, int(t.Size))
		f := math.Float64frombits(n)
		if t.Size == 4 {
			f = float64(math.Float32frombits(uint32(n)))
		}
		if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
			return append(dst, "null"...)
		}
		return appendNumber(dst, t, b)
	case *btf.Int:
		if t.Size > 8 {
			return appendHexJSON(dst, b)
		}
		if n, ok := integer(t, b); ok {
			return appendInteger(dst, t, n)
		}
		return append(dst, "null"...)
	}
	return appendHexJSON(dst, b)
}

func appendHexJSON(dst, b []byte) []byte {
	return append(hex.AppendEncode(append(dst, '"'), b), '"')
}

func appendEnumJSON(dst []byte, t *btf.Enum, n uint64) []byte {
	if name, ok := enumName(t, n); ok {
		return print.AppendJSON(dst, []byte(name))
	}
	return appendEnum(dst, t, n)
}

func appendObject(dst []byte, members []btf.Member, b []byte, depth int) []byte {
	dst = append(dst, '{')
	first := true
	appendEach(members, b, depth, func(m *btf.Member, part []byte, n uint64, kind memberKind) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(print.AppendJSON(dst, []byte(m.Name)), ':')
		switch kind {
		case memberMissing:
			dst = append(dst, "null"...)
		case memberBits:
			dst = appendBits(dst, m.Type, n, true)
		case memberBytes:
			dst = appendJSON(dst, m.Type, part, depth+1)
		}
	})
	return append(dst, '}')
}

// appendEach calls f for all members, those of members without a name in the place of these.
func appendEach(members []btf.Member, b []byte, depth int, f func(m *btf.Member, part []byte, n uint64, kind memberKind)) {
	if depth > maxDepth {
		return
	}
	for i := range members {
		m := &members[i]
		part, n, kind := memberOf(m, b)
		if m.Name == "" && kind != memberBits {
			switch t := bare(m.Type).(type) {
			case *btf.Struct:
				appendEach(t.Members, part, depth+1, f)
				continue
			case *btf.Union:
				appendEach(t.Members, part, depth+1, f)
				continue
			}
		}
		if m.Name != "" { // without a name it is padding
			f(m, part, n, kind)
		}
	}
}

func appendArrayJSON(dst []byte, t *btf.Array, b []byte, depth int) []byte {
	size, err := btf.Sizeof(t.Type)
	if err != nil || size == 0 {
		return append(dst, "[]"...)
	}
	dst = append(dst, '[')
	for i := 0; len(b) > 0 && i < maxElements; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		n := min(size, len(b))
		dst = appendJSON(dst, t.Type, b[:n], depth+1)
		b = b[n:]
	}
	return append(dst, ']')
}
