package syntax

import (
	"fmt"
	"sort"
	"strings"
)

const (
	// maxSource is the size of the largest script taken.
	maxSource = 16 << 20
	// maxDepth bounds the nesting of expressions and blocks, maxChain the number of operators in a row: both keep the
	// tree, and with it the stack of whoever walks it, from growing without limit.
	maxDepth = 1000
	maxChain = 4000
	// maxErrors is when the parser stops telling.
	maxErrors = 50
)

// Parse reads a whole script. It returns all syntax errors of it, in order of place; with any of them the tree lacks
// the statements they stand in. The C part is only found and kept: see Preprocess.
func Parse(src *Source) (*Program, []Diagnostic) {
	p := &parser{scanner: scanner{text: src.Text}}
	if len(src.Text) > maxSource {
		p.report(Span{0, 0}, fmt.Sprintf("the script is larger than %d MiB", maxSource>>20), "")
		return &Program{}, p.diags
	}
	prog := p.program()
	prog.Comments = p.comments
	return prog, p.sorted()
}

// ParseExpr reads text, which stands at offset in src, as one expression. Without diagnostics the expression is the
// whole of text.
func ParseExpr(src *Source, offset Pos, text string) (Expr, []Diagnostic) {
	return parseExpr(offset, text, false)
}

// parseExpr is ParseExpr; in the value of a #define, (name)-1 subtracts, as the name is another #define's more often
// than a type's.
func parseExpr(offset Pos, text string, define bool) (Expr, []Diagnostic) {
	p := &parser{scanner: scanner{text: []byte(text), base: offset}, define: define}
	if len(text) > maxSource {
		p.report(Span{offset, offset}, "the expression is too long", "")
		return p.badExpr(), p.diags
	}
	p.tok = p.scan(0)
	x := p.expr()
	if !p.failed && p.tok.kind != tokEOF {
		p.fail("expected the end of the expression, found "+p.found(), "")
	}
	return x, p.sorted()
}

// parser reads by recursive descent with one token of look-ahead.
//
// After a syntax error it is in the state failed: the current token is tokFailed, which no rule accepts, so that all
// rules in progress return without another word, up to the statement list, which skips to a place to go on from.
type parser struct {
	scanner
	tok     token
	prevEnd int // of the token before
	failed  bool
	stopped token // the current token while failed
	depth   int
	diags   []Diagnostic

	lost     bool            // an open string or comment may have hidden a '}'
	define   bool            // this is the value of a #define
	unclosed bool            // a missing '}' has been told about, for this declaration
	params   map[string]bool // identifier parameters of the macro being read: they name no types
}

func (p *parser) sorted() []Diagnostic {
	sort.SliceStable(p.diags, func(i, j int) bool { return p.diags[i].Span.Start < p.diags[j].Span.Start })
	return p.diags
}

// report records an error, one per place.
func (p *parser) report(at Span, message, hint string) {
	if len(p.diags) >= maxErrors {
		return
	}
	for _, d := range p.diags {
		if d.Span.Start == at.Start {
			return
		}
	}
	p.diags = append(p.diags, Diagnostic{Span: at, Message: message, Hint: hint})
}

// next takes the current token.
func (p *parser) next() {
	if p.failed {
		return
	}
	if p.tok.kind == tokOpenString || p.tok.kind == tokIllegal {
		p.lost = p.lost || strings.Contains(p.word(), "}")
	}
	p.prevEnd = p.tok.end
	p.tok = p.scan(p.tok.end)
}

// fail reports an error at the current token and enters the failed state.
func (p *parser) fail(message, hint string) { p.failAt(p.tokSpan(), message, hint) }

func (p *parser) failAt(at Span, message, hint string) {
	if p.failed {
		return
	}
	switch p.tok.kind {
	case tokOpenString:
		at, message, hint = p.tokSpan(), "the string has no closing quote", "a string ends on the line it starts on; write \\n for a new line"
	case tokIllegal:
		if p.hasPrefix(p.tok.start, "/*") {
			at, message, hint = Span{at.Start, at.Start + 2}, "the comment is not closed", "write */ where it ends"
			break
		}
		switch p.text[p.tok.start] {
		case '\'':
			message, hint = "characters in single quotes are not supported", `write the number, or "x"[0]`
		case '#':
			message, hint = "preprocessor lines must stand before everything else", "move it to the top of the script"
		}
	}
	p.report(at, message, hint)
	p.failed, p.stopped = true, p.tok
	p.tok.kind = tokFailed
}

