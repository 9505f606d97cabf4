package rule

import "strings"

// HasMeta says whether a pattern has * ? or [ that is not escaped.
func HasMeta(p string) bool {
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '*', '?', '[':
			return true
		case '\\':
			i++
		}
	}
	return false
}

// Unescape returns the name that a pattern without meta characters stands for.
func Unescape(p string) string {
	if !strings.Contains(p, `\`) {
		return p
	}
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if p[i] == '\\' && i+1 < len(p) {
			i++
		}
		b.WriteByte(p[i])
	}
	return b.String()
}

// Escape returns a pattern for exactly that name or path.
func Escape(name string) string {
	if !strings.ContainsAny(name, `*?[\`) {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		if strings.IndexByte(`*?[\`, name[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// MatchName says whether a pattern for one name matches it, byte by byte, as the kernel's programs do: * is any number of
// bytes, ? one, [a-z] one of these, [!a-z] or [^a-z] one that is none of these, \x is x. A pattern that is not well formed
// matches nothing.
func MatchName(p, name string) bool {
	star, from := -1, 0 // behind the last *, and how much of the name it took
	at, i := 0, 0
	for i < len(name) {
		if at < len(p) && p[at] == '*' {
			star, from = at+1, i
			at++
			continue
		}
		if size := matchOne(p[at:], name[i]); size > 0 {
			at += size
			i++
			continue
		}
		if star < 0 {
			return false
		}
		from++
		at, i = star, from
	}
	return strings.Trim(p[at:], "*") == ""
}

// matchOne returns how many bytes of the pattern match that byte, 0 for no match.
func matchOne(p string, c byte) int {
	if p == "" {
		return 0
	}
	switch p[0] {
	case '?':
		return 1
	case '[':
		if class := classOf(p); class != nil && class.has(c) {
			return class.size
		}
		return 0
	case '\\':
		if len(p) > 1 && p[1] == c {
			return 2
		}
		return 0
	}
	if p[0] == c {
		return 1
	}
	return 0
}

// class is a [..] at the beginning of a pattern.
type class struct {
	text string // between the brackets, without the !
	not  bool
	size int // of all of it
}

// classOf returns nil where no ] closes it. A ] that comes first is one of the bytes.
func classOf(p string) *class {
	from := 1
	not := from < len(p) && (p[from] == '!' || p[from] == '^')
	if not {
		from++
	}
	for i := from; i < len(p); i++ {
		switch {
		case p[i] == '\\':
			i++
		case p[i] == ']' && i > from:
			return &class{p[from:i], not, i + 1}
		}
	}
	return nil
}

func (c *class) has(b byte) bool {
	for t := c.text; t != ""; {
		low, size := classByte(t)
		t = t[size:]
		high := low
		if len(t) > 1 && t[0] == '-' {
			high, size = classByte(t[1:])
			t = t[1+size:]
		}
		if low <= b && b <= high {
			return !c.not
		}
	}
	return c.not
}

func classByte(t string) (byte, int) {
	if t[0] == '\\' && len(t) > 1 {
		return t[1], 2
	}
	return t[0], 1
}
