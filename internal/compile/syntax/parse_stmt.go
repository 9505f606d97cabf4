package syntax

// block reads { ... } whose last expression without a ';' is its value.
func (p *parser) block(of string) *Block {
	b := &Block{}
	if !p.enter() {
		return b
	}
	defer p.leave()
	start := p.tok.start
	b.S = p.tokSpan()
	if p.tok.kind != tokLBrace {
		p.expected("'{'", "before the body "+of)
		return b
	}
	open := p.tokSpan()
	p.next()
	for {
		for p.accept(tokSemicolon) {
		}
		if p.tok.kind == tokRBrace || p.tok.kind == tokEOF || p.unclosed || p.atDecl() {
			break
		}
		s, ended := p.statement()
		if p.failed {
			p.skipStatement()
			continue
		}
		if p.tok.kind == tokRBrace && !ended {
			if b.Value = asValue(s); b.Value != nil {
				break
			}
		}
		b.Stmts = append(b.Stmts, asStatement(s))
	}
	if !p.accept(tokRBrace) && !p.unclosed {
		p.unclosed = true
		if !p.lost {
			p.report(open, "this '{' is never closed", "write the '}' that ends the body "+of)
		}
	}
	b.At = p.from(start)
	return b
}

// statements reads { ... } as statements only, without a value.
func (p *parser) statements(of string) *Block {
	b := p.block(of)
	dropValue(b)
	return b
}

// asValue is the expression that a block's last statement stands for: nil if it is none.
func asValue(s Stmt) Expr {
	switch s := s.(type) {
	case *ExprStmt:
		return s.X
	case *If:
		if hasValue(s) {
			return &IfExpr{s.At, s}
		}
	case *BlockStmt:
		if s.Body.Value != nil {
			return &BlockExpr{s.At, s.Body}
		}
	}
	return nil
}

// hasValue tells whether every arm of an if ends in a value.
func hasValue(s *If) bool {
	return s.Then.Value != nil && s.Else != nil && s.Else.Value != nil
}

// asStatement takes the values away from an if or block that stands as a statement.
func asStatement(s Stmt) Stmt {
	switch s := s.(type) {
	case *If:
		dropValue(s.Then)
		dropValue(s.Else)
	case *BlockStmt:
		dropValue(s.Body)
	}
	return s
}

// dropValue turns a block's value into its last statement.
func dropValue(b *Block) {
	if b == nil || b.Value == nil {
		return
	}
	var s Stmt
	switch x := b.Value.(type) {
	case *IfExpr:
		s = x.If
	case *BlockExpr:
		s = &BlockStmt{x.At, x.Body}
	default:
		s = &ExprStmt{At{x.Span()}, x}
	}
	b.Value = nil
	b.Stmts = append(b.Stmts, asStatement(s))
}

// statement reads one. ended says that a ';' closed it, or that it needs none and yields no value.
func (p *parser) statement() (s Stmt, ended bool) {
	if p.tok.kind == tokIdent {
		switch p.word() {
		case "for":
			return p.forStmt(), true
		case "while":
			return p.while(), true
		case "unroll":
			return p.unroll(), true
		case "let":
			return p.ended(p.let())
		case "break":
			return p.ended(p.jump(Break))
		case "continue":
			return p.ended(p.jump(Continue))
		case "return":
			return p.ended(p.jump(Return))
		case "else":
			p.fail("else without an if before it", "")
			return nil, true
		case "if":
			return p.braced(p.ifStmt())
		case "import":
			if p.following(tokString) {
				p.fail("an import must stand outside of blocks", "move it to the top of the script")
				return nil, true
			}
		}
	}
	if p.tok.kind == tokLBrace {
		start := p.tok.start
		body := p.block("of the block")
		return p.braced(&BlockStmt{p.from(start), body})
	}
	return p.simple()
}

// ended takes the ';' after a statement that has no value.
func (p *parser) ended(s Stmt) (Stmt, bool) {
	p.statementEnd("after the statement")
	return s, true
}

// statementEnd takes a ';', which may be left out before a '}'.
func (p *parser) statementEnd(where string) bool {
	if p.accept(tokSemicolon) {
		return true
	}
	if p.tok.kind != tokRBrace && p.tok.kind != tokEOF {
		p.expected("';'", where)
	}
	return false
}

// braced goes on after an if or a block: as the left side of an operator it is a value after all.
func (p *parser) braced(s Stmt) (Stmt, bool) {
	_, binary := binaryOps[p.tok.kind]
	switch p.tok.kind {
	case tokSemicolon:
		p.next()
		return s, true
	case tokDot, tokArrow, tokLBracket, tokQuestion:
	default:
		if !binary {
			return s, false
		}
	}
	var x Expr
	switch s := s.(type) {
	case *If:
		x = &IfExpr{s.At, s}
	case *BlockStmt:
		x = &BlockExpr{s.At, s.Body}
	}
	x = p.exprAfter(p.postfix(int(x.Span().Start-p.base), x))
	s = &ExprStmt{At{x.Span()}, x}
	return s, p.statementEnd("after the statement")
}

