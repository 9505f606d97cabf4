package langtest

import (
	"fmt"
	"strings"

	"sonde/internal/compile/syntax"
)

// The interpreter's own idea of types, written from the rules of the language and not from the checker: a value is an integer
// of 1 to 8 bytes, a bool, a string or a tuple. A literal's sign is open until it meets something that has one.

type kind uint8

const (
	unknownKind kind = iota
	intKind
	boolKind
	stringKind
	tupleKind
)

// typ is a type. An open one is that of a literal that is not negative.
type typ struct {
	kind   kind
	size   int // of integers: 1, 2, 4, 8
	signed bool
	open   bool
	elems  []typ
}

var (
	int64Type  = typ{kind: intKind, size: 8, signed: true}
	uint64Type = typ{kind: intKind, size: 8}
	boolType   = typ{kind: boolKind}
	stringType = typ{kind: stringKind}
)

var intTypes = map[string]typ{
	"int8": {kind: intKind, size: 1, signed: true}, "uint8": {kind: intKind, size: 1},
	"int16": {kind: intKind, size: 2, signed: true}, "uint16": {kind: intKind, size: 2},
	"int32": {kind: intKind, size: 4, signed: true}, "uint32": {kind: intKind, size: 4},
	"int64": int64Type, "uint64": uint64Type,
	"bool": boolType,
}

// join is the type of what holds values of both.
func join(a, b typ) typ {
	switch {
	case a.kind == unknownKind:
		return b
	case b.kind == unknownKind:
		return a
	case a.kind != b.kind:
		panic(fmt.Sprintf("no type holds %v and %v", a, b))
	case a.kind == tupleKind:
		t := typ{kind: tupleKind}
		for i := range a.elems {
			t.elems = append(t.elems, join(a.elems[i], b.elems[i]))
		}
		return t
	case a.kind != intKind:
		return a
	case a.signed == b.signed:
		return typ{kind: intKind, size: max(a.size, b.size), signed: a.signed}
	}
	signed, unsigned := a, b
	if b.signed {
		signed, unsigned = b, a
	}
	if unsigned.size == 8 {
		return int64Type
	}
	return typ{kind: intKind, size: max(signed.size, 2*unsigned.size), signed: true}
}

// fit is a number as a type has it, extended to 64 bits.
func (t typ) fit(n uint64) uint64 {
	if t.kind == boolKind {
		if n != 0 {
			return 1
		}
		return 0
	}
	shift := 64 - 8*t.size
	if t.signed {
		return uint64(int64(n<<shift) >> shift)
	}
	return n << shift >> shift
}

// typer finds the types of variables and maps: all that is ever put into them.
type typer struct {
	vars, keys, values map[string]typ
	declared           map[string]bool // by let, with a type
	of                 map[syntax.Expr]typ
}

func findTypes(p *syntax.Program) *typer {
	t := &typer{vars: map[string]typ{}, keys: map[string]typ{}, values: map[string]typ{}, declared: map[string]bool{}}
	for before := ""; ; {
		t.of = map[syntax.Expr]typ{}
		for _, d := range p.Decls {
			t.block(d.(*syntax.Probe).Body)
		}
		now := fmt.Sprint(t.vars, t.keys, t.values)
		if now == before {
			return t
		}
		before = now
	}
}

func put(in map[string]typ, name string, t typ) {
	t.open = false
	in[name] = join(in[name], t)
}

func (t *typer) putVar(name string, v typ) {
	if !t.declared[name] {
		put(t.vars, name, v)
	}
}

func (t *typer) block(b *syntax.Block) {
	for _, s := range b.Stmts {
		t.stmt(s)
	}
	if b.Value != nil {
		t.expr(b.Value)
	}
}

func (t *typer) stmt(s syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.ExprStmt:
		t.expr(s.X)
	case *syntax.Assign:
		v := t.expr(s.Value)
		if s.Op != syntax.OpNone {
			v = arithmetic(s.Op, t.expr(s.Target), v)
		}
		switch target := s.Target.(type) {
		case *syntax.Var:
			if s.Type != nil {
				t.vars[target.Name], t.declared[target.Name] = intTypes[s.Type.Name], true
			}
			t.putVar(target.Name, v)
		case *syntax.MapRef:
			t.key(target)
			if c, ok := s.Value.(*syntax.Call); ok && aggregates[c.Func] {
				v = int64Type
			}
			put(t.values, target.Name, v)
		}
	case *syntax.If:
		t.expr(s.Cond)
		t.block(s.Then)
		if s.Else != nil {
			t.block(s.Else)
		}
	case *syntax.Unroll:
		t.block(s.Body)
	case *syntax.While:
		t.expr(s.Cond)
		t.block(s.Body)
	case *syntax.ForRange:
		t.expr(s.From)
		t.expr(s.To)
		t.putVar(s.Var.Name, int64Type)
		t.block(s.Body)
	case *syntax.ForMap:
		t.putVar(s.Var.Name, typ{kind: tupleKind, elems: []typ{t.keys[s.Map.Name], t.values[s.Map.Name]}})
		t.block(s.Body)
	case *syntax.BlockStmt:
		t.block(s.Body)
	case *syntax.Jump:
	default:
		panic(fmt.Sprintf("a statement %T", s))
	}
}

func (t *typer) key(m *syntax.MapRef) {
	if m.Key != nil {
		put(t.keys, m.Name, t.expr(m.Key))
	}
}

var aggregates = map[string]bool{"count": true, "sum": true, "min": true, "max": true, "avg": true}

