package langtest

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"sonde/internal/compile/syntax"
)

// interp runs a script. It knows as much of the language as random scripts use.
type interp struct {
	*typer
	vars  map[string]value
	maps  map[string]map[string]element
	out   strings.Builder
	steps int
}

// element is an element of a map; that of a scalar map has the key "".
type element struct {
	key, value value
	n          uint64 // how many values went into an average
}

// shown is what an element is read as.
func (el element) shown() value {
	if el.n > 0 {
		el.value.n = uint64(int64(el.value.n) / int64(el.n))
	}
	return el.value
}

// Scripts that there is nothing to compare in.
var (
	errEndless = errors.New("the script does not end soon")
	errUnset   = errors.New("the script reads what it has not set")
)

// jump is what a block ends with, if not at its end.
type jump int

const (
	goOn jump = iota
	breaks
	continues
	returns
)

// interpret runs the begin probes of a script and returns what they print.
func interpret(p *syntax.Program) (out string, err error) {
	in := &interp{typer: findTypes(p), vars: map[string]value{}, maps: map[string]map[string]element{}}
	defer func() {
		switch r := recover(); r {
		case nil:
		case errEndless, errUnset:
			err = r.(error)
		default:
			panic(r)
		}
	}()
	for _, d := range p.Decls {
		clear(in.vars)
		in.run(d.(*syntax.Probe).Body)
	}
	return in.out.String(), nil
}

func (in *interp) run(b *syntax.Block) jump {
	for _, s := range b.Stmts {
		if j := in.runStmt(s); j != goOn {
			return j
		}
	}
	return goOn
}

func (in *interp) runStmt(s syntax.Stmt) jump {
	if in.steps++; in.steps > 100000 {
		panic(errEndless)
	}
	switch s := s.(type) {
	case *syntax.ExprStmt:
		in.eval(s.X)
	case *syntax.Assign:
		in.assign(s)
	case *syntax.If:
		if in.eval(s.Cond).n != 0 {
			return in.run(s.Then)
		} else if s.Else != nil {
			return in.run(s.Else)
		}
	case *syntax.BlockStmt:
		return in.run(s.Body)
	case *syntax.Jump:
		return map[syntax.JumpKind]jump{syntax.Break: breaks, syntax.Continue: continues, syntax.Return: returns}[s.Kind]
	case *syntax.Unroll:
		for range s.Count.(*syntax.IntLit).Value {
			if j := in.run(s.Body); j == breaks {
				break
			} else if j == returns {
				return j
			}
		}
	case *syntax.While:
		for in.eval(s.Cond).n != 0 {
			if j := in.run(s.Body); j == breaks {
				break
			} else if j == returns {
				return j
			}
		}
	case *syntax.ForRange:
		from, to := int64(in.eval(s.From).n), int64(in.eval(s.To).n)
		for i := from; i < to; i++ {
			in.vars[s.Var.Name] = value{n: uint64(i)}.as(int64Type)
			if j := in.run(s.Body); j == breaks {
				break
			} else if j == returns {
				return j
			}
		}
	case *syntax.ForMap:
		for _, el := range in.maps[s.Map.Name] { // in any order: scripts must not depend on it
			pair := value{t: in.typer.vars[s.Var.Name], elems: []value{el.key, el.shown()}}
			in.vars[s.Var.Name] = pair.as(pair.t)
			if j := in.run(s.Body); j == breaks {
				break
			} else if j == returns {
				return j
			}
		}
	}
	return goOn
}

func (in *interp) assign(s *syntax.Assign) {
	switch target := s.Target.(type) {
	case *syntax.Var:
		var v value
		if s.Op == syntax.OpNone {
			v = in.eval(s.Value)
		} else {
			x := in.eval(target)
			v = operate(s.Op, x, in.eval(s.Value), in.of[s.Target], in.of[s.Value])
		}
		in.vars[target.Name] = v.as(in.typer.vars[target.Name])
	case *syntax.MapRef:
		key := in.keyOf(target)
		if c, ok := s.Value.(*syntax.Call); ok && aggregates[c.Func] {
			in.aggregate(target.Name, key, c)
			return
		}
		var v value
		if s.Op == syntax.OpNone {
			v = in.eval(s.Value)
		} else {
			x := in.element(target.Name, key).value
			v = operate(s.Op, x, in.eval(s.Value), in.of[s.Target], in.of[s.Value])
		}
		in.set(target.Name, key, v)
	}
}

