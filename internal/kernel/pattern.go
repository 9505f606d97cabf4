package kernel

import "strings"

// A pattern is what names are compared with: only '*' is special, and stands for any bytes or none.
type pattern struct {
	parts []string // between the stars; one part: no star
}

func newPattern(text string) pattern { return pattern{strings.Split(text, "*")} }

func hasStar(text string) bool { return strings.Contains(text, "*") }

// match goes through the name once: the first part has to start it, the last to end it, and of the others the first place
// that fits is as good as any.
func (p pattern) match(name string) bool {
	last := len(p.parts) - 1
	if last == 0 {
		return name == p.parts[0]
	}
	rest, ok := strings.CutPrefix(name, p.parts[0])
	if !ok {
		return false
	}
	for _, part := range p.parts[1:last] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return strings.HasSuffix(rest, p.parts[last])
}

// bytes is match for a name that is not worth a string before it is known to match.
func (p pattern) bytes(name []byte) bool {
	last := len(p.parts) - 1
	if first := p.parts[0]; len(name) < len(first) || string(name[:len(first)]) != first {
		return false
	}
	if end := p.parts[last]; len(name) < len(end) || string(name[len(name)-len(end):]) != end {
		return false
	}
	return p.match(string(name))
}
