package format

import (
	"fmt"
	"strings"
)

// Flags are the characters between '%' and the width.
type Flags uint8

const (
	Minus Flags = 1 << iota // '-': left-aligned
	Plus                    // '+': a sign before signed numbers that are not negative
	Space                   // ' ': taken, and without effect
	Hash                    // '#': 0x before %x, 0 before %o
	Zero                    // '0': padded with zeros, on whichever side, before the sign too
)

// Item is one piece of a format: a literal text (Verb is ""), or a conversion that takes one argument.
type Item struct {
	Literal string
	// Verb is one of "d", "i", "u", "o", "x", "X", "c", "p", "s", "r", "rx", "rh", "gr".
	Verb  string
	Flags Flags
	Width int // 0 for none
	// Prec is parsed and has no effect on any conversion.
	Prec    int
	HasPrec bool
	// Length is made of the letters h, l, L, j, z, t. See Bytes.
	Length string
	// Offset is where the item begins in the format, in bytes.
	Offset int
}

// MaxWidth is the greatest width a conversion may have.
const MaxWidth = 1 << 20

// Error says what is wrong with a format, and where in it.
type Error struct {
	Offset  int
	Message string
}

func (e *Error) Error() string { return e.Message }

// Parse splits a format into its pieces. Neighbouring literals are one piece; "%%" is a literal "%".
//
// A '%' that begins no conversion stands for itself, as do its letters: "100%." or "%y". A conversion is
//
//	% [-] [+] [space] [#] [0] [width or *] [.precision] [hlLjzt...] verb
//
// with the flags in this order. The '*' is taken and means no width. The floating-point conversions and %n are errors.
func Parse(s string) ([]Item, error) {
	var items []Item
	var lit strings.Builder
	litAt := 0
	flush := func() {
		if lit.Len() > 0 {
			items = append(items, Item{Literal: lit.String(), Offset: litAt})
			lit.Reset()
		}
	}
	for i := 0; i < len(s); {
		at := i
		if lit.Len() == 0 {
			litAt = i
		}
		if s[i] != '%' {
			for i < len(s) && s[i] != '%' {
				i++
			}
			lit.WriteString(s[at:i])
			continue
		}
		it, n, err := conversion(s[i:])
		switch {
		case err != "":
			return nil, &Error{i, err}
		case n == 0:
			lit.WriteByte('%')
			i++
		case it.Verb == "%":
			lit.WriteByte('%')
			i += n
		default:
			flush()
			it.Offset = i
			items = append(items, it)
			i += n
		}
	}
	flush()
	return items, nil
}

// conversion reads the conversion that s begins with; n is its length, 0 if there is none.
func conversion(s string) (it Item, n int, err string) {
	i := 1
	for f, c := range []byte("-+ #0") {
		if i < len(s) && s[i] == c {
			it.Flags |= 1 << f
			i++
		}
	}
	tooWide := false
	number := func() (v int) {
		for i < len(s) && '0' <= s[i] && s[i] <= '9' {
			if v = v*10 + int(s[i]-'0'); v > MaxWidth {
				v, tooWide = MaxWidth, true
			}
			i++
		}
		return v
	}
	if i < len(s) && s[i] == '*' {
		i++
	} else {
		it.Width = number()
	}
	if i+1 < len(s) && s[i] == '.' && (s[i+1] == '*' || '0' <= s[i+1] && s[i+1] <= '9') {
		it.HasPrec = true
		if i++; s[i] == '*' {
			i++
		} else {
			it.Prec = number()
		}
	}
	from := i
	for i < len(s) && strings.IndexByte("hlLjzt", s[i]) >= 0 {
		i++
	}
	it.Length = s[from:i]
	rest := s[i:]
	switch {
	case rest == "":
		return Item{}, 0, ""
	case strings.HasPrefix(rest, "rx"), strings.HasPrefix(rest, "rh"), strings.HasPrefix(rest, "gr"):
		it.Verb = rest[:2]
	case strings.IndexByte("diuoxXcpsr%", rest[0]) >= 0:
		it.Verb = rest[:1]
	case strings.IndexByte("aAeEfFgG", rest[0]) >= 0:
		return Item{}, 0, fmt.Sprintf("%%%c prints a floating-point number, and there are none in a script; use %%d", rest[0])
	case rest[0] == 'n':
		return Item{}, 0, "%n stores a count, which a script cannot take; write %%n for the text"
	default:
		return Item{}, 0, ""
	}
	if tooWide {
		return Item{}, 0, fmt.Sprintf("a width of more than %d in %q", MaxWidth, s[:min(i+len(it.Verb), 40)])
	}
	return it, i + len(it.Verb), ""
}

// Args counts the arguments that the items take.
func Args(items []Item) (n int) {
	for i := range items {
		if items[i].Verb != "" {
			n++
		}
	}
	return n
}

// Bytes is how many low bytes of a number count: the argument is cut to them, and for d and i taken as signed. Without a
// length, and with one that C does not know, there are 4; %p, %s and their like always take the whole value.
func (it *Item) Bytes() int {
	switch it.Length {
	case "hh":
		return 1
	case "h":
		return 2
	case "l", "ll", "j", "z", "t":
		return 8
	}
	return 4
}
