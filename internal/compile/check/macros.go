package check

import (
	"slices"
	"strconv"
	"strings"

	"sonde/internal/compile/syntax"
)

// macro is a macro, or a function that is expanded like one.
type macro struct {
	name   string
	params []syntax.Expr
	// types are those of a function's parameters; nil for macros.
	types []*syntax.TypeExpr
	body  *syntax.Block
	decl  syntax.Node
	// refused says why a function cannot be expanded.
	refused string
}

// expander puts the bodies of macros in the place of their calls, and the texts of #defines in the place of their names.
type expander struct {
	*checker
	stack []*macro
	// count numbers expansions: variables of a body get names of their own by it. made counts nodes.
	count, made int
	full        bool
}

const (
	maxExpansionDepth = 64
	maxExpansion      = 200000 // nodes in all
)

// expandMacros replaces all calls of macros in probes.
func (c *checker) expandMacros() {
	c.macros = make(map[string][]*macro)
	for _, d := range c.program.Decls {
		switch d := d.(type) {
		case *syntax.Macro:
			c.addMacro(&macro{name: d.Name, params: d.Params, body: d.Body, decl: d})
		case *syntax.Func:
			c.info.Funcs = append(c.info.Funcs, d)
			c.addMacro(functionMacro(d))
		}
	}
	x := &expander{checker: c}
	for _, p := range c.probeDecls() {
		x.expand(p)
	}
	for _, d := range c.program.Decls {
		if d, ok := d.(*syntax.MapDecl); ok {
			x.expand(d)
		}
	}
}

// addMacro refuses a second macro that no call could tell from the first.
func (c *checker) addMacro(m *macro) {
	for _, other := range c.macros[m.name] {
		if slices.EqualFunc(other.params, m.params, sameKindOfParam) {
			c.errorf(m.decl.Span(), "macro %s is defined twice with the same parameters", m.name)
			return
		}
	}
	seen := make(map[string]bool)
	for _, p := range m.params {
		name := paramName(p)
		if seen[name] {
			c.errorf(p.Span(), "%s has two parameters %s", m.name, name)
		}
		seen[name] = true
	}
	c.macros[m.name] = append(c.macros[m.name], m)
}

func sameKindOfParam(a, b syntax.Expr) bool {
	switch a.(type) {
	case *syntax.Var:
		_, ok := b.(*syntax.Var)
		return ok
	case *syntax.MapRef:
		_, ok := b.(*syntax.MapRef)
		return ok
	}
	_, ok := b.(*syntax.Ident)
	return ok
}

func paramName(p syntax.Expr) string {
	switch p := p.(type) {
	case *syntax.Var:
		return p.Name
	case *syntax.MapRef:
		return p.Name
	case *syntax.Ident:
		return p.Name
	}
	return ""
}

// functionMacro makes a macro of a function that returns only at its end.
func functionMacro(f *syntax.Func) *macro {
	m := &macro{name: f.Name, decl: f, types: make([]*syntax.TypeExpr, 0, len(f.Params))}
	for _, p := range f.Params {
		m.params = append(m.params, &syntax.Var{At: p.At, Name: p.Name})
		m.types = append(m.types, p.Type)
	}
	m.body = syntax.Clone(f.Body)
	returns := 0
	syntax.Walk(m.body, func(n syntax.Node) bool {
		if j, ok := n.(*syntax.Jump); ok && j.Kind == syntax.Return {
			returns++
		}
		return true
	})
	if n := len(m.body.Stmts); n > 0 && m.body.Value == nil {
		if j, ok := m.body.Stmts[n-1].(*syntax.Jump); ok && j.Kind == syntax.Return {
			m.body.Stmts, m.body.Value = m.body.Stmts[:n-1], j.Value
			returns--
		}
	}
	if returns > 0 {
		m.refused = "a function that returns before its end is not compiled yet"
	}
	return m
}

// expand rewrites everything below n. Operands come first, so that the arguments of a call are expanded when it is.
func (x *expander) expand(n syntax.Node) {
	syntax.RewriteExprs(n, x.expr)
}

