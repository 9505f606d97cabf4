package syntax

import "unicode/utf8"

// kind is the kind of a token.
type kind uint8

const (
	tokEOF     kind = iota
	tokFailed       // what the parser sees between a syntax error and the place where it goes on
	tokIllegal      // a character that starts no token
	tokIdent
	tokVar        // $x
	tokMap        // @x or @
	tokPositional // $1
	tokCount      // $#
	tokInt        // a number with whatever letters stick to it: decodeInt judges them
	tokString     // with its quotes: decodeString judges the escapes
	tokOpenString // a string that the line's end cut off
	tokEndPredicate

	tokLParen
	tokRParen
	tokLBrace
	tokRBrace
	tokLBracket
	tokRBracket
	tokSemicolon
	tokComma
	tokColon
	tokQuestion
	tokDot
	tokRange // ..
	tokArrow // ->
	tokInc
	tokDec
	tokNot
	tokCom
	tokPlus
	tokMinus
	tokStar
	tokSlash
	tokPercent
	tokAnd
	tokOr
	tokXor
	tokShl
	tokShr
	tokLAnd
	tokLOr
	tokEq
	tokNe
	tokLt
	tokLe
	tokGt
	tokGe
	tokAssign
	tokAddAssign
	tokSubAssign
	tokMulAssign
	tokDivAssign
	tokModAssign
	tokAndAssign
	tokOrAssign
	tokXorAssign
	tokShlAssign
	tokShrAssign
)

// operators holds the spellings, those that are the start of another after it.
var operators = []struct {
	text string
	kind kind
}{
	{"<<=", tokShlAssign}, {">>=", tokShrAssign},
	{"<<", tokShl}, {">>", tokShr}, {"<=", tokLe}, {">=", tokGe}, {"==", tokEq}, {"!=", tokNe},
	{"&&", tokLAnd}, {"||", tokLOr}, {"++", tokInc}, {"--", tokDec}, {"->", tokArrow}, {"..", tokRange},
	{"+=", tokAddAssign}, {"-=", tokSubAssign}, {"*=", tokMulAssign}, {"/=", tokDivAssign}, {"%=", tokModAssign},
	{"&=", tokAndAssign}, {"|=", tokOrAssign}, {"^=", tokXorAssign},
	{"(", tokLParen}, {")", tokRParen}, {"{", tokLBrace}, {"}", tokRBrace}, {"[", tokLBracket}, {"]", tokRBracket},
	{";", tokSemicolon}, {",", tokComma}, {":", tokColon}, {"?", tokQuestion}, {".", tokDot},
	{"!", tokNot}, {"~", tokCom}, {"+", tokPlus}, {"-", tokMinus}, {"*", tokStar}, {"/", tokSlash}, {"%", tokPercent},
	{"&", tokAnd}, {"|", tokOr}, {"^", tokXor}, {"<", tokLt}, {">", tokGt}, {"=", tokAssign},
}

// token is a stretch of the text. Its value is worked out only when the parser takes it, so looking ahead is free of
// effects.
type token struct {
	kind       kind
	start, end int
}

// scanner cuts the text into tokens. It has no state but the comments met so far: the parser says where to read.
type scanner struct {
	text     []byte
	base     Pos // of text[0] in the source
	comments []*Comment
	seen     int // comments that start before this offset are in the list already
}

func isIdentStart(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool      { return '0' <= c && c <= '9' }
func isIdentPart(c byte) bool  { return isIdentStart(c) || isDigit(c) }
func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}

// at is the byte at an offset, 0 past the end.
func (s *scanner) at(i int) byte {
	if i < len(s.text) {
		return s.text[i]
	}
	return 0
}

// hasPrefix tells whether the text goes on with a string at an offset.
func (s *scanner) hasPrefix(i int, prefix string) bool {
	return len(s.text)-i >= len(prefix) && string(s.text[i:i+len(prefix)]) == prefix
}

// layoutEnd is the offset of the first byte that is neither white space nor comment. An unclosed block comment ends
// at its own start, so that it comes out as a token and can be told about.
func (s *scanner) layoutEnd(i int, comment func(from, to int)) int {
	for i < len(s.text) {
		switch {
		case isSpace(s.text[i]):
			i++
			continue
		case s.hasPrefix(i, "//"), s.hasPrefix(i, "/*"):
			end := s.commentEnd(i)
			if end < 0 {
				return i
			}
			if comment != nil {
				comment(i, end)
			}
			i = end
			continue
		}
		return i
	}
	return len(s.text)
}

// commentEnd is the end of the comment at i, without a line comment's newline; -1 if it is not closed.
func (s *scanner) commentEnd(i int) int {
	if s.text[i+1] == '/' {
		for i < len(s.text) && s.text[i] != '\n' {
			i++
		}
		return i
	}
	for i += 2; i < len(s.text); i++ {
		if s.hasPrefix(i, "*/") {
			return i + 2
		}
	}
	return -1
}

// skip is layoutEnd, keeping the comments.
func (s *scanner) skip(i int) int {
	return s.layoutEnd(i, func(from, to int) {
		if from < s.seen {
			return
		}
		s.seen = to
		text := s.text[from:to]
		for len(text) > 0 && isSpace(text[len(text)-1]) {
			text = text[:len(text)-1]
		}
		s.comments = append(s.comments, &Comment{At: At{s.span(from, from+len(text))}, Text: string(text)})
	})
}

func (s *scanner) span(from, to int) Span { return Span{s.base + Pos(from), s.base + Pos(to)} }

// scan reads the token that starts at or after i.
func (s *scanner) scan(i int) token {
	i = s.skip(i)
	if i >= len(s.text) {
		return token{tokEOF, len(s.text), len(s.text)}
	}
	c := s.text[i]
	switch {
	case isIdentStart(c):
		return token{tokIdent, i, s.identEnd(i)}
	case isDigit(c):
		return token{tokInt, i, s.identEnd(i)}
	case c == '"':
		return s.scanString(i)
	case c == '@':
		if isIdentStart(s.at(i + 1)) {
			return token{tokMap, i, s.identEnd(i + 1)}
		}
		return token{tokMap, i, i + 1}
	case c == '$':
		switch d := s.at(i + 1); {
		case isIdentStart(d):
			return token{tokVar, i, s.identEnd(i + 1)}
		case isDigit(d):
			end := i + 1
			for isDigit(s.at(end)) {
				end++
			}
			return token{tokPositional, i, end}
		case d == '#':
			return token{tokCount, i, i + 2}
		}
		return token{tokIllegal, i, i + 1}
	case s.hasPrefix(i, "/*"):
		return token{tokIllegal, i, len(s.text)}
	case c == '/' && s.at(s.skip(i+1)) == '{':
		return token{tokEndPredicate, i, i + 1}
	}
	for _, o := range operators {
		if s.hasPrefix(i, o.text) {
			return token{o.kind, i, i + len(o.text)}
		}
	}
	_, n := utf8.DecodeRune(s.text[i:])
	return token{tokIllegal, i, i + n}
}

func (s *scanner) identEnd(i int) int {
	for isIdentPart(s.at(i)) {
		i++
	}
	return i
}

// scanString finds the closing quote on the same line.
func (s *scanner) scanString(i int) token {
	for j := i + 1; j < len(s.text); j++ {
		switch s.text[j] {
		case '"':
			return token{tokString, i, j + 1}
		case '\\':
			if s.at(j+1) != '\n' {
				j++
			}
		case '\n':
			return token{tokOpenString, i, j}
		}
	}
	return token{tokOpenString, i, len(s.text)}
}