// assignOps are the binary operators of the compound assignments.
var assignOps = map[kind]Op{
	tokAssign: OpNone, tokAddAssign: OpAdd, tokSubAssign: OpSub, tokMulAssign: OpMul, tokDivAssign: OpDiv,
	tokModAssign: OpMod, tokAndAssign: OpAnd, tokOrAssign: OpOr, tokXorAssign: OpXor, tokShlAssign: OpShl, tokShrAssign: OpShr,
}

// simple reads an expression or an assignment.
func (p *parser) simple() (Stmt, bool) {
	start := p.tok.start
	x := p.expr()
	op, ok := assignOps[p.tok.kind]
	if !ok {
		s := &ExprStmt{p.from(start), x}
		return s, p.statementEnd("after the statement")
	}
	p.checkTarget(x, op)
	p.next()
	value := p.expr()
	return p.ended(&Assign{At: p.from(start), Target: x, Op: op, Value: value})
}

// checkTarget complains about what cannot be assigned to, and goes on.
func (p *parser) checkTarget(x Expr, op Op) {
	switch x := x.(type) {
	case *Var, *MapRef:
		return
	case *Ident:
		if x.Name == "_" && op == OpNone {
			return
		}
		p.report(x.S, "cannot assign to "+x.Name, "a variable starts with $, a map with @")
	case *Field, *TupleIndex:
		p.report(x.Span(), "cannot assign to a member: tuples, records and structs cannot be changed", "assign a new value to the whole")
	default:
		p.report(x.Span(), "cannot assign to this", "the left side must be a variable or a map")
	}
}

func (p *parser) let() Stmt {
	start := p.tok.start
	p.next()
	if p.tok.kind != tokVar {
		p.fail("expected a $variable after let, found "+p.found(), "")
		return nil
	}
	v := &Var{At{p.tokSpan()}, p.word()}
	p.next()
	var typ *TypeExpr
	if p.accept(tokColon) {
		typ = p.typeExpr()
	}
	if !p.accept(tokAssign) {
		return &Let{p.from(start), v, typ}
	}
	value := p.expr()
	return &Assign{At: p.from(start), Target: v, Value: value, Let: true, Type: typ}
}

func (p *parser) jump(kind JumpKind) Stmt {
	start := p.tok.start
	p.next()
	j := &Jump{Kind: kind}
	if kind == Return && p.tok.kind != tokSemicolon && p.tok.kind != tokRBrace {
		j.Value = p.expr()
	}
	j.At = p.from(start)
	return j
}

// condition reads the expression between a keyword and a body, which needs no parentheses.
func (p *parser) condition() Expr {
	x := p.expr()
	p.skipToBody()
	return x
}

// ifStmt reads an if with its elses. The arms keep their values until it is known how the whole is used.
func (p *parser) ifStmt() *If {
	s := &If{}
	if !p.enter() {
		return s
	}
	defer p.leave()
	start := p.tok.start
	p.next()
	if p.is("comptime") && startsExpr(p.scan(p.tok.end).kind) {
		s.Comptime = true
		p.next()
	}
	s.Cond = p.condition()
	s.Then = p.block("of the if")
	if p.is("else") {
		p.next()
		switch {
		case p.is("if"):
			from := p.tok.start
			inner := p.ifStmt()
			s.Else = &Block{At: p.from(from)}
			if p.failed {
				break
			}
			if hasValue(inner) {
				s.Else.Value = &IfExpr{inner.At, inner}
			} else {
				s.Else.Stmts = []Stmt{asStatement(inner)}
			}
		case p.tok.kind == tokLBrace:
			s.Else = p.block("of the else")
		default:
			p.expected("'{' or if", "after else")
		}
	}
	s.At = p.from(start)
	return s
}

func (p *parser) while() Stmt {
	start := p.tok.start
	p.next()
	s := &While{}
	s.Cond = p.condition()
	s.Body = p.statements("of the loop")
	s.At = p.from(start)
	return s
}

func (p *parser) unroll() Stmt {
	start := p.tok.start
	p.next()
	s := &Unroll{}
	s.Count = p.condition()
	s.Body = p.statements("of the unroll")
	s.At = p.from(start)
	return s
}

// forStmt reads both kinds of for, with and without parentheses.
func (p *parser) forStmt() Stmt {
	start := p.tok.start
	p.next()
	paren := p.accept(tokLParen)
	if p.tok.kind != tokVar {
		p.fail("expected the $variable of the loop, found "+p.found(), "write for $i : 0..10 { } or for $kv : @map { }")
	}
	v := &Var{At{p.tokSpan()}, p.word()}
	p.next()
	p.expect(tokColon, "after the variable of the loop")
	from := p.expr()
	var to Expr
	if p.accept(tokRange) {
		to = p.expr()
	}
	ref, isMap := from.(*MapRef)
	if to == nil && (!isMap || ref.Key != nil) {
		p.expected("'..' after the start of the range", "")
	}
	if paren {
		p.expect(tokRParen, "after the range of the loop")
	}
	p.skipToBody()
	body := p.statements("of the loop")
	if to == nil {
		if !isMap {
			return nil // told about above
		}
		return &ForMap{p.from(start), v, ref, body}
	}
	return &ForRange{p.from(start), v, from, to, body}
}
