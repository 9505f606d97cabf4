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
	for isSpace(p.text[end-1]) {
		end--
	}
	p.skip(i) // keep the comments before
	p.seen = end
	return &CPart{At: At{p.span(start, end)}, Text: string(p.text[start:end])}, end
}

// cItemEnd is the end of the preprocessor line or C definition at i: -1 if there is none.
func (s *scanner) cItemEnd(i int) int {
	if s.at(i) == '#' {
		return s.conditionalEnd(i)
	}
	word := string(s.text[i:s.identEnd(i)])
	after := s.layoutEnd(i+len(word), nil)
	switch word {
	case "typedef":
		if after > i+len(word) && isIdentStart(s.at(after)) {
			return s.cDeclEnd(after)
		}
	case "struct", "union", "enum":
		if c := s.at(after); c == '{' || after > i+len(word) && isIdentStart(c) {
			return s.cDefinitionEnd(after)
		}
	}
	return -1
}

// conditionalEnd is the end of a preprocessor line; of an #if, that of its #endif, as anything may stand between them.
// Without an #endif it is the end of the text, which Preprocess tells about.
func (s *scanner) conditionalEnd(i int) int {
	depth := 0
	for at := i; at < len(s.text); at = s.lineEnd(at) + 1 {
		for at < len(s.text) && isSpace(s.text[at]) {
			at++
		}
		if s.at(at) != '#' {
			continue
		}
		for at++; s.at(at) == ' ' || s.at(at) == '\t'; at++ {
		}
		switch string(s.text[at:s.identEnd(at)]) {
		case "if", "ifdef", "ifndef":
			depth++
		case "endif":
			depth--
		}
		if depth <= 0 {
			return s.directiveEnd(at)
		}
	}
	return len(s.text)
}

// lineEnd is the offset of the newline after i.
func (s *scanner) lineEnd(i int) int {
	for i < len(s.text) && s.text[i] != '\n' {
		i++
	}
	return i
}

// directiveEnd is the end of a preprocessor line, with the lines that a backslash joins to it.
func (s *scanner) directiveEnd(i int) int {
	for {
		end := s.lineEnd(i)
		last := end
		if last > i && s.text[last-1] == '\r' {
			last--
		}
		if end >= len(s.text) || last == i || s.text[last-1] != '\\' {
			return end
		}
		i = end + 1
	}
}

// cDefinitionEnd is the end of `NAME { ... } attributes ;` at i.
func (s *scanner) cDefinitionEnd(i int) int {
	i = s.layoutEnd(s.identEnd(i), nil)
	if s.at(i) == ';' {
		return i + 1
	}
	if s.at(i) != '{' {
		return -1
	}
	if i = s.cSkip(i); i < 0 {
		return len(s.text) // Preprocess tells that it is not closed
	}
	end := i
	for {
		i = s.layoutEnd(i, nil)
		switch {
		case s.at(i) == ';':
			return i + 1
		case s.hasPrefix(i, "__attribute__"):
			i = s.layoutEnd(i+len("__attribute__"), nil)
			if s.at(i) != '(' {
				return end
			}
			if i = s.cSkip(i); i < 0 {
				return end
			}
			end = i
		default:
			return end
		}
	}
}

// cDeclEnd is the end of a declaration: after its ';'.
func (s *scanner) cDeclEnd(i int) int {
	for i < len(s.text) {
		switch s.text[i] {
		case ';':
			return i + 1
		case '{', '(':
			if i = s.cSkip(i); i < 0 {
				return len(s.text)
			}
			continue
		}
		i++
	}
	return len(s.text)
}

// cSkip is the offset after the bracket that closes the one at i, not looking into comments and quotes; -1 if none does.
func (s *scanner) cSkip(i int) int {
	depth := 0
	for i < len(s.text) {
		i = s.layoutEnd(i, nil)
		switch c := s.at(i); c {
		case '{', '(':
			depth++
		case '}', ')':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"', '\'':
			for i++; i < len(s.text) && s.text[i] != c && s.text[i] != '\n'; i++ {
				if s.text[i] == '\\' {
					i++
				}
			}
		}
		i++
	}
	return -1
}
