package measure

import (
	"bufio"
	"bytes"
	"io"
)

// Tally counts the numbered paths in what a tool has printed: lines with the prefix and a number of seven digits below
// different. Each is expected that many times; repeated is how many came more often, and were not counted again.
func Tally(output io.Reader, prefix string, different, times int) (counted, repeated int) {
	seen := make([]int, different)
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, rest, ok := bytes.Cut(lines.Bytes(), []byte(prefix))
		if !ok {
			continue
		}
		n, ok := sevenDigits(rest)
		switch {
		case !ok || n >= different:
		case seen[n] == times:
			repeated++
		default:
			seen[n]++
			counted++
		}
	}
	return counted, repeated
}

// sevenDigits reads the number that text begins with.
func sevenDigits(text []byte) (int, bool) {
	const digits = 7
	if len(text) < digits || len(text) > digits && text[digits] >= '0' && text[digits] <= '9' {
		return 0, false
	}
	n := 0
	for _, c := range text[:digits] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
