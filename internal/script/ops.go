package script

import (
	"fmt"
	"strconv"

	"sonde/internal/compile/format"
	"sonde/internal/compile/types"
)

// op is one step of a format, compiled once: a literal, or a value and how it is shown.
type op struct {
	kind  opKind
	verb  byte // d, u, x, X, o, p of numbers
	bytes uint8
	size  uint8 // of a number in the record
	sign  bool  // the number is signed
	flags format.Flags
	width int32
	off   int32
	field *field
	lit   string
}

type opKind uint8

const (
	opLiteral opKind = iota
	opNumber         // size bytes at off
	opChar
	opTail   // %s of a string in the tail, as wide as it is
	opString // %s of any other
	opText   // %s of anything else
	opBytes  // %r
	opBytesX // %rx
	opBytesH // %rh
	opGFP
)

// compileFormat makes the steps of a site's format. Constants become part of the literals.
func (r *Runner) compileFormat(s *site) ([]op, error) {
	items, err := format.Parse(s.Text)
	if err != nil {
		return nil, err
	}
	if n := format.Args(items); n != len(s.fields) {
		return nil, fmt.Errorf("the format %q takes %d values, there are %d", s.Text, n, len(s.fields))
	}
	var ops []op
	next := 0
	for i := range items {
		lit := items[i].Literal
		if items[i].Verb != "" {
			f := &s.fields[next]
			next++
			o, err := newOp(&items[i], f)
			if err != nil {
				return nil, err
			}
			if f.constant == nil {
				ops = append(ops, o)
				continue
			}
			lit = string(r.step(nil, &o, f.constant))
		}
		if n := len(ops); n > 0 && ops[n-1].kind == opLiteral {
			ops[n-1].lit += lit
		} else {
			ops = append(ops, op{kind: opLiteral, lit: lit})
		}
	}
	return ops, nil
}

func newOp(it *format.Item, f *field) (op, error) {
	o := op{flags: it.Flags, width: int32(it.Width), off: int32(f.off), field: f}
	if f.constant != nil {
		o.off = 0
	}
	numeric := func(kind opKind) (op, error) {
		if !isNumber(f.t) {
			return o, fmt.Errorf("%%%s for a value of type %s", it.Verb, f.t)
		}
		o.kind, o.size, o.sign = kind, uint8(min(f.t.Size, 8)), f.t.Signed
		return o, nil
	}
	switch it.Verb {
	case "d", "i", "u", "x", "X", "o":
		o.verb, o.bytes = it.Verb[0], uint8(it.Bytes())
		if o.verb == 'i' {
			o.verb = 'd'
		}
		return numeric(opNumber)
	case "p":
		o.verb, o.bytes = 'x', 8
		o.flags |= format.Hash
		return numeric(opNumber)
	case "c":
		return numeric(opChar)
	case "gr":
		return numeric(opGFP)
	case "s":
		o.kind = opText
		switch f.t.Kind {
		case types.String:
			o.kind = opString
			if f.tail >= 0 && o.width == 0 {
				o.kind, o.off = opTail, int32(f.tail)
			}
		case types.Int:
			o.verb, o.bytes = 'u', 8
			if f.t.Signed {
				o.verb = 'd'
			}
			o.flags &^= format.Hash
			return numeric(opNumber)
		}
		return o, nil
	}
	o.kind = map[string]opKind{"r": opBytes, "rx": opBytesX, "rh": opBytesH}[it.Verb]
	if o.kind == opLiteral {
		return o, fmt.Errorf("no conversion %%%s", it.Verb)
	}
	return o, nil
}

// isNumber says whether the value can be shown by %d and its like.
func isNumber(t *types.Type) bool {
	switch t.Kind {
	case types.Int, types.Enum, types.Bool, types.Pointer, types.Context, types.KSym, types.Username:
		return t.Size <= 8
	case types.USym, types.Timestamp, types.CgroupPath: // the first word
		return true
	}
	return false
}

// run appends what the site's format makes of the record.
func (r *Runner) run(dst []byte, s *site, body []byte) []byte {
	for i := range s.ops {
		switch o := &s.ops[i]; o.kind {
		case opLiteral:
			if len(o.lit) == 1 {
				dst = append(dst, o.lit[0])
			} else {
				dst = append(dst, o.lit...)
			}
		case opTail:
			if t := &r.tails[o.off]; r.plain && !t.cut {
				dst = append(dst, body[t.from:t.to]...)
			} else {
				dst = r.appendString(dst, body[t.from:t.to], t.cut)
			}
		default:
			dst = r.step(dst, o, body)
		}
	}
	return dst
}

// step appends one value. For a constant, body is its bytes.
func (r *Runner) step(dst []byte, o *op, body []byte) []byte {
	from := len(dst)
	switch o.kind {
	case opNumber:
		dst = appendNumber(dst, o, load(body[o.off:], o.size, o.sign))
	case opChar:
		dst = append(dst, byte(load(body[o.off:], o.size, false)))
	case opString, opText:
		dst = r.appendFieldText(dst, o.field, body)
	case opBytes:
		dst = appendPrintable(dst, r.content(o.field, body))
	case opBytesX:
		for _, c := range r.content(o.field, body) {
			dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		}
	case opBytesH:
		for i, c := range r.content(o.field, body) {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
		}
	case opGFP:
		dst = appendGFP(dst, load(body[o.off:], o.size, false))
	}
	if n := int(o.width) - (len(dst) - from); n > 0 {
		dst = pad(dst, from, n, o.flags)
	}
	return dst
}

// appendNumber cuts v to the bytes that count and appends it.
func appendNumber(dst []byte, o *op, v uint64) []byte {
	shift := 64 - 8*uint(o.bytes)
	switch o.verb {
	case 'd':
		n := int64(v<<shift) >> shift
		if o.flags&format.Plus != 0 && n >= 0 {
			dst = append(dst, '+')
		}
		return strconv.AppendInt(dst, n, 10)
	case 'u':
		return strconv.AppendUint(dst, v<<shift>>shift, 10)
	case 'o':
		v = v << shift >> shift
		if o.flags&format.Hash != 0 && v != 0 {
			dst = append(dst, '0')
		}
		return strconv.AppendUint(dst, v, 8)
	}
	v = v << shift >> shift
	if o.flags&format.Hash != 0 && v != 0 {
		dst = append(dst, '0', o.verb)
	}
	if o.verb == 'X' {
		return appendUpperHex(dst, v)
	}
	return strconv.AppendUint(dst, v, 16)
}

func appendUpperHex(dst []byte, v uint64) []byte {
	from := len(dst)
	dst = strconv.AppendUint(dst, v, 16)
	for i := from; i < len(dst); i++ {
		if dst[i] >= 'a' {
			dst[i] -= 'a' - 'A'
		}
	}
	return dst
}

// pad widens what was appended from there on by n bytes. Zeros go to whichever side spaces would: before a sign, too.
func pad(dst []byte, from, n int, flags format.Flags) []byte {
	fill := byte(' ')
	if flags&format.Zero != 0 {
		fill = '0'
	}
	end := len(dst)
	for range n {
		dst = append(dst, fill)
	}
	if flags&format.Minus == 0 {
		copy(dst[from+n:], dst[from:end])
		for i := from; i < from+n; i++ {
			dst[i] = fill
		}
	}
	return dst
}
