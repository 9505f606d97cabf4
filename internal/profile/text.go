package profile

import (
	"path"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What stands for a frame that there is not. They are in the place of the first function, since it is the callers that are missing.
const (
	markNoFramePointer = "[no frame pointer]"
	markCut            = "[more frames]"
	markMissing        = "[no stack]"
	nameUnknown        = "[unknown]"
)

// mark is the frame that says how a stack ended, "" if all is well.
func (e End) mark() string {
	switch e {
	case NoFramePointer:
		return markNoFramePointer
	case Cut:
		return markCut
	case Missing:
		return markMissing
	}
	return ""
}

// shown is how a frame is called where there is place for one name: of what has none, the module.
func (f *Frame) shown() string {
	switch {
	case f.Name != "":
		return f.Name
	case f.Module != "":
		return "[" + path.Base(f.Module) + "]"
	}
	return nameUnknown
}

// root is how a label looks as a frame.
func (l Label) root() string {
	if l.Key == "comm" || l.Key == "" {
		return l.Value
	}
	return l.Key + "=" + l.Value
}

// visible writes what no terminal and no XML reader should get as what it is: \x1b, \xff, \u202e. What is plain stays.
func visible(s string) string {
	plain := true
	for _, r := range s {
		if hidden(r) || r == utf8.RuneError {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1 || r < 0x80 && hidden(r):
			b.WriteString(`\x`)
			writeHex(&b, uint64(s[i]), 2)
		case hidden(r):
			b.WriteString(`\u`)
			writeHex(&b, uint64(r), 4)
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// hidden is what controls a terminal, what turns the direction of writing, and what XML cannot hold.
func hidden(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0x61c, r == 0xfeff:
		return true
	case r&0xfffe == 0xfffe, r >= 0xfff0 && r <= 0xfffb:
		return true
	}
	return false
}

func writeHex(b *strings.Builder, n uint64, digits int) {
	text := strconv.FormatUint(n, 16)
	for range digits - len(text) {
		b.WriteByte('0')
	}
	b.WriteString(text)
}
