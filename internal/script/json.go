package script

import (
	"strconv"

	"sonde/internal/compile/types"
	"sonde/internal/print"
)

func quote(dst, text []byte) []byte { return print.AppendJSON(dst, text) }

// appendFieldJSON appends a field of the record at hand.
func (r *Runner) appendFieldJSON(dst []byte, f *field, body []byte) []byte {
	if f.t.Kind != types.String {
		return r.appendJSON(dst, f.t, r.bytes(f, body))
	}
	r.text = r.appendFieldText(r.text[:0], f, body)
	return quote(dst, r.text)
}

// appendJSON appends a value as JSON. b has at least t.Size bytes.
func (r *Runner) appendJSON(dst []byte, t *types.Type, b []byte) []byte {
	switch t.Kind {
	case types.Int, types.Enum:
		return appendIntJSON(dst, number(t, b), t.Signed)
	case types.Bool:
		return strconv.AppendBool(dst, b[0] != 0)
	case types.Pointer, types.Context:
		return appendIntJSON(dst, number(t, b), false)
	case types.Buffer:
		dst = append(dst, '[')
		for i, c := range buffer(t, b) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendInt(dst, int64(int8(c)), 10) // as C's char
		}
		return append(dst, ']')
	case types.Array:
		dst = append(dst, '[')
		for i := range t.Len {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = r.appendJSON(dst, t.Elem, b[i*t.Elem.Size:])
		}
		return append(dst, ']')
	case types.Tuple:
		dst = append(dst, '[')
		for i := range t.Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			f := &t.Fields[i]
			dst = r.appendJSON(dst, f.Type, b[f.Offset:])
		}
		return append(dst, ']')
	case types.Struct, types.Record:
		return r.appendObject(dst, t, b)
	case types.None, types.Invalid:
		return append(dst, "null"...)
	}
	from := len(r.text)
	r.text = r.appendText(r.text, t, b, spaced)
	dst = quote(dst, r.text[from:])
	r.text = r.text[:from]
	return dst
}

func (r *Runner) appendObject(dst []byte, t *types.Type, b []byte) []byte {
	dst = append(dst, '{')
	first := true
	members(t, b, 0, func(f *types.Field, b []byte) {
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		dst = append(quote(dst, []byte(f.Name)), ": "...)
		switch {
		case f.Bits > 0:
			dst = appendIntJSON(dst, bitField(f, b), false)
		case f.DataLoc:
			dst = strconv.AppendUint(dst, uint64(half(b, 0)), 10)
		default:
			dst = r.appendJSON(dst, f.Type, b)
		}
	})
	return append(dst, '}')
}
