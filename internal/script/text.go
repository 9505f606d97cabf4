package script

import (
	"bytes"
	"net/netip"
	"strconv"

	"sonde/internal/compile/types"
	"sonde/internal/print"
)

// style is how a value is laid out as text.
type style uint8

const (
	spaced  style = iota
	compact       // without the spaces between its parts: keys in JSON
)

func (s style) comma() string {
	if s == compact {
		return ","
	}
	return ", "
}

// appendFieldText appends a field of the record at hand.
func (r *Runner) appendFieldText(dst []byte, f *field, body []byte) []byte {
	b := r.bytes(f, body)
	if f.t.Kind != types.String {
		return r.appendText(dst, f.t, b, spaced)
	}
	if f.tail >= 0 {
		return r.appendString(dst, b, r.tails[f.tail].cut)
	}
	text, cut := stringOf(f.t, b, r.p.Config.MaxStrlen)
	if f.constant != nil {
		return append(dst, text...) // the script's own
	}
	return r.appendString(dst, text, cut)
}

// stringOf is a string without what fills it up. Cut says that it takes all of its place, where there may have been more
// of it: an array of C may just be as long, and needs no NUL.
func stringOf(t *types.Type, b []byte, most int) (text []byte, cut bool) {
	n := bytes.IndexByte(b, 0)
	if n < 0 {
		n = len(b)
	}
	return b[:n], n > 0 && n == t.Size-1 && (t.Size == most || t.Shortened)
}

func (r *Runner) appendString(dst, text []byte, cut bool) []byte {
	dst = r.appendForeign(dst, text)
	if cut {
		dst = append(dst, r.p.Config.StrTruncTrailer...)
	}
	return dst
}

// appendForeign appends bytes that come from what is traced.
func (r *Runner) appendForeign(dst, text []byte) []byte {
	if r.plain {
		return append(dst, text...)
	}
	return print.AppendVisible(dst, text)
}

// appendText appends a value as text. b has at least t.Size bytes.
func (r *Runner) appendText(dst []byte, t *types.Type, b []byte, s style) []byte {
	switch t.Kind {
	case types.Int:
		return appendInt(dst, number(t, b), t.Signed)
	case types.String:
		text, cut := stringOf(t, b[:t.Size], r.p.Config.MaxStrlen)
		return r.appendString(dst, text, cut)
	case types.Bool:
		return strconv.AppendBool(dst, b[0] != 0)
	case types.Enum:
		v := number(t, b)
		if name, ok := t.EnumNames[int64(v)]; ok {
			return append(dst, name...)
		}
		return appendInt(dst, v, t.Signed)
	case types.Buffer:
		return appendPrintable(dst, buffer(t, b))
	case types.Pointer, types.Context:
		return appendPointer(dst, number(t, b))
	case types.Array:
		dst = append(dst, '[')
		for i := range t.Len {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = r.appendText(dst, t.Elem, b[i*t.Elem.Size:], s)
		}
		return append(dst, ']')
	case types.Tuple:
		dst = append(dst, '(')
		dst = r.appendParts(dst, t, b, s)
		return append(dst, ')')
	case types.Struct, types.Record:
		return r.appendStruct(dst, t, b, s)
	case types.KStack, types.UStack:
		return r.appendStack(dst, t, b, s)
	case types.KSym:
		return r.appendForeign(dst, r.symbols.kernelName(word(b, 0)))
	case types.USym:
		return r.appendForeign(dst, r.symbols.userName(half(b, 8), half(b, 12), word(b, 0)))
	case types.Inet:
		return appendInet(dst, b)
	case types.MAC:
		for i, c := range b[:6] {
			if i > 0 {
				dst = append(dst, ':')
			}
			dst = append(dst, upperDigits[c>>4], upperDigits[c&15])
		}
		return dst
	case types.Username:
		return append(dst, r.users.name(uint32(number(t, b)))...)
	case types.Timestamp:
		return r.appendTimestamp(dst, b)
	case types.CgroupPath:
		return r.appendForeign(dst, []byte(r.cgroupPath(b)))
	}
	return dst
}

// appendParts appends the fields of a tuple: the key [1, a], and with parentheses the value.
func (r *Runner) appendParts(dst []byte, t *types.Type, b []byte, s style) []byte {
	for i := range t.Fields {
		if i > 0 {
			dst = append(dst, s.comma()...)
		}
		f := &t.Fields[i]
		dst = r.appendText(dst, f.Type, b[f.Offset:], s)
	}
	return dst
}

// appendKey appends a key of a map as it stands between the brackets.
func (r *Runner) appendKey(dst []byte, t *types.Type, b []byte, s style) []byte {
	if t.Kind == types.Tuple {
		return r.appendParts(dst, t, b, s)
	}
	return r.appendText(dst, t, b, s)
}

func (r *Runner) appendStruct(dst []byte, t *types.Type, b []byte, s style) []byte {
	space := " "
	if s == compact {
		space = ""
	}
	dst = append(append(dst, '{'), space...)
	first := true
	members(t, b, 0, func(f *types.Field, b []byte) {
		if !first {
			dst = append(dst, s.comma()...)
		}
		first = false
		dst = append(append(dst, '.'), f.Name...)
		dst = append(append(append(dst, space...), '='), space...)
		switch {
		case f.Bits > 0:
			dst = strconv.AppendUint(dst, bitField(f, b), 10)
		case f.DataLoc:
			dst = appendPointer(dst, uint64(half(b, 0)))
		default:
			dst = r.appendText(dst, f.Type, b, s)
		}
	})
	return append(append(dst, space...), '}')
}

// members calls f with every named field of a struct and the bytes from it on. Those of anonymous members are among them.
func members(t *types.Type, b []byte, depth int, f func(*types.Field, []byte)) {
	fields := t.AllFields()
	for i := range fields {
		m := &fields[i]
		switch {
		case m.Name != "":
			f(m, b[m.Offset:])
		case m.Bits == 0 && m.Type != nil && m.Type.Kind == types.Struct && depth < 32:
			members(m.Type, b[m.Offset:], depth+1, f)
		}
	}
}

// buffer is the content of a Buffer.
func buffer(t *types.Type, b []byte) []byte {
	return b[4:][:min(int(half(b, 0)), t.Size-4)]
}

// content is what %r shows of a field: all bytes it has.
func (r *Runner) content(f *field, body []byte) []byte {
	b := r.bytes(f, body)
	switch f.t.Kind {
	case types.Buffer:
		return buffer(f.t, b)
	case types.String:
		text, _ := stringOf(f.t, b, 1<<30)
		return text
	}
	return b
}

// appendPrintable appends ASCII as it is and other bytes as \x1b. A backslash stands for itself.
func appendPrintable(dst, b []byte) []byte {
	for _, c := range b {
		if c >= ' ' && c <= '~' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}

// Address families, as Linux numbers them.
const (
	afInet  = 2
	afInet6 = 10
)

// appendInet appends an address as inet_ntop(3) writes it; nothing where the family is no internet.
func appendInet(dst, b []byte) []byte {
	switch word(b, 0) {
	case afInet:
		return netip.AddrFrom4([4]byte(b[8:])).AppendTo(dst)
	case afInet6:
		a := [16]byte(b[8:])
		if word(a[:], 0) == 0 && half(a[:], 8) == 0 && (a[12] != 0 || a[13] != 0) {
			return netip.AddrFrom4([4]byte(a[12:])).AppendTo(append(dst, "::"...))
		}
		return netip.AddrFrom16(a).AppendTo(dst)
	}
	return dst
}