// goOn leaves the failed state.
func (p *parser) goOn() {
	if p.failed {
		p.failed, p.tok = false, p.stopped
	}
}

// tokSpan is the place of the current token; one byte at the end of the text.
func (p *parser) tokSpan() Span { return p.span(p.tok.start, p.tok.end) }

// from is the span from an offset to the end of the last token taken.
func (p *parser) from(start int) At { return At{p.span(start, max(p.prevEnd, start))} }

// word is the text of the current token.
func (p *parser) word() string { return string(p.text[p.tok.start:p.tok.end]) }

// is tells whether the current token is a certain word.
func (p *parser) is(word string) bool { return p.tok.kind == tokIdent && p.word() == word }

// found describes the current token for a message.
func (p *parser) found() string {
	switch p.tok.kind {
	case tokEOF:
		return "the end of the script"
	case tokIllegal:
		return "the character '" + printable(p.word()) + "'"
	case tokString:
		return "a string"
	}
	return "'" + printable(p.word()) + "'"
}

// accept takes the current token if it is of a kind.
func (p *parser) accept(k kind) bool {
	if p.tok.kind != k {
		return false
	}
	p.next()
	return true
}

// expect takes a token that must be there. where says in the message what it is there for.
func (p *parser) expect(k kind, where string) bool {
	if p.accept(k) {
		return true
	}
	p.expected("'"+spelling(k)+"'", where)
	return false
}

// expected fails for something missing. If that is a closing mark and the next token is on another line, the error is
// at the end of this one.
func (p *parser) expected(what, where string) {
	closing := strings.ContainsAny(what, ";)]")
	if where != "" {
		what += " " + where
	}
	if closing && p.prevEnd > 0 && p.prevEnd <= p.tok.start && strings.Contains(string(p.text[p.prevEnd:p.tok.start]), "\n") {
		p.failAt(p.span(p.prevEnd-1, p.prevEnd), "expected "+what, "")
		return
	}
	p.fail("expected "+what+", found "+p.found(), "")
}

func spelling(k kind) string {
	for _, o := range operators {
		if o.kind == k {
			return o.text
		}
	}
	return "/"
}

// ident takes an identifier.
func (p *parser) ident(what string) (string, Span) {
	if p.tok.kind != tokIdent {
		p.expected(what, "")
		return "", p.tokSpan()
	}
	name, at := p.word(), p.tokSpan()
	p.next()
	return name, at
}

// enter counts a level of nesting. Where there are too many it is false, and the rest of the script is not read.
func (p *parser) enter() bool {
	p.depth++
	if p.depth > maxDepth {
		p.fail("this is nested too deeply", "")
		p.stopped, p.unclosed = token{tokEOF, len(p.text), len(p.text)}, true
		return false
	}
	return true
}

func (p *parser) leave() { p.depth-- }

// skipStatement goes on after an error: behind the next ';', or before a '}', a '{' or what looks like a new
// declaration.
func (p *parser) skipStatement() {
	p.goOn()
	for {
		switch p.tok.kind {
		case tokSemicolon:
			p.next()
			return
		case tokEOF, tokRBrace, tokLBrace:
			return
		}
		if p.firstOnLine() && p.atDecl() {
			return
		}
		p.next()
	}
}

// skipToBody goes on after an error in the head of a statement or probe, if there is a '{' to go on at.
func (p *parser) skipToBody() {
	if !p.failed {
		return
	}
	p.goOn()
	for {
		switch p.tok.kind {
		case tokLBrace:
			return
		case tokEOF, tokRBrace, tokSemicolon:
			p.failed, p.stopped = true, p.tok
			p.tok.kind = tokFailed
			return
		}
		p.next()
	}
}

func (p *parser) firstOnLine() bool {
	for i := p.tok.start - 1; i >= 0 && p.text[i] != '\n'; i-- {
		if !isSpace(p.text[i]) {
			return false
		}
	}
	return true
}

// atDecl tells whether the current token starts something that can only stand outside of all blocks.
func (p *parser) atDecl() bool {
	if p.tok.kind != tokIdent {
		return false
	}
	switch word := p.word(); {
	case p.at(p.tok.end) == ':' && p.at(p.tok.end+1) != ':' && !isSpace(p.at(p.tok.end+1)):
		return true
	case strings.EqualFold(word, "begin"), strings.EqualFold(word, "end"):
		c := p.at(p.skip(p.tok.end))
		return c == '{' || c == '/' || c == ','
	case word == "macro", word == "fn":
		after := p.scan(p.tok.end)
		return after.kind == tokIdent && p.scan(after.end).kind == tokLParen
	}
	return false
}
