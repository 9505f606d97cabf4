package syntax

import (
	"strconv"
	"strings"
)

// TypeString writes a type as the language spells it.
func TypeString(t *TypeExpr) string { return typeString(t, ExprString) }

// typeString writes a type; expr writes the argument of a typeof.
func typeString(t *TypeExpr, expr func(Expr) string) string {
	var b strings.Builder
	switch {
	case t.Typeof != nil:
		b.WriteString("typeof(" + expr(t.Typeof) + ")")
	case t.TypeofType != nil:
		b.WriteString("typeof(" + typeString(t.TypeofType, expr) + ")")
	case t.Tag != "":
		b.WriteString(strings.TrimRight(t.Tag+" "+t.Name, " "))
	default:
		b.WriteString(t.Name)
	}
	if t.Size > 0 {
		b.WriteString("[" + strconv.Itoa(t.Size) + "]")
	}
	for i, s := range t.Suffixes {
		switch {
		case s.Pointer && i == 0 && t.Size == 0:
			b.WriteString(" *")
		case s.Pointer:
			b.WriteString("*")
		case s.Open:
			b.WriteString("[]")
		default:
			b.WriteString("[" + strconv.Itoa(s.Len) + "]")
		}
	}
	return b.String()
}
