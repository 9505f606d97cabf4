package print

import (
	"errors"
	"unicode/utf8"
)

// appendString appends s as a JSON string. A byte b that is not part of valid UTF-8 becomes \udcXX, XX being b in
// hexadecimal (0xDC00+b): a lone low surrogate, which no valid text has. Python reads it as its surrogateescape does.
func appendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && class[s[j]]&plainQuoted != 0 {
			j++
		}
		if j > i {
			dst = append(dst, s[i:j]...)
			i = j
			continue
		}
		c := s[i]
		if c < utf8.RuneSelf {
			dst = appendEscaped(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = appendHex(append(dst, '\\', 'u'), 0xDC00+uint32(c), 4)
		case !hidden(r):
			dst = append(dst, s[i:i+size]...)
		case r > 0xFFFF:
			v := uint32(r) - 0x10000
			dst = appendHex(append(dst, '\\', 'u'), 0xD800+v>>10, 4)
			dst = appendHex(append(dst, '\\', 'u'), 0xDC00+v&0x3FF, 4)
		default:
			dst = appendHex(append(dst, '\\', 'u'), uint32(r), 4)
		}
		i += size
	}
	return append(dst, '"')
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\t':
		return append(dst, '\\', 't')
	case '\r':
		return append(dst, '\\', 'r')
	}
	return appendHex(append(dst, '\\', 'u'), uint32(c), 4)
}

var errNotString = errors.New("not a JSON string")

// RecoverBytes returns the bytes that a string of NewJSON's output was made from. raw is the string as it stands in the
// line, quotes included (a json.RawMessage): after ordinary decoding it is too late, as encoding/json and jq turn the
// escapes \udc80 to \udcff, each of which stands for one byte (the last two digits), into U+FFFD.
func RecoverBytes(raw []byte) ([]byte, error) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return nil, errNotString
	}
	s := raw[1 : len(raw)-1]
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c < ' ':
			return nil, errNotString
		case c != '\\':
			out = append(out, c)
			continue
		}
		if i++; i == len(s) {
			return nil, errNotString
		}
		if s[i] != 'u' {
			c, ok := unescape(s[i])
			if !ok {
				return nil, errNotString
			}
			out = append(out, c)
			continue
		}
		r, ok := hex4(s[i+1:])
		if !ok {
			return nil, errNotString
		}
		i += 4
		switch {
		case r >= 0xDC80 && r <= 0xDCFF:
			out = append(out, byte(r))
			continue
		case r >= 0xD800 && r <= 0xDBFF:
			if len(s) < i+7 || s[i+1] != '\\' || s[i+2] != 'u' {
				return nil, errNotString
			}
			low, ok := hex4(s[i+3:])
			if !ok || low < 0xDC00 || low > 0xDFFF {
				return nil, errNotString
			}
			r = 0x10000 + (r-0xD800)<<10 + (low - 0xDC00)
			i += 6
		case r >= 0xDC00 && r <= 0xDFFF:
			return nil, errNotString
		}
		out = utf8.AppendRune(out, r)
	}
	return out, nil
}

func unescape(c byte) (byte, bool) {
	switch c {
	case '"', '\\', '/':
		return c, true
	case 'n':
		return '\n', true
	case 't':
		return '\t', true
	case 'r':
		return '\r', true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	}
	return 0, false
}

func hex4(s []byte) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range s[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
