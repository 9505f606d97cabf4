package print

import "unicode/utf8"

// AppendJSON appends s as a JSON string, in the form that NewJSON's sinks write.
func AppendJSON(dst, s []byte) []byte { return appendString(dst, s) }

// AppendText appends s in the form of the text sinks, safe on one line.
func AppendText(dst, s []byte) []byte {
	dst, _ = appendText(dst, s, false)
	return dst
}

// AppendVisible appends s for a terminal: what could command it, hide or turn the direction of text is escaped as in the
// text sinks, but newlines and tabs stay as they are.
func AppendVisible(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case class[c]&plain != 0 || c == '\n' || c == '\t':
			dst = append(dst, c)
			i++
		case c < utf8.RuneSelf:
			dst, _, _ = appendUnit(dst, s[i:], false)
			i++
		default:
			var size int
			dst, size, _ = appendUnit(dst, s[i:], false)
			i += size
		}
	}
	return dst
}
