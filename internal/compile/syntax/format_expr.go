package syntax

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// How tightly an expression binds: the binary operators have 1 to 10, as in the parser.
const (
	precLowest  = 0
	precUnary   = 11
	precPostfix = 12
)

var opPrec = map[Op]int{}

func init() {
	for _, o := range binaryOps {
		opPrec[o.op] = o.prec
	}
}

func precOf(x Expr) int {
	switch x := x.(type) {
	case *Binary:
		return opPrec[x.Op]
	case *Ternary, *IfExpr, *BlockExpr:
		return precLowest
	case *Unary, *AddrOf, *Cast, *Comptime:
		return precUnary
	case *IncDec:
		if x.Prefix {
			return precUnary
		}
	case *IntLit:
		if x.Neg && int64(x.Value) < 0 {
			return precUnary
		}
	case *TypeArg:
		if len(x.Type.Suffixes) > 0 && (x.Type.Typeof != nil || x.Type.TypeofType != nil) {
			return precUnary
		}
	}
	return precPostfix
}

// expr writes an expression, in parentheses if it binds less tightly than its place asks for.
func (f *formatter) expr(x Expr, prec int) string {
	text := f.bare(x)
	if precOf(x) < prec {
		return "(" + text + ")"
	}
	return text
}

func (f *formatter) exprs(list []Expr) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = f.expr(x, precLowest)
	}
	return out
}

func (f *formatter) bare(x Expr) string {
	switch x := x.(type) {
	case *IntLit:
		switch {
		case x.Text != "":
			return x.Text
		case x.Neg:
			return strconv.FormatInt(int64(x.Value), 10)
		}
		return strconv.FormatUint(x.Value, 10)
	case *StringLit:
		return f.stringLit(x)
	case *BoolLit:
		return strconv.FormatBool(x.Value)
	case *Ident:
		return x.Name
	case *Var:
		return x.Name
	case *Positional:
		if x.N == 0 {
			return "$#"
		}
		return "$" + strconv.Itoa(x.N)
	case *MapRef:
		return x.Name + f.key(x.Key)
	case *AddrOf:
		return "&" + f.expr(x.X, precUnary)
	case *Unary:
		text := f.expr(x.X, precUnary)
		if x.Op == OpNeg && text[0] == '-' {
			text = "(" + text + ")"
		}
		return x.Op.String() + text
	case *IncDec:
		op := "++"
		if x.Dec {
			op = "--"
		}
		if x.Prefix {
			return op + f.expr(x.X, precUnary)
		}
		return f.expr(x.X, precPostfix) + op
	case *Binary:
		return f.operand(x.Op, x.X, opPrec[x.Op]) + " " + x.Op.String() + " " + f.operand(x.Op, x.Y, opPrec[x.Op]+1)
	case *Ternary:
		if x.Then == nil {
			return f.expr(x.Cond, 1) + " ?: " + f.expr(x.Else, precLowest)
		}
		return f.expr(x.Cond, 1) + " ? " + f.expr(x.Then, precLowest) + " : " + f.expr(x.Else, precLowest)
	case *Call:
		return x.Func + "(" + strings.Join(f.exprs(x.Args), ", ") + ")"
	case *TypeArg:
		if precOf(x) == precUnary {
			return "(" + f.typ(x.Type) + ")"
		}
		return f.typ(x.Type)
	case *Sizeof:
		return "sizeof(" + f.typeOrExpr(x.Type, x.X) + ")"
	case *Offsetof:
		return "offsetof(" + f.typeOrExpr(x.Type, x.X) + ", " + strings.Join(x.Fields, ".") + ")"
	case *Typeinfo:
		return "typeinfo(" + f.typeOrExpr(x.Type, x.X) + ")"
	case *Comptime:
		return "comptime " + f.expr(x.X, precUnary)
	case *Cast:
		text := f.expr(x.X, precUnary)
		if strings.HasPrefix(text, "++") {
			text = "(" + text + ")"
		}
		return "(" + f.typ(x.Type) + ")" + text
	case *Field:
		if x.Arrow {
			return f.expr(x.X, precPostfix) + "->" + x.Name
		}
		return f.expr(x.X, precPostfix) + "." + x.Name
	case *TupleIndex:
		return f.expr(x.X, precPostfix) + "." + strconv.Itoa(x.Index)
	case *Index:
		base := f.expr(x.X, precPostfix)
		switch v := x.X.(type) {
		case *Ident:
			if typeNames[v.Name] || cWords[v.Name] {
				base = "(" + base + ")"
			}
		case *MapRef:
			if v.Key == nil {
				base = "(" + base + ")"
			}
		}
		return base + "[" + f.expr(x.I, precLowest) + "]"
	case *Tuple:
		if len(x.Elems) == 1 {
			return "(" + f.expr(x.Elems[0], precLowest) + ",)"
		}
		return "(" + strings.Join(f.exprs(x.Elems), ", ") + ")"
	case *Record:
		text := f.exprs(x.Elems)
		for i := range text {
			text[i] = x.Names[i] + "=" + text[i]
		}
		return "(" + strings.Join(text, ", ") + ")"
	case *IfExpr:
		return f.ifExpr(x.If)
	case *BlockExpr:
		return f.blockExpr(x.Body)
	}
	return ""
}

