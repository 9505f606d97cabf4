package syntax

import "strings"

// block writes { ... } over several lines.
func (f *formatter) block(b *Block) {
	f.write("{")
	if len(b.Stmts) == 0 && b.Value == nil && !f.commentIn(b.S) && len(f.pending) == 0 {
		f.write("}")
		return
	}
	first := b.S.End
	if len(b.Stmts) > 0 {
		first = b.Stmts[0].Span().Start
	} else if b.Value != nil {
		first = b.Value.Span().Start
	}
	f.trailing(b.S.Start, first)
	f.indent++
	for _, c := range f.pending {
		f.ownLine(c)
	}
	f.pending = nil
	f.lastEnd = -1
	f.list(b)
	f.indent--
	f.lastEnd = -1
	f.write("}")
}

// list writes the statements of a block and the comments between them.
func (f *formatter) list(b *Block) {
	braced := false // the statement before ended in a '}' that an operator could follow
	for i, s := range b.Stmts {
		next := b.S.End
		if i+1 < len(b.Stmts) {
			next = b.Stmts[i+1].Span().Start
		} else if b.Value != nil {
			next = b.Value.Span().Start
		}
		f.before(s)
		if x, ok := s.(*ExprStmt); ok {
			f.exprStmt(x.X, ";", braced)
		} else {
			f.stmt(s)
		}
		f.trailing(s.Span().End, next)
		braced = isBraced(s)
	}
	if b.Value != nil {
		f.before(b.Value)
		f.exprStmt(b.Value, "", braced)
		f.trailing(b.Value.Span().End, b.S.End)
	}
	f.leading(b.S.End)
}

func isBraced(s Stmt) bool {
	switch s.(type) {
	case *If, *BlockStmt:
		return true
	}
	return false
}

// before writes the comments and the empty line before a statement.
func (f *formatter) before(n Node) {
	f.leading(n.Span().Start)
	f.blank(n.Span().Start)
	blocks := blocksOf(n)
	switch n := n.(type) {
	case *If:
		blocks = append(blocks, elseGap(n))
	case *IfExpr:
		blocks = append(blocks, elseGap(n.If))
	}
	for _, c := range f.hoist(n.Span(), blocks) {
		f.ownLine(c)
	}
}

// elseGap is the span between the arms of an if. Its comments go into the else.
func elseGap(s *If) Span {
	if s.Else == nil {
		return Span{}
	}
	return Span{s.Then.S.End, s.Else.S.Start}
}

// exprStmt writes an expression that stands alone, so that it is not taken for something else there.
func (f *formatter) exprStmt(x Expr, end string, afterBrace bool) {
	open, close := "", ""
	switch v := x.(type) {
	case *IfExpr:
		if end == ";" || !hasValue(v.If) {
			open, close = "(", ")"
		}
	case *BlockExpr:
		if end == ";" || v.Body.Value == nil {
			open, close = "(", ")"
		}
	}
	text := f.fit(open, x, close+end)
	if afterBrace && strings.ContainsRune("*-&", rune(text[0])) && !strings.HasPrefix(text, "--") {
		open, close = "(", ")"
	}
	f.write(open + text + close + end)
}

func (f *formatter) stmt(s Stmt) {
	switch s := s.(type) {
	case *Assign:
		head := f.expr(s.Target, precLowest) + " " + s.Op.String() + "= "
		if s.Let {
			head = "let " + f.declared(s.Target, s.Type) + " = "
		}
		f.write(head + f.fit(head, s.Value, ";") + ";")
	case *Let:
		f.write("let " + f.declared(s.Var, s.Type) + ";")
	case *If:
		f.ifStmt(s)
	case *Unroll:
		f.headed("unroll (", s.Count, s.Body)
	case *While:
		f.headed("while (", s.Cond, s.Body)
	case *ForRange:
		f.write("for (" + s.Var.Name + " : " + f.bound(s.From) + ".." + f.bound(s.To) + ") ")
		f.block(s.Body)
	case *ForMap:
		f.write("for (" + s.Var.Name + " : " + f.expr(s.Map, precLowest) + ") ")
		f.block(s.Body)
	case *Jump:
		word := [...]string{"break", "continue", "return"}[s.Kind]
		if s.Value != nil {
			word += " "
			word += f.fit(word, s.Value, ";")
		}
		f.write(word + ";")
	case *BlockStmt:
		f.block(s.Body)
	}
}

func (f *formatter) declared(v Expr, t *TypeExpr) string {
	text := f.expr(v, precLowest)
	if t != nil {
		text += " : " + f.typ(t)
	}
	return text
}

// headed writes `keyword (condition) {`.
func (f *formatter) headed(head string, cond Expr, body *Block) {
	f.write(head + f.fit(head, cond, ") {") + ") ")
	f.block(body)
}

func (f *formatter) ifStmt(s *If) {
	head := "if ("
	if s.Comptime {
		head = "if comptime ("
	}
	f.headed(head, s.Cond, s.Then)
	if s.Else == nil {
		return
	}
	f.pending = append(f.pending, f.hoist(elseGap(s), nil)...)
	f.write(" else ")
	inner := elseIf(s.Else)
	if inner == nil {
		f.block(s.Else)
		return
	}
	gap := append(blocksOf(inner), elseGap(inner))
	f.pending = append(f.pending, f.hoist(s.Else.S, gap)...)
	f.ifStmt(inner)
}

// elseIf is the if of an else that holds nothing else.
func elseIf(b *Block) *If {
	if len(b.Stmts) == 1 && b.Value == nil {
		s, _ := b.Stmts[0].(*If)
		return s
	}
	if x, ok := b.Value.(*IfExpr); ok && len(b.Stmts) == 0 && hasValue(x.If) {
		return x.If
	}
	return nil
}

// bound writes an end of a range: anything but a plain operand in parentheses.
func (f *formatter) bound(x Expr) string {
	text := f.expr(x, precLowest)
	switch x.(type) {
	case *IntLit, *StringLit, *BoolLit, *Ident, *Var, *MapRef, *Positional, *Call, *Tuple, *Record:
		return text
	}
	return "(" + text + ")"
}
