package syntax

import (
	"fmt"
	"math/bits"
	"strings"
)

// units are the duration suffixes, in nanoseconds.
var units = map[string]uint64{
	"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9, "d": 86400e9,
}

// literalError is what is wrong with a literal: a stretch of its text, a message and a hint.
type literalError struct {
	from, to      int
	message, hint string
}

func (e *literalError) Error() string { return e.message }

// ParseInt reads a number as scripts write it, without a sign: 10, 0x1f, 010, 1e6, 1_000, 5ms.
func ParseInt(text string) (value uint64, ok bool) {
	if text == "" || !isDigit(text[0]) {
		return 0, false
	}
	value, err := decodeInt(text)
	return value, err == nil
}

// decodeInt is the value of a number as scanned: decimal, octal, hexadecimal, 1e6, with '_' between the digits and a
// C suffix or a unit of time after them.
func decodeInt(text string) (uint64, *literalError) {
	fail := func(from, to int, message, hint string) (uint64, *literalError) {
		return 0, &literalError{from, to, message, hint}
	}
	base, from := uint64(10), 0
	if len(text) > 1 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X') {
		base, from = 16, 2
	}
	end := from
	for end < len(text) && (text[end] == '_' || digit(text[end]) < base) {
		end++
	}
	digits, rest := text[from:end], text[end:]
	if digits == "" {
		return fail(0, len(text), fmt.Sprintf("number %s has no digits", text), "")
	}
	if digits[len(digits)-1] == '_' {
		return fail(0, len(text), "a number cannot end in '_'", "")
	}
	if base == 10 && len(rest) > 1 && (rest[0] == 'e' || rest[0] == 'E') && isDigit(rest[1]) {
		return decodeScientific(text, digits, end)
	}
	digits = strings.ReplaceAll(digits, "_", "")
	if base == 10 && len(digits) > 1 && digits[0] == '0' {
		base, digits = 8, digits[1:]
		if i := strings.IndexAny(digits, "89"); i >= 0 {
			return fail(0, len(text), fmt.Sprintf("digit %c in octal number %s", digits[i], text), "a leading 0 makes a number octal")
		}
	}
	value, ok := uint64(0), true
	for i := 0; i < len(digits) && ok; i++ {
		value, ok = mulAdd(value, base, digit(digits[i]))
	}
	if !ok {
		return fail(0, len(text), tooBig(text), "")
	}
	return scale(value, text, end, base != 16)
}

// decodeScientific is the value of NeM, whose exponent starts after the 'e' at end.
func decodeScientific(text, digits string, end int) (uint64, *literalError) {
	exp := end + 1
	for end = exp; end < len(text) && (text[end] == '_' || isDigit(text[end])); end++ {
	}
	power := text[exp:end]
	switch {
	case len(digits) != 1 || digits[0] == '0':
		return 0, &literalError{0, len(text), fmt.Sprintf("number %s: only one digit from 1 to 9 may stand before the 'e'", text), ""}
	case power[0] == '0' || power[len(power)-1] == '_':
		return 0, &literalError{0, len(text), fmt.Sprintf("number %s: the exponent must be a positive number", text), ""}
	}
	n := 0
	for _, c := range strings.ReplaceAll(power, "_", "") {
		if n = n*10 + int(c-'0'); n > 99 {
			break
		}
	}
	value, ok := digit(digits[0]), true
	for ; n > 0 && ok; n-- {
		value, ok = mulAdd(value, 10, 0)
	}
	if !ok {
		return 0, &literalError{0, len(text), tooBig(text), ""}
	}
	return scale(value, text, end, true)
}

// scale applies the suffix that starts at i.
func scale(value uint64, text string, i int, mayUnit bool) (uint64, *literalError) {
	suffix := text[i:]
	switch strings.ToLower(suffix) {
	case "", "u", "l", "ul", "lu", "ll", "ull", "llu":
		return value, nil
	}
	unit, ok := units[suffix]
	if !ok || !mayUnit {
		return 0, &literalError{i, len(text), fmt.Sprintf("number %s has an unknown suffix '%s'", text, suffix),
			"units of time are ns, us, ms, s, m, h and d"}
	}
	if value, ok = mulAdd(value, unit, 0); !ok {
		return 0, &literalError{0, len(text), tooBig(text) + " as nanoseconds", ""}
	}
	return value, nil
}

func tooBig(text string) string { return fmt.Sprintf("number %s does not fit in 64 bits", text) }

// mulAdd is a*b+c, and whether it fits.
func mulAdd(a, b, c uint64) (uint64, bool) {
	hi, lo := bits.Mul64(a, b)
	sum, carry := bits.Add64(lo, c, 0)
	return sum, hi == 0 && carry == 0
}

// digit is the value of a digit in any base up to 16, or 255.
func digit(c byte) uint64 {
	switch {
	case isDigit(c):
		return uint64(c - '0')
	case 'a' <= c && c <= 'f':
		return uint64(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return uint64(c-'A') + 10
	}
	return 255
}

// decodeString resolves the escapes of a string with its quotes.
func decodeString(text string) (string, []*literalError) {
	var b strings.Builder
	var errs []*literalError
	body := text[:len(text)-1]
	for i := 1; i < len(body); i++ {
		if body[i] != '\\' {
			b.WriteByte(body[i])
			continue
		}
		from := i
		i++
		switch c := body[i]; {
		case c == 'n':
			b.WriteByte('\n')
		case c == 't':
			b.WriteByte('\t')
		case c == 'r':
			b.WriteByte('\r')
		case c == '"', c == '\\':
			b.WriteByte(c)
		case c == 'x':
			v, n := 0, 0
			for n < 2 && i+1 < len(body) && digit(body[i+1]) < 16 {
				i, n = i+1, n+1
				v = v*16 + int(digit(body[i]))
			}
			if n == 0 {
				errs = append(errs, &literalError{from, i + 1, `\x needs one or two hexadecimal digits`, ""})
			}
			b.WriteByte(byte(v))
		case '0' <= c && c <= '7':
			v := int(c - '0')
			for n := 1; n < 3 && i+1 < len(body) && digit(body[i+1]) < 8; n++ {
				i++
				v = v*8 + int(digit(body[i]))
			}
			if v > 0o377 {
				errs = append(errs, &literalError{from, i + 1, fmt.Sprintf("octal escape %s is larger than one byte", body[from:i+1]), ""})
			}
			b.WriteByte(byte(v))
		default:
			errs = append(errs, &literalError{from, i + 1, fmt.Sprintf("unknown escape %s in a string", printable(body[from:i+1])),
				`the escapes are \n \t \r \" \\, \x and octal`})
		}
	}
	return b.String(), errs
}

// quote writes a string as a literal of the language. Valid UTF-8 stays as it is.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range splitRunes(s) {
		switch {
		case r == "\n":
			b.WriteString(`\n`)
		case r == "\t":
			b.WriteString(`\t`)
		case r == "\r":
			b.WriteString(`\r`)
		case r == `"`, r == `\`:
			b.WriteString(`\` + r)
		case isPrintable(r):
			b.WriteString(r)
		default:
			for i := 0; i < len(r); i++ {
				fmt.Fprintf(&b, `\x%02x`, r[i])
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}
