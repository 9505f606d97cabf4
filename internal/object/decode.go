package object

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"

	"sonde/internal/print"
)

// Bounds of what is decoded: types are somebody else's, and may be nested without end or be arrays of nothing.
const (
	maxDepth    = 24
	maxElements = 1 << 16
	maxShown    = 1 << 20 // bytes of text, of one record
)

// appendText appends a value as text: numbers in decimal, char arrays as they read, other arrays in [], structs and unions in {},
// pointers in hexadecimal. A value that is cut off ends where it ends. nil is no type: bytes in hexadecimal.
func appendText(dst []byte, t btf.Type, b []byte, depth int) []byte {
	if depth > maxDepth || len(dst) > maxShown {
		return append(dst, "..."...)
	}
	switch t := bare(t).(type) {
	case *btf.Struct:
		return appendMembers(dst, t.Members, b, depth)
	case *btf.Union:
		return appendMembers(dst, t.Members, b, depth)
	case *btf.Array:
		if isChar(t.Type) {
			return appendChars(dst, b, depth > 0)
		}
		return appendElements(dst, t, b, func(dst []byte, b []byte) []byte { return appendText(dst, t.Type, b, depth+1) })
	case *btf.Enum:
		if n, ok := integer(t, b); ok {
			return appendEnum(dst, t, n)
		}
	case *btf.Pointer:
		if n, ok := unsigned(b, 8); ok {
			return append(append(dst, "0x"...), strconv.FormatUint(n, 16)...)
		}
	case *btf.Int, *btf.Float:
		return appendNumber(dst, t, b)
	}
	return appendHex(dst, b)
}

// appendNumber appends what is the same in text and JSON.
func appendNumber(dst []byte, t btf.Type, b []byte) []byte {
	switch t := t.(type) {
	case *btf.Float:
		if n, ok := unsigned(b, int(t.Size)); ok {
			f := math.Float64frombits(n)
			if t.Size == 4 {
				f = float64(math.Float32frombits(uint32(n)))
			}
			return strconv.AppendFloat(dst, f, 'g', -1, int(t.Size)*8)
		}
	case *btf.Int:
		if n, ok := integer(t, b); ok {
			return appendInteger(dst, t, n)
		}
	}
	return appendHex(dst, b)
}

func appendInteger(dst []byte, t *btf.Int, n uint64) []byte {
	switch t.Encoding {
	case btf.Bool:
		return strconv.AppendBool(dst, n != 0)
	case btf.Signed:
		return strconv.AppendInt(dst, int64(n), 10)
	}
	return strconv.AppendUint(dst, n, 10)
}

func appendEnum(dst []byte, t *btf.Enum, n uint64) []byte {
	if name, ok := enumName(t, n); ok {
		return print.AppendVisible(dst, []byte(name))
	}
	if t.Signed {
		return strconv.AppendInt(dst, int64(n), 10)
	}
	return strconv.AppendUint(dst, n, 10)
}

func enumName(t *btf.Enum, n uint64) (string, bool) {
	mask := ^uint64(0)
	if t.Size < 8 {
		mask = 1<<(8*t.Size) - 1
	}
	for _, v := range t.Values {
		if v.Value&mask == n&mask {
			return v.Name, true
		}
	}
	return "", false
}

func appendMembers(dst []byte, members []btf.Member, b []byte, depth int) []byte {
	dst = append(dst, '{')
	first := true
	for i := range members {
		m := &members[i]
		part, n, kind := memberOf(m, b)
		if kind == memberMissing {
			continue
		}
		if !first {
			dst = append(dst, ' ')
		}
		first = false
		if m.Name != "" {
			dst = append(append(dst, m.Name...), '=')
		}
		if kind == memberBits {
			dst = appendBits(dst, m.Type, n, false)
			continue
		}
		dst = appendText(dst, m.Type, part, depth+1)
	}
	return append(dst, '}')
}

type memberKind uint8

const (
	memberBytes memberKind = iota
	memberBits
	memberMissing
)

// memberOf is what a member of a struct has of the struct's bytes: its own, or a number of some bits. A member without end (an
// array of no elements at the end of a struct) has all that is left.
func memberOf(m *btf.Member, b []byte) (part []byte, n uint64, kind memberKind) {
	from := int(m.Offset / 8)
	if m.BitfieldSize > 0 {
		n, ok := bitfield(b, uint64(m.Offset), uint64(m.BitfieldSize))
		if !ok {
			return nil, 0, memberMissing
		}
		if i, isInt := bare(m.Type).(*btf.Int); isInt && i.Encoding == btf.Signed {
			shift := 64 - uint(m.BitfieldSize)
			n = uint64(int64(n<<shift) >> shift)
		}
		return nil, n, memberBits
	}
	size, err := btf.Sizeof(m.Type)
	if err != nil || from > len(b) {
		return nil, 0, memberMissing
	}
	if a, ok := bare(m.Type).(*btf.Array); ok && a.Nelems == 0 {
		return b[from:], 0, memberBytes
	}
	if size == 0 || from == len(b) {
		return nil, 0, memberMissing
	}
	return b[from:min(len(b), from+size)], 0, memberBytes
}

