package langtest

import (
	"time"

	"sonde/internal/compile/syntax"
)

// shrink takes statements out of a script as long as it stays wrong, and for half a minute at most.
func shrink(script string, wrong func(string) bool) string {
	end := time.Now().Add(30 * time.Second)
	for smaller := true; smaller; {
		smaller = false
		for n := 0; time.Now().Before(end); n++ {
			try, ok := without(script, n)
			if !ok {
				break
			}
			if try != script && wrong(try) {
				script, smaller = try, true
				n--
			}
		}
	}
	return script
}

// without is a script with its nth change towards simplicity; ok is false where there is none.
func without(script string, n int) (shorter string, ok bool) {
	src := syntax.NewSource("random", []byte(script))
	tree, _ := syntax.Parse(src)
	change := func(f func()) {
		if n == 0 {
			f()
			ok = true
		}
		n--
	}
	if len(tree.Decls) > 1 {
		for i := range tree.Decls {
			decls := append(tree.Decls[:i:i], tree.Decls[i+1:]...)
			change(func() { tree.Decls = decls })
			if ok {
				return string(syntax.Format(tree, src)), true
			}
		}
	}
	var blocks []*syntax.Block
	for _, d := range tree.Decls {
		syntax.Walk(d, func(node syntax.Node) bool {
			if b, is := node.(*syntax.Block); is {
				blocks = append(blocks, b)
			}
			return !ok
		})
	}
	for _, b := range blocks {
		for i, s := range b.Stmts {
			rest := func(mid ...syntax.Stmt) []syntax.Stmt {
				return append(append(b.Stmts[:i:i], mid...), b.Stmts[i+1:]...)
			}
			change(func() { b.Stmts = rest() })
			switch s := s.(type) {
			case *syntax.If:
				change(func() { b.Stmts = rest(s.Then.Stmts...) })
				if s.Else != nil {
					change(func() { b.Stmts = rest(s.Else.Stmts...) })
					change(func() { s.Else = nil })
				}
			case *syntax.BlockStmt:
				change(func() { b.Stmts = rest(s.Body.Stmts...) })
			case *syntax.While:
				change(func() { b.Stmts = rest(s.Body.Stmts...) })
			case *syntax.Unroll:
				change(func() { b.Stmts = rest(s.Body.Stmts...) })
			case *syntax.ForRange:
				change(func() { b.Stmts = rest(s.Body.Stmts...) })
			}
			if ok {
				return string(syntax.Format(tree, src)), true
			}
		}
	}
	for _, d := range tree.Decls {
		syntax.RewriteExprs(d, func(e syntax.Expr) syntax.Expr {
			for _, simple := range simpler(e) {
				if change(func() { e = simple }); ok {
					n = -1 << 30
					return e
				}
			}
			return e
		})
		if ok {
			return string(syntax.Format(tree, src)), true
		}
	}
	return "", false
}

// simpler are parts of an expression that may do in its place.
func simpler(e syntax.Expr) []syntax.Expr {
	switch e := e.(type) {
	case *syntax.Binary:
		return []syntax.Expr{e.X, e.Y}
	case *syntax.Ternary:
		return []syntax.Expr{e.Then, e.Else}
	case *syntax.IfExpr:
		return []syntax.Expr{e.If.Then.Value, e.If.Else.Value}
	case *syntax.Unary:
		return []syntax.Expr{e.X}
	case *syntax.Cast:
		return []syntax.Expr{e.X}
	case *syntax.BlockExpr:
		return []syntax.Expr{e.Body.Value}
	case *syntax.TupleIndex:
		if t, ok := e.X.(*syntax.Tuple); ok {
			return []syntax.Expr{t.Elems[e.Index]}
		}
	}
	return nil
}