func (in *interp) aggregate(name string, key value, c *syntax.Call) {
	x := value{n: 1}
	if c.Func != "count" {
		x = in.eval(c.Args[0])
	}
	el, known := in.maps[name][key.String()]
	old := el.value.n
	switch c.Func {
	case "min":
		if known && int64(old) < int64(x.n) {
			x.n = old
		}
	case "max":
		if known && int64(old) > int64(x.n) {
			x.n = old
		}
	default:
		x.n += old
	}
	in.set(name, key, x)
	if c.Func == "avg" {
		el := in.maps[name][key.String()]
		el.n++
		in.maps[name][key.String()] = el
	}
}

func (in *interp) set(name string, key, v value) {
	if in.maps[name] == nil {
		in.maps[name] = map[string]element{}
	}
	el := in.maps[name][key.String()]
	el.key, el.value = key, v.as(in.values[name])
	in.maps[name][key.String()] = el
}

func (in *interp) element(name string, key value) element {
	el, ok := in.maps[name][key.String()]
	if !ok {
		el.value = value{}.as(in.values[name])
	}
	return el
}

// keyOf is the key of a map as the map keeps it.
func (in *interp) keyOf(m *syntax.MapRef) value {
	if m.Key == nil {
		return value{t: stringType}
	}
	return in.eval(m.Key).as(in.keys[m.Name])
}

func (in *interp) eval(e syntax.Expr) value {
	t := in.of[e]
	switch e := e.(type) {
	case *syntax.IntLit:
		return value{t: t, n: e.Value}
	case *syntax.BoolLit:
		return value{n: map[bool]uint64{true: 1}[e.Value]}.as(boolType)
	case *syntax.StringLit:
		return value{t: t, s: e.Value}
	case *syntax.Ident:
		return value{t: t, n: 1}
	case *syntax.Var:
		if v, ok := in.vars[e.Name]; ok {
			return v
		}
		panic(errUnset)
	case *syntax.MapRef:
		return in.element(e.Name, in.keyOf(e)).shown()
	case *syntax.Unary:
		x := in.eval(e.X)
		switch e.Op {
		case syntax.OpNot:
			return truth(x.n == 0)
		case syntax.OpNeg:
			return value{n: -x.n}.as(t)
		}
		return value{n: ^x.n}.as(t)
	case *syntax.Binary:
		return in.binary(e)
	case *syntax.IncDec:
		return in.step(e)
	case *syntax.Cast:
		return in.eval(e.X).as(t)
	case *syntax.Ternary:
		if in.eval(e.Cond).n != 0 {
			return in.eval(e.Then).as(t)
		}
		return in.eval(e.Else).as(t)
	case *syntax.IfExpr:
		b := e.If.Else
		if in.eval(e.If.Cond).n != 0 {
			b = e.If.Then
		}
		in.run(b)
		return in.eval(b.Value).as(t)
	case *syntax.BlockExpr:
		in.run(e.Body)
		return in.eval(e.Body.Value)
	case *syntax.Tuple:
		v := value{t: t}
		for _, x := range e.Elems {
			v.elems = append(v.elems, in.eval(x))
		}
		return v.as(t)
	case *syntax.TupleIndex:
		return in.eval(e.X).elems[e.Index]
	case *syntax.Call:
		return in.call(e)
	}
	panic(fmt.Sprintf("an expression %T", e))
}

func truth(b bool) value {
	if b {
		return value{t: boolType, n: 1}
	}
	return value{t: boolType}
}

// step is ++ and --.
func (in *interp) step(e *syntax.IncDec) value {
	old := in.eval(e.X)
	by := uint64(1)
	if e.Dec {
		by = -by
	}
	now := value{n: old.n + by}
	switch x := e.X.(type) {
	case *syntax.Var:
		now = now.as(in.typer.vars[x.Name])
		in.vars[x.Name] = now
	case *syntax.MapRef:
		now = now.as(in.values[x.Name])
		in.set(x.Name, in.keyOf(x), now)
	}
	if e.Prefix {
		return now
	}
	return old
}

func (in *interp) binary(e *syntax.Binary) value {
	x := in.eval(e.X)
	switch e.Op {
	case syntax.OpLAnd:
		return truth(x.n != 0 && in.eval(e.Y).n != 0)
	case syntax.OpLOr:
		return truth(x.n != 0 || in.eval(e.Y).n != 0)
	}
	return operate(e.Op, x, in.eval(e.Y), in.of[e.X], in.of[e.Y])
}