// arithmetic is the type of x op y, two integers.
func arithmetic(op syntax.Op, x, y typ) typ {
	signed := func(t typ) bool { return t.signed && !t.open }
	if op == syntax.OpSub || signed(x) || signed(y) || x.open && y.open {
		return int64Type
	}
	return uint64Type
}

// literal is the type of a number as written.
func literal(n uint64, negative bool) typ {
	if n>>63 != 0 && !negative {
		return uint64Type
	}
	t := typ{kind: intKind, signed: true, open: !negative}
	for t.size = 1; t.size < 8 && t.fit(n) != n; t.size *= 2 {
	}
	return t
}

func (t *typer) expr(e syntax.Expr) typ {
	v := t.find(e)
	t.of[e] = v
	return v
}

func (t *typer) find(e syntax.Expr) typ {
	switch e := e.(type) {
	case *syntax.IntLit:
		return literal(e.Value, false)
	case *syntax.BoolLit:
		return boolType
	case *syntax.StringLit:
		return stringType
	case *syntax.Var:
		return t.vars[e.Name]
	case *syntax.Ident: // nsecs
		return uint64Type
	case *syntax.MapRef:
		t.key(e)
		return t.values[e.Name]
	case *syntax.Unary:
		x := t.expr(e.X)
		switch {
		case e.Op == syntax.OpNot:
			return boolType
		case isLiteral(e) && e.Op == syntax.OpCom:
			return literal(^e.X.(*syntax.IntLit).Value, false)
		case isLiteral(e):
			return literal(-e.X.(*syntax.IntLit).Value, true)
		case x.signed:
			return int64Type
		}
		return x
	case *syntax.Binary:
		x, y := t.expr(e.X), t.expr(e.Y)
		switch e.Op {
		case syntax.OpEq, syntax.OpNe, syntax.OpLt, syntax.OpLe, syntax.OpGt, syntax.OpGe, syntax.OpLAnd, syntax.OpLOr:
			return boolType
		}
		return arithmetic(e.Op, x, y)
	case *syntax.IncDec:
		x := t.expr(e.X)
		x = typ{kind: intKind, size: 8, signed: x.signed || e.Dec}
		switch v := e.X.(type) {
		case *syntax.Var:
			t.putVar(v.Name, x)
			return t.vars[v.Name]
		case *syntax.MapRef:
			put(t.values, v.Name, x)
			return t.values[v.Name]
		}
	case *syntax.Cast:
		t.expr(e.X)
		return intTypes[e.Type.Name]
	case *syntax.Ternary:
		t.expr(e.Cond)
		return join(t.expr(e.Then), t.expr(e.Else))
	case *syntax.IfExpr:
		t.expr(e.If.Cond)
		t.block(e.If.Then)
		t.block(e.If.Else)
		return join(t.of[e.If.Then.Value], t.of[e.If.Else.Value])
	case *syntax.BlockExpr:
		t.block(e.Body)
		return t.of[e.Body.Value]
	case *syntax.Tuple:
		v := typ{kind: tupleKind}
		for _, x := range e.Elems {
			elem := t.expr(x)
			elem.open = false
			v.elems = append(v.elems, elem)
		}
		return v
	case *syntax.TupleIndex:
		x := t.expr(e.X)
		if x.kind != tupleKind {
			return typ{} // not known in this round
		}
		return x.elems[e.Index]
	case *syntax.Call:
		for i, a := range e.Args {
			if m, ok := a.(*syntax.MapRef); ok && i == 0 && m.Key == nil && len(e.Args) > 1 {
				put(t.keys, m.Name, t.expr(e.Args[1])) // has_key, delete
				continue
			}
			t.expr(a)
		}
		switch e.Func {
		case "has_key", "strcontains", "delete":
			return boolType
		case "str":
			return stringType
		}
		return typ{kind: intKind, size: 8, signed: true}
	}
	panic(fmt.Sprintf("an expression %T", e))
}

// isLiteral says whether e is -5 or ~5.
func isLiteral(e *syntax.Unary) bool {
	_, ok := e.X.(*syntax.IntLit)
	return ok
}

// value is a value of the interpreter: n of numbers and bools, s of strings.
type value struct {
	t     typ
	n     uint64
	s     string
	elems []value
}

// as is v as a type has it.
func (v value) as(t typ) value {
	switch t.kind {
	case intKind, boolKind:
		v.n = t.fit(v.n)
	case tupleKind:
		elems := make([]value, len(t.elems))
		for i := range elems {
			if i < len(v.elems) { // else all is zero
				elems[i] = v.elems[i].as(t.elems[i])
			} else {
				elems[i] = value{}.as(t.elems[i])
			}
		}
		v.elems = elems
	}
	v.t = t
	return v
}

// String is v as print shows it; it also serves as the key of maps.
func (v value) String() string {
	switch v.t.kind {
	case boolKind:
		return fmt.Sprint(v.n != 0)
	case stringKind:
		return v.s
	case tupleKind:
		var parts []string
		for _, x := range v.elems {
			parts = append(parts, x.String())
		}
		return "(" + strings.Join(parts, ", ") + ")"
	}
	if v.t.signed {
		return fmt.Sprint(int64(v.n))
	}
	return fmt.Sprint(v.n)
}

// same compares what values of one type hold.
func (v value) same(w value) bool {
	if v.t.kind == tupleKind {
		for i := range v.elems {
			if !v.elems[i].same(w.elems[i]) {
				return false
			}
		}
		return true
	}
	return v.n == w.n && v.s == w.s
}
