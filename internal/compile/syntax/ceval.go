package syntax

import "strings"

// cEval works out a constant expression of C, in 64 bits. name gives the values of names.
type cEval struct {
	tokens []cToken
	i      int
	depth  int
	name   func(string) (int64, bool)
	err    string
}

// all is the value of all tokens as one expression, and what is wrong with it.
func (e *cEval) all() (int64, string) {
	v := e.ternary()
	if e.err == "" && e.i < len(e.tokens) {
		e.fail("unexpected " + printable(e.tokens[e.i].text))
	}
	return v, e.err
}

func (e *cEval) fail(why string) {
	if e.err == "" {
		e.err = why
	}
}

func (e *cEval) peek() string {
	if e.err == "" && e.i < len(e.tokens) {
		return e.tokens[e.i].text
	}
	return ""
}

func (e *cEval) accept(text string) bool {
	if e.peek() != text {
		return false
	}
	e.i++
	return true
}

func (e *cEval) enter() bool {
	if e.depth++; e.depth > maxCDepth {
		e.fail("nested too deeply")
		return false
	}
	return true
}

func (e *cEval) ternary() int64 {
	if !e.enter() {
		return 0
	}
	defer func() { e.depth-- }()
	v := e.binary(e.unary(), 1)
	if !e.accept("?") {
		return v
	}
	x := e.ternary()
	if !e.accept(":") {
		e.fail("expected ':'")
	}
	y := e.ternary()
	if v != 0 {
		return x
	}
	return y
}

var cPrecedence = map[string]int{
	"||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, "<=": 7, ">": 7, ">=": 7,
	"<<": 8, ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10, "%": 10,
}

func (e *cEval) binary(x int64, min int) int64 {
	for {
		op := e.peek()
		prec := cPrecedence[op]
		if prec == 0 || prec < min {
			return x
		}
		e.i++
		x = e.apply(op, x, e.binary(e.unary(), prec+1))
	}
}

func (e *cEval) apply(op string, x, y int64) int64 {
	truth := func(b bool) int64 {
		if b {
			return 1
		}
		return 0
	}
	switch op {
	case "||":
		return truth(x != 0 || y != 0)
	case "&&":
		return truth(x != 0 && y != 0)
	case "|":
		return x | y
	case "^":
		return x ^ y
	case "&":
		return x & y
	case "==":
		return truth(x == y)
	case "!=":
		return truth(x != y)
	case "<":
		return truth(x < y)
	case "<=":
		return truth(x <= y)
	case ">":
		return truth(x > y)
	case ">=":
		return truth(x >= y)
	case "<<":
		return x << (uint64(y) & 63)
	case ">>":
		return x >> (uint64(y) & 63)
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	}
	if y == 0 || x == -1<<63 && y == -1 {
		e.fail("division that has no result")
		return 0
	}
	if op == "/" {
		return x / y
	}
	return x % y
}

func (e *cEval) unary() int64 {
	if !e.enter() {
		return 0
	}
	defer func() { e.depth-- }()
	switch {
	case e.accept("-"):
		return -e.unary()
	case e.accept("+"):
		return e.unary()
	case e.accept("~"):
		return ^e.unary()
	case e.accept("!"):
		if e.unary() == 0 {
			return 1
		}
		return 0
	case e.accept("("):
		v := e.ternary()
		if !e.accept(")") {
			e.fail("expected ')'")
		}
		return v
	}
	if e.err != "" || e.i >= len(e.tokens) {
		e.fail("expected a number")
		return 0
	}
	t := e.tokens[e.i]
	e.i++
	switch t.kind {
	case cNumber:
		v, err := decodeInt(t.text)
		if err != nil {
			e.fail(err.message)
		}
		return int64(v)
	case cChar:
		s, errs := decodeString(`"` + strings.ReplaceAll(strings.Trim(t.text, "'"), `"`, `\"`) + `"`)
		if len(errs) > 0 || len(s) != 1 {
			e.fail("cannot read the character " + printable(t.text))
			return 0
		}
		return int64(int8(s[0]))
	case cIdent:
		if v, ok := e.name(t.text); ok {
			return v
		}
		e.fail(t.text + " is not a constant that is known here")
		return 0
	}
	e.fail("unexpected " + printable(t.text))
	return 0
}
