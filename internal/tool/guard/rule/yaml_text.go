package rule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// plain reads a text without quotes: to the end of the line, a comment, or what ends a key or a value.
func (r *reader) plain() string {
	pos := r.pos()
	switch c := r.peek(); {
	case c == '|' || c == '>':
		r.fail(pos, fmt.Sprintf("a text over several lines (%c)", c), "write it in quotes, in one line")
	case strings.IndexByte(",]}", c) >= 0:
		r.fail(pos, fmt.Sprintf("a %c where a value should be", c), "take it out; a text that begins with it stands in quotes")
	case strings.IndexByte("#%@`", c) >= 0:
		r.fail(pos, fmt.Sprintf("a text that begins with %c", c), "put it in quotes")
	case r.open > 0 && (c == ':' || c == '?'):
		r.fail(pos, fmt.Sprintf("a text in brackets that begins with %c", c), "put it in quotes")
	case (c == '-' || c == '?' || c == ':') && (isBlank(r.byteAt(r.at+1)) || r.open > 0 && strings.IndexByte(",[]{}", r.byteAt(r.at+1)) >= 0):
		r.fail(pos, fmt.Sprintf("a %c with no text behind it", c), "a text that it is stands in quotes")
	}
	from, to := r.at, r.at
	for ; r.peek() != 0; r.at++ {
		c, next := r.peek(), r.byteAt(r.at+1)
		if c == ':' && isBlank(next) || c == '#' && r.at > from && isBlank(r.text[r.at-1]) {
			break
		}
		if r.open > 0 {
			if strings.IndexByte(",[]{}", c) >= 0 {
				break
			}
			if c == ':' && strings.IndexByte(",[]{}", next) >= 0 {
				r.fail(r.pos(), "a : at the end of a text in brackets", "put the text into quotes")
			}
		}
		if !isBlank(c) {
			to = r.at + 1
		}
	}
	r.at = to
	return string(r.text[from:to])
}

// singleQuoted reads a text in which only the quote itself is special: two of them are one.
func (r *reader) singleQuoted() string {
	pos := r.pos()
	var b strings.Builder
	for r.at++; ; r.at++ {
		c := r.peek()
		switch {
		case c == 0:
			r.unclosed(pos)
		case c != '\'':
			b.WriteByte(c)
			continue
		case r.byteAt(r.at+1) == '\'':
			b.WriteByte(c)
			r.at++
			continue
		}
		r.at++
		return b.String()
	}
}

func (r *reader) unclosed(pos Pos) {
	r.fail(pos, "a text in quotes that does not end in its line", "close it; a line feed is \\n in double quotes")
}

// escapes of double-quoted texts that stand for one character.
var escapes = map[byte]string{
	'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", 'n': "\n", 'v': "\v", 'f': "\f", 'r': "\r", 'e': "\x1b", ' ': " ", '"': `"`,
	'\\': `\`, 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029",
}

func (r *reader) doubleQuoted() string {
	pos := r.pos()
	var b strings.Builder
	for r.at++; ; r.at++ {
		c := r.peek()
		switch c {
		case 0:
			r.unclosed(pos)
		case '"':
			r.at++
			return b.String()
		case '\\':
			b.WriteString(r.escape(pos))
		default:
			b.WriteByte(c)
		}
	}
}

// escape reads an escape but its last byte.
func (r *reader) escape(opened Pos) string {
	pos := r.pos()
	r.at++
	c := r.peek()
	if c == 0 {
		r.unclosed(opened)
	}
	if text, ok := escapes[c]; ok {
		return text
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if end := r.at + digits; digits > 0 && end < len(r.text) {
		n, err := strconv.ParseUint(string(r.text[r.at+1:end+1]), 16, 32)
		if err == nil && n <= utf8.MaxRune && utf8.ValidRune(rune(n)) {
			r.at = end
			return string(rune(n))
		}
	}
	r.fail(pos, "an escape that YAML does not have", `write \\ for the backslash itself, or the text in single quotes`)
	return ""
}

// tagOf says what YAML takes a plain text for. What some reader may take for a number or a date is no text.
func tagOf(text string) string {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return "null"
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return "bool"
	}
	number := strings.TrimLeft(text, "+-")
	switch strings.ToLower(number) {
	case ".inf", ".nan":
		return "float"
	}
	digits := strings.ReplaceAll(number, "_", "")
	if digits == "" || !isDigit(digits[0]) && (digits[0] != '.' || len(digits) < 2 || !isDigit(digits[1])) {
		return "str"
	}
	if _, err := strconv.ParseUint(digits, 0, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return "int"
	}
	if _, err := strconv.ParseFloat(digits, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return "float"
	}
	day, _, _ := strings.Cut(strings.NewReplacer("T", " ", "t", " ", "\t", " ").Replace(text), " ")
	if year, rest, ok := strings.Cut(day, "-"); ok && len(year) == 4 && rest != "" && strings.Trim(year+rest, "0123456789-") == "" {
		return "timestamp"
	}
	return "str"
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