func (x *expander) expr(e syntax.Expr) syntax.Expr {
	switch e := e.(type) {
	case *syntax.Ident:
		if ms := x.macros[e.Name]; ms != nil {
			return x.call(e, e.Name, nil, ms)
		}
		if d := x.defines[e.Name]; d != nil && builtinOf(e.Name) == nil {
			return x.define(e, d)
		}
	case *syntax.Call:
		if ms := x.macros[e.Func]; ms != nil {
			return x.call(e, e.Func, e.Args, ms)
		}
	}
	return e
}

// define puts the value of a #define in the place of its name.
func (x *expander) define(at *syntax.Ident, d *syntax.Define) syntax.Expr {
	if d.Value == nil {
		x.errorf(at.Span(), "%s is defined as %q, which is no expression", d.Name, d.Text)
		return x.refused(at.Span())
	}
	m := &macro{name: d.Name, decl: d}
	if slices.ContainsFunc(x.stack, func(s *macro) bool { return s.decl == m.decl }) {
		return at // as in C, a name stays as it is in its own text
	}
	if !x.enter(at.Span(), m) {
		return at
	}
	defer x.leave()
	value := syntax.Clone(d.Value)
	x.grow(value)
	move(value, at.S)
	wrapped := &syntax.Comptime{At: at.At, X: value}
	x.expand(wrapped)
	return wrapped.X
}

// refused stands for what has been complained about.
func (x *expander) refused(at syntax.Span) syntax.Expr {
	e := &syntax.IntLit{At: syntax.At{S: at}, Text: "0"}
	x.broken[e] = true
	return e
}

// move lets a tree stand at one place: that of the name it was put in for.
func move(e syntax.Expr, to syntax.Span) {
	syntax.Walk(e, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.IntLit:
			n.S = to
		case *syntax.StringLit:
			n.S = to
		case *syntax.Ident:
			n.S = to
		case *syntax.Binary:
			n.S = to
		case *syntax.Unary:
			n.S = to
		case *syntax.Cast:
			n.S = to
		case *syntax.Ternary:
			n.S = to
		case *syntax.Call:
			n.S = to
		}
		return true
	})
}

// call expands one call of a macro.
func (x *expander) call(at syntax.Expr, name string, args []syntax.Expr, overloads []*macro) syntax.Expr {
	m := choose(overloads, args)
	if m == nil {
		x.noOverload(at, name, args, overloads)
		return x.refused(at.Span())
	}
	if m.refused != "" {
		x.errorf(at.Span(), "%s: %s", name, m.refused)
		return x.refused(at.Span())
	}
	if !x.enter(at.Span(), m) {
		return x.refused(at.Span())
	}
	defer x.leave()
	x.count++
	body := syntax.Clone(m.body)
	x.grow(body)
	if m.types != nil {
		x.bindFunction(body, m, args)
	} else {
		x.bind(body, m, args)
	}
	x.expand(body)
	return &syntax.BlockExpr{At: syntax.At{S: at.Span()}, Body: body}
}

// choose finds the overload that fits: as many parameters, and of those the one that says most about its arguments.
func choose(overloads []*macro, args []syntax.Expr) *macro {
	var best *macro
	bestFit := -1
	for _, m := range overloads {
		if len(m.params) != len(args) {
			continue
		}
		fit := 0
		for i, p := range m.params {
			switch p.(type) {
			case *syntax.Var:
				if _, ok := args[i].(*syntax.Var); ok {
					fit++
				} else if m.types == nil {
					fit = -1000
				}
			case *syntax.MapRef:
				if a, ok := args[i].(*syntax.MapRef); ok && a.Key == nil {
					fit++
				} else {
					fit = -1000
				}
			}
		}
		if fit > bestFit {
			best, bestFit = m, fit
		}
	}
	return best
}

