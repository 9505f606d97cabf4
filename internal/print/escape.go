package print

import (
	"encoding/binary"
	"unicode/utf8"
)

// How foreign bytes are shown in text:
//
//	newline, tab, carriage return    \n \t \r
//	other bytes below space, DEL,
//	and bytes that are not UTF-8     \x1b
//	hidden runes (see hidden)        \u202e, above U+FFFF \U000e0041
//
// A backslash stands for itself outside quotes, so there the form cannot be reversed; inside quotes `"` and `\` are
// escaped, and it can. Who needs the bytes back takes JSON.

const hexDigits = "0123456789abcdef"

const (
	plain       = 1 << iota // an ASCII byte that is shown as it is
	plainQuoted             // and inside quotes, and in a JSON string, too
)

var class = func() (t [256]uint8) {
	for c := ' '; c <= '~'; c++ {
		t[c] = plain | plainQuoted
	}
	t['"'], t['\\'] = plain, plain
	return t
}()

// hidden reports whether r must not reach a terminal as it is: C1 controls, line and paragraph separators, and
// everything that is invisible or turns the direction of what stands beside it, so that a shown name could pass for
// another. That is Unicode's Default_Ignorable_Code_Point together with Cc, Zl, Zp and the invisible rest of Cf.
func hidden(r rune) bool {
	switch {
	case r < 0x7F:
		return r < ' '
	case r < 0x300:
		return r <= 0x9F || r == 0xAD
	case r < 0x2000:
		return r == 0x34F || r == 0x61C || r == 0x115F || r == 0x1160 || r == 0x17B4 || r == 0x17B5 ||
			r >= 0x180B && r <= 0x180F
	case r < 0x3000:
		return r >= 0x200B && r <= 0x200F || r >= 0x2028 && r <= 0x202E || r >= 0x2060 && r <= 0x206F
	case r < 0x10000:
		return r == 0x3164 || r >= 0xFE00 && r <= 0xFE0F || r == 0xFEFF || r == 0xFFA0 || r >= 0xFFF0 && r <= 0xFFFB
	}
	return r >= 0x13430 && r <= 0x1343F || r >= 0x1BCA0 && r <= 0x1BCA3 || r >= 0x1D173 && r <= 0x1D17A ||
		r >= 0xE0000 && r <= 0xE0FFF
}

// appendText appends s in a form that is safe on one line, and returns how many cells it takes. With quoted, s is to
// stand in double quotes, which the caller adds.
func appendText(dst, s []byte, quoted bool) ([]byte, int) {
	want := uint8(plain)
	if quoted {
		want = plainQuoted
	}
	cells := 0
	for i := 0; i < len(s); {
		j := i
		if !quoted {
			j += plainPrefix(s[i:])
		}
		for j < len(s) && class[s[j]]&want != 0 {
			j++
		}
		if j > i {
			dst = append(dst, s[i:j]...)
			cells += j - i
			i = j
			continue
		}
		var size, n int
		dst, size, n = appendUnit(dst, s[i:], quoted)
		i += size
		cells += n
	}
	return dst, cells
}

// plainPrefix returns a number of bytes at the start of s, a multiple of eight, that are all from ' ' to '~'. It looks at
// eight at a time: the top bit of a byte of what is tested for zero is set by a byte above '~', or one below ' ' that borrows.
// A byte that borrows makes the ones above it suspicious, never the ones below it innocent.
func plainPrefix(s []byte) (n int) {
	const each = 0x0101010101010101
	for ; n+8 <= len(s); n += 8 {
		x := binary.LittleEndian.Uint64(s[n:])
		if (x|(x+each)|(x-' '*each))&(0x80*each) != 0 {
			break
		}
	}
	return n
}

// appendCut is appendText for at most max cells (1 or more). What does not fit is cut between two characters, never
// inside an escape, and marked by "…".
func appendCut(dst, s []byte, max int) ([]byte, int) {
	from := len(dst)
	dst, cells := appendText(dst, s, false)
	if cells <= max {
		return dst, cells
	}
	dst, cells = dst[:from], 0
	for {
		before := len(dst)
		next, size, n := appendUnit(dst, s, false)
		if cells+n > max-1 {
			return append(next[:before], "…"...), cells + 1
		}
		dst, s = next, s[size:]
		cells += n
	}
}

// appendUnit appends the first character of s, which is not empty, and returns its size in s and on the screen.
func appendUnit(dst, s []byte, quoted bool) (_ []byte, size, cells int) {
	c := s[0]
	if c < utf8.RuneSelf {
		switch {
		case class[c]&plainQuoted != 0 || !quoted && class[c]&plain != 0:
			return append(dst, c), 1, 1
		case class[c]&plain != 0:
			return append(dst, '\\', c), 1, 2
		case c == '\n':
			return append(dst, '\\', 'n'), 1, 2
		case c == '\t':
			return append(dst, '\\', 't'), 1, 2
		case c == '\r':
			return append(dst, '\\', 'r'), 1, 2
		}
		return append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15]), 1, 4
	}
	r, size := utf8.DecodeRune(s)
	switch {
	case r == utf8.RuneError && size == 1:
		return append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15]), 1, 4
	case !hidden(r):
		return append(dst, s[:size]...), size, runeWidth(r)
	case r > 0xFFFF:
		return appendHex(append(dst, '\\', 'U'), uint32(r), 8), size, 10
	}
	return appendHex(append(dst, '\\', 'u'), uint32(r), 4), size, 6
}

func appendHex(dst []byte, v uint32, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[v>>shift&15])
	}
	return dst
}
