package syntax

import (
	"reflect"
	"strings"
	"testing"
)

// everything is one tree with every kind of node that a script can have.
func everything(t *testing.T) *Program {
	t.Helper()
	var b strings.Builder
	for i, c := range constructs {
		if constructs[i].script == "" {
			b.WriteString("begin {" + c.body + "}\n")
		}
	}
	b.WriteString("macro m($a, @b, c) { c }\nfn f($a : typeof($b)) : int8 { }\nlet @m = hash(1);\nprofile:hz:1 /1/ { }")
	p, _ := mustParse(t, "everything", []byte("struct s { struct { int a; } b; };\n#define D 1\nconfig = { a = 1 }\nimport \"x\";\n"+b.String()))
	Preprocess(NewSource("x", nil), p.C, nil)
	return p
}

func TestWalk(t *testing.T) {
	p, _ := mustParse(t, "x", []byte(`begin /$p/ { $x = @m[1] + f(2, "s"); if ($c) { 3 } else { 4 } }`))
	var got []string
	Walk(p, func(n Node) bool {
		got = append(got, label(n))
		_, call := n.(*Call)
		return !call
	})
	want := "Program Probe AttachPoint [\"begin\"] Var $p Block Assign = Var $x Binary + Map @m Int 1 Call f " +
		"If Var $c Block ExprStmt Int 3 Block ExprStmt Int 4"
	if strings.Join(got, " ") != want {
		t.Errorf("walked\n%s\nwant\n%s", strings.Join(got, " "), want)
	}
}

// Whatever Walk meets has a text form of its own, and a copy has the same, sharing nothing.
func TestClone(t *testing.T) {
	p := everything(t)
	c := Clone(p)
	if Dump(c) != Dump(p) || !reflect.DeepEqual(c, p) {
		t.Error("the copy differs")
	}
	seen := map[Node]bool{}
	Walk(p, func(n Node) bool {
		if strings.HasPrefix(label(n), "*") {
			t.Errorf("%T has no text form", n)
		}
		seen[n] = true
		return true
	})
	Walk(c, func(n Node) bool {
		if seen[n] {
			t.Errorf("%s is shared", label(n))
		}
		return true
	})
	var x Expr = &Binary{Op: OpAdd, X: &IntLit{Value: 1}, Y: &IntLit{Value: 2}}
	y := Clone(x)
	y.(*Binary).X.(*IntLit).Value = 5
	if x.(*Binary).X.(*IntLit).Value != 1 {
		t.Error("a copied operand is shared")
	}
	if Clone[*Block](nil) != nil {
		t.Error("the copy of nothing is something")
	}
}

// Rewriting must reach every expression that Walk does: after it no Var is left but where only one can be.
func TestRewriteExprs(t *testing.T) {
	p := everything(t)
	RewriteExprs(p, func(x Expr) Expr {
		switch x := x.(type) {
		case *Var:
			return &Var{x.At, x.Name + "_new"}
		case *MapRef:
			return &MapRef{x.At, x.Name + "_new", x.Key}
		case *IntLit:
			return &Tuple{Elems: []Expr{x}}
		}
		return x
	})
	inParams := map[Expr]bool{}
	inTuples := map[Node]bool{}
	Walk(p, func(n Node) bool {
		switch n := n.(type) {
		case *Macro:
			for _, x := range n.Params {
				inParams[x] = true
			}
		case *Tuple:
			for _, x := range n.Elems {
				inTuples[x] = true
			}
		case *Var:
			if strings.HasSuffix(n.Name, "_new") == inParams[n] {
				t.Errorf("variable %s", n.Name)
			}
		case *MapRef:
			if strings.HasSuffix(n.Name, "_new") == inParams[n] {
				t.Errorf("map %s", n.Name)
			}
		case *IntLit:
			if !inTuples[n] {
				t.Errorf("number %s at %d was not rewritten", n.Text, n.S.Start)
			}
		}
		return true
	})
}

// Operands are rewritten before what they belong to.
func TestRewriteOrder(t *testing.T) {
	x, _ := ParseExpr(NewSource("x", nil), 0, "f(1 + 2, $x)")
	s := &ExprStmt{X: x}
	var got []string
	RewriteExprs(s, func(x Expr) Expr {
		got = append(got, ExprString(x))
		if b, ok := x.(*Binary); ok {
			return b.Y
		}
		return x
	})
	if strings.Join(got, "; ") != "1; 2; 1 + 2; $x; f(2, $x)" || ExprString(s.X) != "f(2, $x)" {
		t.Errorf("%q makes %s", got, ExprString(s.X))
	}
}
