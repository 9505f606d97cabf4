package check

import (
	"strconv"
	"strings"

	"sonde/internal/compile/syntax"
)

// modernize rewrites what older scripts wrote, and what may be written in two ways, so that later passes know one form:
//
//	delete(@m[k])           delete(@m, k)
//	delete(@m, a, b)        delete(@m, (a, b))
//	delete(@m[a], @n[b])    { delete(@m, a); delete(@n, b) }
//	clear(@m, @n)           { clear(@m); clear(@n) }
//	sarg0                   *(reg("sp") + 8)
//	nsecs()                 nsecs
//	ppid, ppid($task)       curtask.real_parent.tgid, $task.real_parent.tgid; pcomm, leader_tid, leader_comm alike
//	is_err(p)               (uint64)p >= -4095 as uint64
//	container_of(p, T, m)   (T *)((uint64)p - offsetof(T, m))
//	assert(c, "text")       { if (!c) { errorf("text"); exit(1) } }
func (c *checker) modernize() {
	for _, d := range c.program.Decls {
		syntax.RewriteExprs(d, func(e syntax.Expr) syntax.Expr {
			switch e := e.(type) {
			case *syntax.Call:
				return modernCall(e)
			case *syntax.Ident:
				if n, ok := numbered(e.Name, "sarg"); ok {
					return stackArg(e, n)
				}
				if w := taskWalks[e.Name]; w != nil {
					return walkTask(e.S, &syntax.Ident{At: e.At, Name: "curtask"}, w)
				}
			}
			return e
		})
	}
}

func modernCall(call *syntax.Call) syntax.Expr {
	switch call.Func {
	case "delete":
		return modernDelete(call)
	case "clear", "zero":
		if len(call.Args) > 1 {
			var calls []*syntax.Call
			for _, a := range call.Args {
				calls = append(calls, &syntax.Call{At: call.At, Func: call.Func, Name: call.Name, Args: []syntax.Expr{a}})
			}
			return sequence(call, calls)
		}
	case "is_err":
		if len(call.Args) == 1 {
			return &syntax.Binary{
				At: call.At, Op: syntax.OpGe, X: asUint64(call.Args[0]),
				Y: &syntax.IntLit{At: call.At, Text: "-4095", Value: 1<<64 - 4095},
			}
		}
	case "container_of":
		return containerOf(call)
	case "assert":
		return assertion(call)
	default:
		if w := taskWalks[call.Func]; w != nil && len(call.Args) <= 1 {
			task := syntax.Expr(&syntax.Ident{At: call.At, Name: "curtask"})
			if len(call.Args) == 1 {
				task = call.Args[0]
			}
			return walkTask(call.S, task, w)
		}
		if len(call.Args) == 0 {
			if b := builtinOf(call.Func); b != nil && b.Bare {
				return &syntax.Ident{At: call.At, Name: call.Func}
			}
		}
	}
	return call
}

// modernDelete knows three forms: a map with its key in brackets, several of those, and a map with several keys.
func modernDelete(call *syntax.Call) syntax.Expr {
	keyed, maps := 0, 0
	for _, a := range call.Args {
		if m, ok := a.(*syntax.MapRef); ok {
			maps++
			if m.Key != nil {
				keyed++
			}
		}
	}
	first, _ := firstArg(call).(*syntax.MapRef)
	if maps == len(call.Args) && keyed > 0 && (first.Key != nil || maps > 2) {
		var calls []*syntax.Call
		for _, a := range call.Args {
			m := a.(*syntax.MapRef)
			one := &syntax.Call{At: call.At, Func: call.Func, Name: call.Name, Args: []syntax.Expr{&syntax.MapRef{At: m.At, Name: m.Name}}}
			if m.Key != nil {
				one.Args = append(one.Args, m.Key)
			}
			calls = append(calls, one)
		}
		if len(calls) == 1 {
			return calls[0]
		}
		return sequence(call, calls)
	}
	if len(call.Args) > 2 {
		keys := call.Args[1:]
		at := syntax.At{S: syntax.Span{Start: keys[0].Span().Start, End: keys[len(keys)-1].Span().End}}
		call.Args = []syntax.Expr{call.Args[0], &syntax.Tuple{At: at, Elems: keys}}
	}
	return call
}

func firstArg(call *syntax.Call) syntax.Expr {
	if len(call.Args) == 0 {
		return nil
	}
	return call.Args[0]
}

