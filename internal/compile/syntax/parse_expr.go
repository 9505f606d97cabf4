package syntax

import (
	"fmt"
	"strconv"
)

// binaryOps are the binary operators and how tightly they bind.
var binaryOps = map[kind]struct {
	op   Op
	prec int
}{
	tokLOr: {OpLOr, 1}, tokLAnd: {OpLAnd, 2}, tokOr: {OpOr, 3}, tokXor: {OpXor, 4}, tokAnd: {OpAnd, 5},
	tokEq: {OpEq, 6}, tokNe: {OpNe, 6}, tokLt: {OpLt, 7}, tokLe: {OpLe, 7}, tokGt: {OpGt, 7}, tokGe: {OpGe, 7},
	tokShl: {OpShl, 8}, tokShr: {OpShr, 8}, tokPlus: {OpAdd, 9}, tokMinus: {OpSub, 9},
	tokStar: {OpMul, 10}, tokSlash: {OpDiv, 10}, tokPercent: {OpMod, 10},
}

// startsExpr tells whether a token can start an operand: after (name) it makes a cast of it. '{' cannot, as
// `if (x) {` must work; '++' cannot, as it follows its operand.
func startsExpr(k kind) bool {
	switch k {
	case tokInt, tokString, tokOpenString, tokIdent, tokVar, tokMap, tokPositional, tokCount, tokLParen,
		tokMinus, tokNot, tokCom, tokStar, tokAnd, tokDec:
		return true
	}
	return false
}

// reserved words start a statement or a declaration, never an operand.
var reserved = map[string]bool{
	"break": true, "continue": true, "else": true, "for": true, "let": true, "return": true, "unroll": true, "while": true,
}

// badExpr stands where the parser failed. It is never part of a tree without errors.
func (p *parser) badExpr() Expr { return &Ident{At: At{p.tokSpan()}} }

// expr reads a whole expression.
func (p *parser) expr() Expr {
	if !p.enter() {
		return p.badExpr()
	}
	defer p.leave()
	return p.exprAfter(p.unary())
}

// exprAfter reads the rest of an expression whose first operand is there.
func (p *parser) exprAfter(x Expr) Expr {
	x = p.binary(x, 1)
	if p.tok.kind != tokQuestion {
		return x
	}
	p.next()
	t := &Ternary{Cond: x}
	if p.tok.kind != tokColon {
		t.Then = p.expr()
	}
	p.expect(tokColon, "of the ?: operator")
	t.Else = p.expr()
	t.At = p.join(x, t.Else)
	return t
}

// join is the span from one node to the end of another.
func (p *parser) join(x, y Node) At { return At{Span{x.Span().Start, y.Span().End}} }

// binary reads the operators that bind at least as tightly as prec, and their right sides.
func (p *parser) binary(x Expr, prec int) Expr {
	for n := 0; ; n++ {
		o, ok := binaryOps[p.tok.kind]
		if !ok || o.prec < prec {
			return x
		}
		if n > maxChain {
			p.fail("the expression is too long", "")
			return x
		}
		p.next()
		y := p.binary(p.unary(), o.prec+1)
		x = &Binary{p.join(x, y), o.op, x, y}
	}
}

var unaryOps = map[kind]Op{tokNot: OpNot, tokCom: OpCom, tokMinus: OpNeg, tokStar: OpDeref}

func (p *parser) unary() Expr {
	if !p.enter() {
		return p.badExpr()
	}
	defer p.leave()
	start := p.tok.start
	if op, ok := unaryOps[p.tok.kind]; ok {
		p.next()
		x := p.unary()
		return &Unary{p.from(start), op, x}
	}
	switch p.tok.kind {
	case tokAnd:
		p.next()
		if p.tok.kind != tokVar && p.tok.kind != tokMap {
			p.fail("& takes the address of a $variable or a @map, not of "+p.found(), "")
			return p.badExpr()
		}
		x := p.primary()
		if ref, ok := x.(*MapRef); ok && ref.Key != nil {
			p.failAt(ref.S, "& takes the address of a whole map, not of an entry", "copy the entry to a $variable first")
		}
		return &AddrOf{p.from(start), x}
	case tokInc, tokDec:
		dec := p.tok.kind == tokDec
		p.next()
		x := p.unary()
		p.checkStep(x)
		return &IncDec{p.from(start), dec, true, x}
	case tokLParen:
		if typeof := p.typeofAhead(); typeof || p.castAhead() {
			p.next()
			from := p.tok.start
			typ := p.typeExpr()
			if typeof && (p.tok.kind != tokRParen || !startsExpr(p.scan(p.tok.end).kind)) {
				x := p.exprAfter(p.postfix(from, &TypeArg{p.from(from), typ}))
				return p.postfix(start, p.parenRest(start, x))
			}
			p.expect(tokRParen, "after the type")
			x := p.unary()
			return &Cast{p.from(start), typ, x}
		}
	case tokIdent:
		if p.is("comptime") && startsExpr(p.scan(p.tok.end).kind) || p.is("comptime") && p.following(tokLBrace) {
			p.next()
			x := p.unary()
			return &Comptime{p.from(start), x}
		}
	}
	return p.postfix(start, p.primary())
}