// noOverload says what the arguments should have been.
func (x *expander) noOverload(at syntax.Expr, name string, args []syntax.Expr, overloads []*macro) {
	var forms []string
	for _, m := range overloads {
		var params []string
		for _, p := range m.params {
			params = append(params, paramName(p))
		}
		forms = append(forms, name+"("+strings.Join(params, ", ")+")")
	}
	sameCount := slices.ContainsFunc(overloads, func(m *macro) bool { return len(m.params) == len(args) })
	if !sameCount {
		x.errorf(at.Span(), "%s does not take %s", name, plural(len(args), "argument")).hint("it is defined as %s", strings.Join(forms, " and "))
		return
	}
	x.errorf(at.Span(), "the arguments do not fit %s", strings.Join(forms, " or ")).
		hint("a parameter with $ takes a variable, one with @ a map; a name alone takes any expression")
}

// bind renames the body's own variables and puts the arguments in the place of the parameters.
func (x *expander) bind(body *syntax.Block, m *macro, args []syntax.Expr) {
	vars, maps, exprs := make(map[string]string), make(map[string]string), make(map[string]syntax.Expr)
	for i, p := range m.params {
		switch p := p.(type) {
		case *syntax.Var:
			vars[p.Name] = args[i].(*syntax.Var).Name
		case *syntax.MapRef:
			maps[p.Name] = args[i].(*syntax.MapRef).Name
		case *syntax.Ident:
			exprs[p.Name] = args[i]
		}
	}
	suffix := "#" + strconv.Itoa(x.count)
	syntax.Walk(body, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Var:
			if to := vars[n.Name]; to != "" {
				n.Name = to
			} else {
				n.Name += suffix
			}
		case *syntax.MapRef:
			if to := maps[n.Name]; to != "" {
				n.Name = to
			}
		}
		return true
	})
	if len(exprs) == 0 {
		return
	}
	syntax.RewriteExprs(body, func(e syntax.Expr) syntax.Expr {
		if id, ok := e.(*syntax.Ident); ok {
			if arg := exprs[id.Name]; arg != nil {
				arg = syntax.Clone(arg)
				x.grow(arg)
				return arg
			}
		}
		return e
	})
}

// bindFunction gives the body variables of its own that hold the arguments.
func (x *expander) bindFunction(body *syntax.Block, m *macro, args []syntax.Expr) {
	suffix := "#" + strconv.Itoa(x.count)
	syntax.Walk(body, func(n syntax.Node) bool {
		if v, ok := n.(*syntax.Var); ok {
			v.Name += suffix
		}
		return true
	})
	var lets []syntax.Stmt
	for i, p := range m.params {
		at := syntax.At{S: args[i].Span()}
		let := &syntax.Assign{At: at, Target: &syntax.Var{At: at, Name: paramName(p) + suffix}, Value: args[i], Let: true}
		if m.types[i] != nil {
			let.Type = syntax.Clone(m.types[i])
		}
		lets = append(lets, let)
	}
	body.Stmts = append(lets, body.Stmts...)
}

// enter refuses a macro inside its own expansion, and expansions without end.
func (x *expander) enter(at syntax.Span, m *macro) bool {
	if i := slices.IndexFunc(x.stack, func(s *macro) bool { return s == m }); i >= 0 {
		var names []string
		for _, s := range x.stack[i:] {
			names = append(names, s.name)
		}
		x.errorf(at, "macro %s calls itself (%s)", m.name, strings.Join(append(names, m.name), " calls "))
		return false
	}
	if len(x.stack) >= maxExpansionDepth || x.full {
		if !x.full {
			x.full = true
			x.errorf(at, "macros are nested deeper than %d", maxExpansionDepth)
		}
		return false
	}
	x.stack = append(x.stack, m)
	return true
}

func (x *expander) leave() { x.stack = x.stack[:len(x.stack)-1] }

// grow counts what has been put in.
func (x *expander) grow(n syntax.Node) {
	syntax.Walk(n, func(syntax.Node) bool { x.made++; return true })
	if x.made > maxExpansion && !x.full {
		x.full = true
		x.errorf(n.Span(), "the macros of this script expand to more than %d expressions", maxExpansion)
	}
}

// shownName is a variable's name as in the source, without what expansion put behind it.
func shownName(name string) string {
	name, _, _ = strings.Cut(name, "#")
	return name
}

func plural(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return strconv.Itoa(n) + " " + word
}