// sequence does several calls, one after the other.
func sequence(at syntax.Node, calls []*syntax.Call) syntax.Expr {
	body := &syntax.Block{At: syntax.At{S: at.Span()}}
	for _, c := range calls {
		body.Stmts = append(body.Stmts, &syntax.ExprStmt{At: c.At, X: c})
	}
	return &syntax.BlockExpr{At: body.At, Body: body}
}

// numbered takes names like arg3 apart.
func numbered(name, prefix string) (n int, ok bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok || digits == "" || len(digits) > 3 || len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n >= 0 && digits[0] != '+' && digits[0] != '-'
}

// stackArg is an argument that was passed on the stack, above the return address.
func stackArg(at *syntax.Ident, n int) syntax.Expr {
	sp := &syntax.Call{At: at.At, Func: "reg", Name: at.S, Args: []syntax.Expr{&syntax.StringLit{At: at.At, Value: "sp"}}}
	off := 8 * (n + 1)
	return &syntax.Unary{At: at.At, Op: syntax.OpDeref, X: &syntax.Binary{
		At: at.At, Op: syntax.OpAdd, X: sp, Y: &syntax.IntLit{At: at.At, Text: strconv.Itoa(off), Value: uint64(off)},
	}}
}

// taskWalks are builtins that are fields of another task.
var taskWalks = map[string][]string{
	"ppid": {"real_parent", "tgid"}, "pcomm": {"real_parent", "comm"},
	"leader_tid": {"group_leader", "pid"}, "leader_comm": {"group_leader", "comm"},
}

func walkTask(at syntax.Span, task syntax.Expr, fields []string) syntax.Expr {
	for _, f := range fields {
		task = &syntax.Field{At: syntax.At{S: at}, X: task, Name: f, NameSpan: at}
	}
	return task
}

func asUint64(e syntax.Expr) syntax.Expr {
	at := syntax.At{S: e.Span()}
	return &syntax.Cast{At: at, Type: &syntax.TypeExpr{At: at, Name: "uint64"}, X: e}
}

// containerOf finds the struct that a member is part of.
func containerOf(call *syntax.Call) syntax.Expr {
	if len(call.Args) != 3 {
		return call
	}
	typ, okType := call.Args[1].(*syntax.TypeArg)
	if id, ok := call.Args[1].(*syntax.Ident); ok {
		typ, okType = &syntax.TypeArg{At: id.At, Type: &syntax.TypeExpr{At: id.At, Name: id.Name}}, true
	}
	var fields []string
	member := call.Args[2]
	for {
		if f, ok := member.(*syntax.Field); ok {
			fields = append([]string{f.Name}, fields...)
			member = f.X
			continue
		}
		break
	}
	id, okMember := member.(*syntax.Ident)
	if !okType || !okMember {
		return call
	}
	fields = append([]string{id.Name}, fields...)
	pointer := syntax.Clone(typ.Type)
	pointer.Suffixes = append(pointer.Suffixes, syntax.TypeSuffix{Pointer: true, Len: -1})
	return &syntax.Cast{At: call.At, Type: pointer, X: &syntax.Binary{
		At: call.At, Op: syntax.OpSub, X: asUint64(call.Args[0]), Y: &syntax.Offsetof{At: call.At, Type: typ.Type, Fields: fields},
	}}
}

// assertion ends the script with a message where a condition does not hold.
func assertion(call *syntax.Call) syntax.Expr {
	if len(call.Args) < 1 {
		return call
	}
	message := call.Args[1:]
	if len(message) == 0 {
		message = []syntax.Expr{&syntax.StringLit{At: call.At, Value: "assertion failed"}}
	}
	one := &syntax.IntLit{At: call.At, Text: "1", Value: 1}
	fail := &syntax.Block{At: call.At, Stmts: []syntax.Stmt{
		&syntax.ExprStmt{At: call.At, X: &syntax.Call{At: call.At, Name: call.Name, Func: "errorf", Args: message}},
		&syntax.ExprStmt{At: call.At, X: &syntax.Call{At: call.At, Name: call.Name, Func: "exit", Args: []syntax.Expr{one}}},
	}}
	test := &syntax.If{At: call.At, Cond: &syntax.Unary{At: call.At, Op: syntax.OpNot, X: call.Args[0]}, Then: fail}
	return &syntax.BlockExpr{At: call.At, Body: &syntax.Block{At: call.At, Stmts: []syntax.Stmt{test}}}
}