// checkStep complains about ++ and -- on anything but variables and maps.
func (p *parser) checkStep(x Expr) {
	switch x.(type) {
	case *Var, *MapRef:
	default:
		if !p.failed {
			p.failAt(x.Span(), "++ and -- take a variable or a map", "")
		}
	}
}

// postfix reads what follows an operand that starts at an offset.
func (p *parser) postfix(start int, x Expr) Expr {
	for n := 0; ; n++ {
		if n > maxChain {
			p.fail("the expression is too long", "")
		}
		switch p.tok.kind {
		case tokDot, tokArrow:
			x = p.member(start, x)
		case tokLBracket:
			p.next()
			i := p.expr()
			p.expect(tokRBracket, "after the index")
			x = &Index{p.from(start), x, i}
		case tokInc, tokDec:
			switch x.(type) {
			case *IfExpr, *BlockExpr:
				return x // a new statement
			}
			p.checkStep(x)
			dec := p.tok.kind == tokDec
			p.next()
			x = &IncDec{p.from(start), dec, false, x}
		default:
			return x
		}
	}
}

// member reads .name, ->name or .0.
func (p *parser) member(start int, x Expr) Expr {
	arrow := p.tok.kind == tokArrow
	dot := p.tok
	p.next()
	switch {
	case p.tok.kind == tokIdent:
		name, at := p.ident("")
		return &Field{p.from(start), x, name, arrow, at}
	case p.tok.kind == tokInt && !arrow:
		if _, ok := x.(*IntLit); ok {
			p.failAt(Span{x.Span().Start, p.tokSpan().End}, "there are no numbers with a decimal point", "")
			return x
		}
		at := p.tokSpan()
		i := p.intLit()
		if i.Value > 1<<16 {
			p.report(at, fmt.Sprintf("tuple index %s is too large", i.Text), "")
		}
		return &TupleIndex{p.from(start), x, int(i.Value & 0xffff)}
	}
	p.expected("the name of a member", "after '"+string(p.text[dot.start:dot.end])+"'")
	return x
}

func (p *parser) intLit() *IntLit {
	lit := &IntLit{At: At{p.tokSpan()}, Text: p.word()}
	value, err := decodeInt(lit.Text)
	if err != nil {
		p.report(p.span(p.tok.start+err.from, p.tok.start+err.to), err.message, err.hint)
	}
	lit.Value = value
	p.next()
	return lit
}

func (p *parser) stringLit() *StringLit {
	lit := &StringLit{At: At{p.tokSpan()}}
	value, errs := decodeString(p.word())
	for _, err := range errs {
		p.report(p.span(p.tok.start+err.from, p.tok.start+err.to), err.message, err.hint)
	}
	lit.Value = value
	p.next()
	return lit
}

func (p *parser) primary() Expr {
	at := At{p.tokSpan()}
	start := p.tok.start
	switch p.tok.kind {
	case tokInt:
		return p.intLit()
	case tokString:
		return p.stringLit()
	case tokVar:
		x := &Var{at, p.word()}
		p.next()
		return x
	case tokPositional:
		n, err := strconv.ParseInt(p.word()[1:], 10, 32)
		if err != nil || n == 0 {
			p.report(at.S, "positional parameters count from $1 up", "")
		}
		p.next()
		return &Positional{at, int(n)}
	case tokCount:
		p.next()
		return &Positional{at, 0}
	case tokMap:
		x := &MapRef{at, p.word(), nil}
		p.next()
		if p.accept(tokLBracket) {
			x.Key = p.key()
			x.At = p.from(start)
		}
		return x
	case tokLParen:
		return p.paren()
	case tokLBrace:
		body := p.block("of the block")
		return &BlockExpr{p.from(start), body}
	case tokIdent:
		return p.name()
	}
	p.expected("an expression", "")
	return p.badExpr()
}

