package syntax

// cKind is the kind of a token of C.
type cKind uint8

const (
	cIdent cKind = iota
	cNumber
	cChar
	cString
	cPunct
)

type cToken struct {
	kind cKind
	text string
	at   Span
}

// cTokens cuts a stretch of C that stands at an offset into tokens.
func cTokens(text string, offset Pos) []cToken {
	s := &scanner{text: []byte(text), base: offset}
	var out []cToken
	for i := s.layoutEnd(0, nil); i < len(s.text) && len(out) < maxCTokens; {
		t := scanC(s, i)
		out = append(out, t)
		i = s.layoutEnd(int(t.at.End-offset), nil)
	}
	return out
}

// cOperators are the operators of two bytes.
var cOperators = []string{"<<", ">>", "<=", ">=", "==", "!=", "&&", "||"}

// scanC reads the token at i. Quotes end at the end of the line.
func scanC(s *scanner, i int) cToken {
	token := func(k cKind, end int) cToken { return cToken{k, string(s.text[i:end]), s.span(i, end)} }
	c := s.text[i]
	switch {
	case isIdentStart(c):
		return token(cIdent, s.identEnd(i))
	case isDigit(c):
		return token(cNumber, s.identEnd(i))
	case c == '"', c == '\'':
		end := i + 1
		for end < len(s.text) && s.text[end] != c && s.text[end] != '\n' {
			if s.text[end] == '\\' && end+1 < len(s.text) {
				end++
			}
			end++
		}
		if end < len(s.text) && s.text[end] == c {
			end++
		}
		if c == '"' {
			return token(cString, end)
		}
		return token(cChar, end)
	}
	for _, o := range cOperators {
		if s.hasPrefix(i, o) {
			return token(cPunct, i+2)
		}
	}
	return token(cPunct, i+1)
}
