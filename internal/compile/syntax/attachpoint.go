package syntax

import "strings"

// attachPoints reads raw text: the list of attach points before a predicate or body. end is where it stopped.
func (p *parser) attachPoints(i int) (points []*AttachPoint, end int) {
	for {
		i = p.skip(i)
		if c := p.at(i); i >= len(p.text) || c == '{' || c == '/' && len(points) > 0 {
			break
		}
		point, end := p.attachPoint(i)
		if point == nil {
			return points, i
		}
		points = append(points, point)
		if i = p.skip(end); p.at(i) != ',' {
			return points, i
		}
		i++
	}
	if len(points) == 0 {
		p.fail("expected a probe, found "+p.found(), "a script is made of probes, as in: kprobe:vfs_read { @[comm] = count(); }")
	}
	return points, i
}

// attachPoint reads one of them. On failure it is nil.
func (p *parser) attachPoint(i int) (*AttachPoint, int) {
	start := i
	colon := false
scan:
	for ; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '{', c == ',', isSpace(c):
			break scan
		case c == '/' && !colon:
			break scan
		case c == ':':
			colon = true
		case c == '"':
			end := p.quoteEnd(i)
			if end < 0 {
				p.failAt(p.span(i, p.lineEnd(i)), "the quote in the probe is not closed", "")
				return nil, i
			}
			i = end - 1
		}
	}
	if i == start {
		p.failAt(p.span(i, i+1), "expected a probe, found '"+printable(string(p.text[i:i+1]))+"'", "")
		return nil, i
	}
	a := &AttachPoint{At: At{p.span(start, i)}, Text: string(p.text[start:i])}
	if isTag(a.Text) {
		p.failAt(a.S, "expected a probe, found "+a.Text, "")
		return nil, i
	}
	if name := p.identEnd(start); name > start && p.at(name) == '=' && name+1 < i {
		a.Name, a.Text = string(p.text[start:name]), string(p.text[name+1:i])
	}
	a.Parts = splitPoint(a.Text)
	return a, i
}

// quoteEnd is the offset after the quote that closes the one at i, or -1 if the line ends first.
func (p *parser) quoteEnd(i int) int {
	for i++; i < len(p.text) && p.text[i] != '\n'; i++ {
		switch p.text[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// splitPoint cuts the text of an attach point at the colons outside quotes, and takes quotes and escapes away.
func splitPoint(text string) []string {
	var parts []string
	var b strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case c == ':' && !quoted:
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(parts, b.String())
}
