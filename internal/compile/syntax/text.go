package syntax

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// splitRunes cuts a string into runes, an invalid byte being one of its own.
func splitRunes(s string) []string {
	out := make([]string, 0, len(s))
	for len(s) > 0 {
		_, n := utf8.DecodeRuneInString(s)
		out = append(out, s[:n])
		s = s[n:]
	}
	return out
}

// isPrintable tells whether one rune of splitRunes can be shown as it is.
func isPrintable(r string) bool {
	c, n := utf8.DecodeRuneInString(r)
	return (c != utf8.RuneError || n > 1) && unicode.IsPrint(c)
}

// printable makes text fit to stand in a message: control characters and broken UTF-8 become escapes.
func printable(s string) string {
	var b strings.Builder
	for _, r := range splitRunes(s) {
		b.WriteString(printableRune(r))
	}
	return b.String()
}

func printableRune(r string) string {
	switch {
	case r == "\n":
		return `\n`
	case r == "\t":
		return `\t`
	case r == "\r":
		return `\r`
	case isPrintable(r):
		return r
	}
	var b strings.Builder
	for i := 0; i < len(r); i++ {
		fmt.Fprintf(&b, `\x%02x`, r[i])
	}
	return b.String()
}