// bitfield reads some bits, of at most 64, from a place that is given in bits.
func bitfield(b []byte, at, bits uint64) (n uint64, ok bool) {
	if bits == 0 || bits > 64 || at+bits > uint64(len(b))*8 {
		return 0, false
	}
	for i := range bits {
		bit := at + i
		n |= uint64(b[bit/8]>>(bit%8)&1) << i
	}
	return n, true
}

func appendBits(dst []byte, t btf.Type, n uint64, json bool) []byte {
	switch t := bare(t).(type) {
	case *btf.Int:
		return appendInteger(dst, t, n)
	case *btf.Enum:
		if json {
			return appendEnumJSON(dst, t, n)
		}
		return appendEnum(dst, t, n)
	}
	return strconv.AppendUint(dst, n, 10)
}

// appendElements appends an array. Bytes are shown in hexadecimal.
func appendElements(dst []byte, t *btf.Array, b []byte, element func(dst, b []byte) []byte) []byte {
	size, err := btf.Sizeof(t.Type)
	if err != nil || size == 0 {
		return append(dst, "[]"...)
	}
	if i, ok := bare(t.Type).(*btf.Int); ok && i.Size == 1 && i.Encoding != btf.Bool {
		return appendHex(dst, b)
	}
	dst = append(dst, '[')
	for i := 0; len(b) > 0; i++ {
		if i > 0 {
			dst = append(dst, ' ')
		}
		if i == maxElements {
			dst = append(dst, "..."...)
			break
		}
		n := min(size, len(b))
		dst = element(dst, b[:n])
		b = b[n:]
	}
	return append(dst, ']')
}

// appendChars appends text up to its NUL. Inside a struct it is quoted.
func appendChars(dst, b []byte, quoted bool) []byte {
	b = untilNUL(b)
	if quoted {
		return print.AppendJSON(dst, b)
	}
	return appendSafe(dst, b)
}

func untilNUL(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// appendSafe appends text for a terminal, on one line.
func appendSafe(dst, b []byte) []byte {
	from := len(dst)
	dst = print.AppendVisible(dst, b)
	for i := from; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\t' {
			rest := string(dst[i+1:])
			c := byte('n')
			if dst[i] == '\t' {
				c = 't'
			}
			dst = append(append(dst[:i], '\\', c), rest...)
			i++
		}
	}
	return dst
}

func appendHex(dst, b []byte) []byte {
	if len(b) == 0 {
		return append(dst, '-')
	}
	return hex.AppendEncode(append(dst, "0x"...), b)
}

// integer reads a number of the type's size, with its sign.
func integer(t btf.Type, b []byte) (n uint64, ok bool) {
	size, signed := 0, false
	switch t := t.(type) {
	case *btf.Int:
		size, signed = int(t.Size), t.Encoding == btf.Signed
	case *btf.Enum:
		size, signed = int(t.Size), t.Signed
	}
	if n, ok = unsigned(b, size); !ok || !signed {
		return n, ok
	}
	shift := 64 - 8*uint(size)
	return uint64(int64(n<<shift) >> shift), true
}

// unsigned reads a little-endian number. ok is false where it is cut off, or too large.
func unsigned(b []byte, size int) (n uint64, ok bool) {
	if size < 1 || size > 8 || len(b) < size {
		return 0, false
	}
	var all [8]byte
	copy(all[:], b[:size])
	return binary.LittleEndian.Uint64(all[:]), true
}

// typeName is a type as C writes it, as far as it has a name.
func typeName(t btf.Type) string {
	switch t := t.(type) {
	case nil, *btf.Void:
		return "void"
	case *btf.Typedef:
		return t.Name
	case *btf.Const:
		return "const " + typeName(t.Type)
	case *btf.Volatile:
		return typeName(t.Type)
	case *btf.Restrict:
		return typeName(t.Type)
	case *btf.Pointer:
		return strings.TrimSuffix(typeName(t.Target), " ") + " *"
	case *btf.Array:
		return fmt.Sprintf("%s[%d]", typeName(t.Type), t.Nelems)
	case *btf.Struct:
		return named("struct", t.Name)
	case *btf.Union:
		return named("union", t.Name)
	case *btf.Enum:
		return named("enum", t.Name)
	case *btf.Int:
		return t.Name
	case *btf.Float:
		return t.Name
	}
	if name := t.TypeName(); name != "" {
		return name
	}
	return "?"
}

func named(kind, name string) string {
	if name == "" {
		return kind
	}
	return kind + " " + name
}
