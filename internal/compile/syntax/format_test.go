package syntax

import (
	"strings"
	"testing"
)

// checkFormat formats a script without errors: the result must parse to the same tree with the same comments, and
// formatting it again must change nothing.
func checkFormat(t *testing.T, name string, text []byte) {
	t.Helper()
	src := NewSource(name, text)
	p, diags := Parse(src)
	if len(diags) > 0 {
		return
	}
	out := Format(p, src)
	again := NewSource(name+" formatted", out)
	q, diags := Parse(again)
	for _, d := range diags {
		t.Errorf("%s\nof\n%s\nfrom\n%s", again.Render(d, false), out, text)
	}
	if len(diags) > 0 {
		return
	}
	if was, is := Dump(p), Dump(q); was != is {
		t.Errorf("%s: the tree of\n%s\ndiffers from that of\n%s\n%s", name, out, text, firstDifference(was, is))
		return
	}
	if len(p.Comments) != len(q.Comments) {
		t.Errorf("%s: %d comments became %d in\n%s\nfrom\n%s", name, len(p.Comments), len(q.Comments), out, text)
	}
	if twice := Format(q, again); string(twice) != string(out) {
		t.Errorf("%s: formatting\n%s\nagain makes\n%s\nfrom\n%s", name, out, twice, text)
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range x {
		if i >= len(y) || x[i] != y[i] {
			return "was " + x[i] + "\nis  " + y[min(i, len(y)-1)]
		}
	}
	return "the second is longer"
}

func TestFormat(t *testing.T) {
	for i, c := range constructs {
		checkFormat(t, c.name, []byte(constructScript(i)))
	}
	for name, text := range scripts(t) {
		checkFormat(t, name, text)
	}
}

// Trees that the parser never makes, as folding and expansion do.
func TestExprString(t *testing.T) {
	minus := &IntLit{Value: ^uint64(4), Neg: true}
	for _, c := range []struct {
		x    Expr
		want string
	}{
		{minus, "-5"},
		{&Field{X: minus, Name: "x"}, "(-5).x"},
		{&Unary{Op: OpNeg, X: minus}, "-(-5)"},
		{&IntLit{Value: 7}, "7"},
		{&StringLit{Value: "a\"\n\x01é\xff"}, `"a\"\n\x01é\xff"`},
		{&Binary{Op: OpMul, X: &Binary{Op: OpAdd, X: minus, Y: minus}, Y: minus}, "(-5 + -5) * -5"},
		{&Cast{Type: &TypeExpr{Tag: "struct", Name: "x", Suffixes: []TypeSuffix{{Pointer: true, Len: -1}}}, X: minus}, "(struct x *)-5"},
	} {
		if got := ExprString(c.x); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