// operate is x op y, of expressions of these types.
func operate(op syntax.Op, x, y value, xt, yt typ) value {
	if xt.kind != intKind && xt.kind != boolKind {
		both := join(xt, yt)
		return truth(x.as(both).same(y.as(both)) == (op == syntax.OpEq))
	}
	signed := xt.signed && !xt.open || yt.signed && !yt.open || xt.open && yt.open
	less := x.n < y.n
	if signed {
		less = int64(x.n) < int64(y.n)
	}
	switch op {
	case syntax.OpEq:
		return truth(x.n == y.n)
	case syntax.OpNe:
		return truth(x.n != y.n)
	case syntax.OpLt:
		return truth(less)
	case syntax.OpLe:
		return truth(less || x.n == y.n)
	case syntax.OpGt:
		return truth(!less && x.n != y.n)
	case syntax.OpGe:
		return truth(!less)
	}
	v := value{t: arithmetic(op, xt, yt)}
	switch op {
	case syntax.OpAdd:
		v.n = x.n + y.n
	case syntax.OpSub:
		v.n = x.n - y.n
	case syntax.OpMul:
		_, v.n = bits.Mul64(x.n, y.n)
	case syntax.OpDiv, syntax.OpMod:
		switch {
		case y.n == 0:
			v.n = 1
		case op == syntax.OpDiv:
			v.n = x.n / y.n
		default:
			v.n = x.n % y.n
		}
	case syntax.OpAnd:
		v.n = x.n & y.n
	case syntax.OpOr:
		v.n = x.n | y.n
	case syntax.OpXor:
		v.n = x.n ^ y.n
	case syntax.OpShl:
		v.n = x.n << (y.n & 63)
	case syntax.OpShr:
		v.n = x.n >> (y.n & 63)
	}
	return v
}

func (in *interp) call(e *syntax.Call) value {
	switch e.Func {
	case "print":
		if m, ok := e.Args[0].(*syntax.MapRef); ok && m.Key == nil {
			in.out.WriteString(m.Name + ": ")
		}
		fmt.Fprintln(&in.out, in.eval(e.Args[0]))
		return value{}
	case "printf":
		in.printf(e)
		return value{}
	case "has_key", "delete":
		name := e.Args[0].(*syntax.MapRef).Name
		key := in.eval(e.Args[1]).as(in.keys[name])
		_, ok := in.maps[name][key.String()]
		if e.Func == "delete" {
			delete(in.maps[name], key.String())
		}
		return truth(ok)
	case "len":
		return value{n: uint64(len(in.maps[e.Args[0].(*syntax.MapRef).Name]))}.as(int64Type)
	}
	var args []value
	for _, a := range e.Args {
		args = append(args, in.eval(a))
	}
	switch e.Func {
	case "strlen":
		return value{n: uint64(len(args[0].s))}.as(int64Type)
	case "strcontains":
		return truth(strings.Contains(args[0].s, args[1].s))
	case "strncmp":
		n := int(args[2].n)
		cut := func(s string) string { return (s + strings.Repeat("\x00", n))[:n] }
		return value{n: truth(cut(args[0].s) != cut(args[1].s)).n}.as(int64Type)
	case "str":
		return value{t: stringType, s: args[0].s}
	}
	panic("a call of " + e.Func)
}

// printf knows %d, %ld, %lu, %x, %lx, %s.
func (in *interp) printf(e *syntax.Call) {
	format := e.Args[0].(*syntax.StringLit).Value
	rest := e.Args[1:]
	for format != "" {
		before, after, found := strings.Cut(format, "%")
		in.out.WriteString(before)
		if !found {
			return
		}
		v := in.eval(rest[0])
		rest = rest[1:]
		switch {
		case strings.HasPrefix(after, "ld"):
			fmt.Fprint(&in.out, int64(v.n))
		case strings.HasPrefix(after, "lu"):
			fmt.Fprint(&in.out, v.n)
		case strings.HasPrefix(after, "lx"):
			fmt.Fprintf(&in.out, "%x", v.n)
		case after[0] == 'd':
			fmt.Fprint(&in.out, int32(v.n))
		case after[0] == 'x':
			fmt.Fprintf(&in.out, "%x", uint32(v.n))
		default:
			fmt.Fprint(&in.out, v)
		}
		format = strings.TrimLeft(after, "l")[1:]
	}
}