// key reads what stands between the brackets of a map.
func (p *parser) key() Expr {
	start := p.tok.start
	x := p.expr()
	if p.tok.kind == tokComma {
		t := &Tuple{Elems: []Expr{x}}
		for p.accept(tokComma) {
			t.Elems = append(t.Elems, p.expr())
		}
		t.At = p.from(start)
		x = t
	}
	p.expect(tokRBracket, "after the key of the map")
	return x
}

// paren reads (e), a tuple or a record.
func (p *parser) paren() Expr {
	start := p.tok.start
	p.next()
	if p.accept(tokRParen) {
		return &Tuple{At: p.from(start)}
	}
	if p.tok.kind == tokIdent && p.following(tokAssign) {
		return p.record(start)
	}
	return p.parenRest(start, p.expr())
}

// parenRest reads what follows the first expression in parentheses.
func (p *parser) parenRest(start int, x Expr) Expr {
	if p.tok.kind != tokComma {
		if !p.failed && p.tok.kind == tokAssign {
			p.fail("an assignment is no expression", "write == to compare")
		}
		p.expect(tokRParen, "")
		return x
	}
	t := &Tuple{Elems: []Expr{x}}
	for p.accept(tokComma) {
		if p.tok.kind == tokRParen {
			break
		}
		t.Elems = append(t.Elems, p.expr())
	}
	p.expect(tokRParen, "after the tuple")
	t.At = p.from(start)
	return t
}

func (p *parser) record(start int) Expr {
	r := &Record{}
	for {
		name, _ := p.ident("the name of a member")
		p.expect(tokAssign, "after the name of the member")
		r.Names = append(r.Names, name)
		r.Elems = append(r.Elems, p.expr())
		if !p.accept(tokComma) || p.tok.kind == tokRParen {
			break
		}
	}
	p.expect(tokRParen, "after the record")
	r.At = p.from(start)
	return r
}

// argument reads an expression or, where one is spelled out, a type.
func (p *parser) argument() Expr {
	if p.typeAhead() {
		start := p.tok.start
		typ := p.typeExpr()
		return &TypeArg{p.from(start), typ}
	}
	return p.expr()
}

// name reads what starts with an identifier.
func (p *parser) name() Expr {
	at, start, word := At{p.tokSpan()}, p.tok.start, p.word()
	if reserved[word] {
		p.fail("expected an expression, found the keyword "+word, "")
		return p.badExpr()
	}
	switch word {
	case "true", "false":
		p.next()
		return &BoolLit{at, word == "true"}
	case "if":
		s := p.ifStmt()
		return &IfExpr{p.from(start), s}
	case "typeof":
		if p.following(tokLParen) {
			typ := p.typeofExpr()
			return &TypeArg{p.from(start), typ}
		}
	case "sizeof", "typeinfo":
		if word == "typeinfo" && !p.following(tokLParen) {
			break
		}
		p.next()
		p.expect(tokLParen, "after "+word)
		typ, x := p.typeOrExpr()
		p.expect(tokRParen, "after the argument of "+word)
		if word == "sizeof" {
			return &Sizeof{p.from(start), typ, x}
		}
		return &Typeinfo{p.from(start), typ, x}
	case "offsetof":
		return p.offsetof()
	}
	p.next()
	if p.tok.kind != tokLParen {
		return &Ident{at, word}
	}
	p.next()
	call := &Call{Func: word, Name: at.S}
	if p.tok.kind != tokRParen {
		for {
			call.Args = append(call.Args, p.argument())
			if !p.accept(tokComma) {
				break
			}
		}
	}
	if p.tok.kind != tokRParen {
		p.expected("',' or ')'", "after the argument of "+word)
	}
	p.next()
	call.At = p.from(start)
	return call
}

func (p *parser) offsetof() Expr {
	start := p.tok.start
	p.next()
	x := &Offsetof{}
	p.expect(tokLParen, "after offsetof")
	x.Type, x.X = p.typeOrExpr()
	p.expect(tokComma, "and the name of a member")
	for {
		name, _ := p.ident("the name of a member")
		x.Fields = append(x.Fields, name)
		if p.tok.kind != tokDot && p.tok.kind != tokArrow {
			break
		}
		p.next()
	}
	p.expect(tokRParen, "after the arguments of offsetof")
	x.At = p.from(start)
	return x
}