// operand writes one side of a binary operator. Beyond the parentheses that must be, it has those that few readers
// could do without: between && and ||, and around anything but the same operator next to bit operators.
func (f *formatter) operand(parent Op, x Expr, prec int) string {
	if b, ok := x.(*Binary); ok && b.Op != parent && (unclear(parent) || unclear(b.Op) || parent == OpLOr && b.Op == OpLAnd) {
		switch {
		case opPrec[parent] <= 2 && !unclear(parent) && opPrec[b.Op] > 2: // a & b && c
		default:
			return "(" + f.bare(x) + ")"
		}
	}
	return f.expr(x, prec)
}

func unclear(op Op) bool {
	switch op {
	case OpAnd, OpOr, OpXor, OpShl, OpShr:
		return true
	}
	return false
}

// key writes the key of a map: the elements of a tuple need no parentheses.
func (f *formatter) key(x Expr) string {
	if x == nil {
		return ""
	}
	if t, ok := x.(*Tuple); ok && len(t.Elems) > 1 {
		return "[" + strings.Join(f.exprs(t.Elems), ", ") + "]"
	}
	return "[" + f.expr(x, precLowest) + "]"
}

// stringLit keeps the spelling of the source where there is one.
func (f *formatter) stringLit(x *StringLit) string {
	if f.src != nil && x.S.Start >= 0 && x.S.End > x.S.Start+1 && int(x.S.End) <= len(f.src.Text) {
		text := string(f.src.Text[x.S.Start:x.S.End])
		if text[0] == '"' && text[len(text)-1] == '"' {
			if value, errs := decodeString(text); len(errs) == 0 && value == x.Value {
				return text
			}
		}
	}
	return quote(x.Value)
}

func (f *formatter) typ(t *TypeExpr) string {
	return typeString(t, func(x Expr) string { return f.expr(x, precLowest) })
}

func (f *formatter) typeOrExpr(t *TypeExpr, x Expr) string {
	if t != nil {
		return f.typ(t)
	}
	return f.expr(x, precLowest)
}

// blockExpr writes a block that is a value: on one line if it is nothing else.
func (f *formatter) blockExpr(b *Block) string {
	if len(b.Stmts) == 0 && b.Value != nil && !f.commentIn(b.S) && len(f.pending) == 0 {
		text := f.nested(func() { f.exprStmt(b.Value, "", false) })
		if !strings.Contains(text, "\n") && len(text) < formatWidth/2 {
			return "{ " + text + " }"
		}
	}
	return f.nested(func() { f.block(b) })
}

func (f *formatter) ifExpr(s *If) string {
	short := f.oneLiner(s)
	if short != "" {
		return short
	}
	return f.nested(func() { f.ifStmt(s) })
}

// oneLiner is an if on one line, or "" if that cannot be.
func (f *formatter) oneLiner(s *If) string {
	if s.Else == nil || s.Comptime || f.commentIn(s.Then.S) || f.commentIn(s.Else.S) || f.commentIn(elseGap(s)) ||
		len(s.Then.Stmts) > 0 || len(s.Else.Stmts) > 0 || !hasValue(s) || elseIf(s.Else) != nil || len(f.pending) > 0 {
		return ""
	}
	text := "if (" + f.expr(s.Cond, precLowest) + ") " + f.blockExpr(s.Then) + " else " + f.blockExpr(s.Else)
	if len(text) > formatWidth/2 || strings.Contains(text, "\n") {
		return ""
	}
	return text
}

// fit writes an expression between two texts of a line, breaking it if the line would be too long: a call between its
// arguments, && and || before their right sides.
func (f *formatter) fit(before string, x Expr, after string) string {
	text := f.expr(x, precLowest)
	column := len(indentText)*f.indent + utf8.RuneCountInString(before)
	if column+utf8.RuneCountInString(text+after) <= formatWidth || strings.Contains(text, "\n") {
		return text
	}
	var head, tail, separator string
	var parts []string
	switch x := x.(type) {
	case *Call:
		head, tail, separator = x.Func+"(", ")", ","
		parts = f.exprs(x.Args)
	case *Binary:
		if x.Op != OpLAnd && x.Op != OpLOr {
			return text
		}
		separator = " " + x.Op.String()
		parts = f.chain(x.Op, x)
	default:
		return text
	}
	column += utf8.RuneCountInString(head)
	if column > formatWidth/2 {
		column = len(indentText) * (f.indent + 2)
		if head != "" {
			head += "\n" + strings.Repeat(" ", column)
		}
	}
	return head + fill(parts, separator, column, len(tail+after)) + tail
}

// chain lists the operands of a row of the same operator.
func (f *formatter) chain(op Op, x Expr) []string {
	if b, ok := x.(*Binary); ok && b.Op == op {
		return append(f.chain(op, b.X), f.operand(op, b.Y, opPrec[op]+1))
	}
	return []string{f.operand(op, x, opPrec[op])}
}

// fill puts parts on as few lines as they need, each line starting at a column.
func fill(parts []string, separator string, column, after int) string {
	var b strings.Builder
	at := column
	for i, part := range parts {
		width := utf8.RuneCountInString(part) + len(separator)
		if i == len(parts)-1 {
			width += after - len(separator)
		}
		switch {
		case i == 0:
		case at+1+width > formatWidth:
			b.WriteString("\n" + strings.Repeat(" ", column))
			at = column
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(part)
		if i < len(parts)-1 {
			b.WriteString(separator)
		}
		at += width
	}
	return b.String()
}
