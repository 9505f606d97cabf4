package syntax

// cPart finds the C preamble from i on and where it ends. Its comments stay in its text.
func (p *parser) cPart(i int) (*CPart, int) {
	start, end := -1, i
	for {
		at := p.layoutEnd(end, nil)
		to := p.cItemEnd(at)
		if to < 0 {
			break
		}
		if start < 0 {
			start = at
		}
		end = to
	}
	if start < 0 {
		return nil, i
	}
	p.skip(i) // keep the comments before
	p.seen = end
	return &CPart{At: At{p.span(start, end)}, Text: string(p.text[start:end])}, end
}

// cItemEnd is the end of the preprocessor line or C definition at i: -1 if there is none.
func (p *parser) cItemEnd(i int) int {
	if p.at(i) == '#' {
		return p.directiveEnd(i)
	}
	word := string(p.text[i:p.identEnd(i)])
	after := p.layoutEnd(i+len(word), nil)
	switch word {
	case "typedef":
		if after > i+len(word) && isIdentStart(p.at(after)) {
			return p.cDeclEnd(after)
		}
	case "struct", "union", "enum":
		if c := p.at(after); c == '{' || after > i+len(word) && isIdentStart(c) {
			return p.cDefinitionEnd(after)
		}
	}
	return -1
}

// lineEnd is the offset of the newline after i.
func (p *parser) lineEnd(i int) int {
	for i < len(p.text) && p.text[i] != '\n' {
		i++
	}
	return i
}

// directiveEnd is the end of a preprocessor line, with the lines that a backslash joins to it.
func (p *parser) directiveEnd(i int) int {
	for {
		end := p.lineEnd(i)
		last := end
		if last > i && p.text[last-1] == '\r' {
			last--
		}
		if end >= len(p.text) || last == i || p.text[last-1] != '\\' {
			return end
		}
		i = end + 1
	}
}

// cDefinitionEnd is the end of `NAME { ... } attributes ;` at i.
func (p *parser) cDefinitionEnd(i int) int {
	i = p.layoutEnd(p.identEnd(i), nil)
	if p.at(i) == ';' {
		return i + 1
	}
	if p.at(i) != '{' {
		return -1
	}
	if i = p.cSkip(i); i < 0 {
		return len(p.text) // Preprocess tells that it is not closed
	}
	end := i
	for {
		i = p.layoutEnd(i, nil)
		switch {
		case p.at(i) == ';':
			return i + 1
		case p.hasPrefix(i, "__attribute__"):
			i = p.layoutEnd(i+len("__attribute__"), nil)
			if p.at(i) != '(' {
				return end
			}
			if i = p.cSkip(i); i < 0 {
				return end
			}
			end = i
		default:
			return end
		}
	}
}

// cDeclEnd is the end of a declaration: after its ';'.
func (p *parser) cDeclEnd(i int) int {
	for i < len(p.text) {
		switch p.text[i] {
		case ';':
			return i + 1
		case '{', '(':
			if i = p.cSkip(i); i < 0 {
				return len(p.text)
			}
			continue
		}
		i++
	}
	return len(p.text)
}

// cSkip is the offset after the bracket that closes the one at i, not looking into comments and quotes; -1 if none does.
func (p *parser) cSkip(i int) int {
	depth := 0
	for i < len(p.text) {
		i = p.layoutEnd(i, nil)
		switch c := p.at(i); c {
		case '{', '(':
			depth++
		case '}', ')':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"', '\'':
			for i++; i < len(p.text) && p.text[i] != c && p.text[i] != '\n'; i++ {
				if p.text[i] == '\\' {
					i++
				}
			}
		}
		i++
	}
	return -1
}
