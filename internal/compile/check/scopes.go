package check

import (
	"sonde/internal/compile/syntax"
)

// scopes resolves every scratch variable to the one of its block: the first assignment declares it, for its block and those
// within. What older scripts do, set a variable in an inner block and read it outside, makes it one of the whole probe.
func (c *checker) scopes() {
	for _, p := range c.info.Programs {
		// The first walk finds out which variables are read outside of the block that sets them.
		find := &resolver{checker: c, hoist: make(map[string]bool), outside: make(map[*syntax.Var]bool)}
		muted := c.muted
		c.muted = true
		find.program(p, nil)
		c.muted = muted
		tell := &resolver{checker: c, hoist: make(map[string]bool), outside: find.outside}
		tell.program(p, find.hoist)
	}
}

// declaration is what is known of a variable besides its type.
type declaration struct {
	span syntax.Span
	// let: declared by let without a value. sure: its declaration gives it a value, so that no path reads it unset.
	let, sure, assigned bool
	// loop variables belong to their loop alone.
	loop bool
	// hoisted: of the whole probe, because an older script reads it outside of its block.
	hoisted bool
}

// scope is a block.
type scope struct {
	parent *scope
	vars   map[string]*Variable
}

func (s *scope) find(name string) *Variable {
	for ; s != nil; s = s.parent {
		if v := s.vars[name]; v != nil {
			return v
		}
	}
	return nil
}

// resolver walks one program.
type resolver struct {
	*checker
	scope *scope
	// closed are variables of blocks that have ended; hoist those of them that are read later.
	closed  map[string]*Variable
	hoist   map[string]bool
	outside map[*syntax.Var]bool // where they are read
	level   int                  // of for-each bodies
	warned  map[string]bool
}

func (r *resolver) program(p *Program, hoisted map[string]bool) {
	r.scope, r.level = &scope{vars: make(map[string]*Variable)}, 0
	r.closed, r.warned = make(map[string]*Variable), make(map[string]bool)
	for name := range hoisted {
		v := r.declare(name, p.Decl.Span(), declaration{hoisted: true})
		v.Level = 0
	}
	r.expr(p.Decl.Predicate)
	r.block(p.Decl.Body)
	for _, v := range r.scope.vars {
		r.neverAssigned(v)
	}
}

// block walks a block in a scope of its own.
func (r *resolver) block(b *syntax.Block) {
	if b == nil {
		return
	}
	r.open()
	r.stmts(b)
	r.close()
}

func (r *resolver) open() { r.scope = &scope{parent: r.scope, vars: make(map[string]*Variable)} }

func (r *resolver) close() {
	for name, v := range r.scope.vars {
		if d := r.declarations[v]; !d.loop && !d.let {
			r.closed[name] = v
		}
		r.neverAssigned(v)
	}
	r.scope = r.scope.parent
}

func (r *resolver) neverAssigned(v *Variable) {
	if d := r.declarations[v]; d.let && !d.assigned && !v.AddressTaken {
		r.warnf("unset", d.span, "%s is never assigned", shownName(v.Name))
	}
}

func (r *resolver) stmts(b *syntax.Block) {
	for _, s := range b.Stmts {
		r.stmt(s)
	}
	r.expr(b.Value)
}

func (r *resolver) stmt(s syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.ExprStmt:
		r.expr(s.X)
	case *syntax.Assign:
		r.typeExpr(s.Type)
		r.expr(s.Value)
		if v, ok := s.Target.(*syntax.Var); ok {
			r.assign(s, v)
		} else {
			r.expr(s.Target)
		}
	case *syntax.Let:
		r.typeExpr(s.Type)
		r.newVar(s.Var, declaration{span: s.Span(), let: true})
	case *syntax.If:
		r.expr(s.Cond)
		r.block(s.Then)
		r.block(s.Else)
	case *syntax.Unroll:
		r.expr(s.Count)
		r.block(s.Body)
	case *syntax.While:
		r.expr(s.Cond)
		r.block(s.Body)
	case *syntax.ForRange:
		r.expr(s.From)
		r.expr(s.To)
		r.loop(s.Var, s.Body, 0)
	case *syntax.ForMap:
		r.loop(s.Var, s.Body, 1)
	case *syntax.Jump:
		r.expr(s.Value)
	case *syntax.BlockStmt:
		r.block(s.Body)
	}
}

// loop declares the variable of a loop for its body; callback is 1 where the body is a function of its own.
func (r *resolver) loop(v *syntax.Var, body *syntax.Block, callback int) {
	r.open()
	r.level += callback
	r.newVar(v, declaration{span: v.Span(), loop: true, sure: true, assigned: true})
	r.block(body)
	r.level -= callback
	r.close()
}

// assign resolves the target of an assignment, which may declare it.
func (r *resolver) assign(s *syntax.Assign, v *syntax.Var) {
	if s.Let {
		r.newVar(v, declaration{span: s.Span(), sure: true, assigned: true})
		return
	}
	if known := r.scope.find(v.Name); known != nil {
		r.declarations[known].assigned = true
		r.refer(v, known)
		return
	}
	if s.Op != syntax.OpNone { // reads it first
		r.use(v)
		return
	}
	r.info.Vars[v] = r.declare(v.Name, s.Span(), declaration{span: s.Span(), sure: true, assigned: true})
}

// newVar declares a variable that must not be there yet.
func (r *resolver) newVar(v *syntax.Var, d declaration) {
	if old := r.scope.find(v.Name); old != nil && !r.declarations[old].hoisted {
		line, _ := r.source.Position(r.declarations[old].span.Start)
		what := "declared"
		if d.loop {
			what = "the variable of a loop"
		}
		r.errorf(v.Span(), "%s is %s here, but is in use since line %d", shownName(v.Name), what, line).
			hint("an inner block cannot have a variable of the same name: choose another")
		r.refer(v, old)
		return
	} else if old != nil {
		r.refer(v, old)
		return
	}
	r.info.Vars[v] = r.declare(v.Name, d.span, d)
}

func (r *resolver) declare(name string, at syntax.Span, d declaration) *Variable {
	v := &Variable{Name: shownName(name), Level: r.level}
	if d.span == (syntax.Span{}) {
		d.span = at
	}
	r.declarations[v] = &d
	r.scope.vars[name] = v
	return v
}

// refer notes that a name means a variable.
func (r *resolver) refer(at *syntax.Var, v *Variable) {
	r.info.Vars[at] = v
	if r.level > v.Level {
		v.InCallback = true
	}
}

// use resolves a variable that is read.
func (r *resolver) use(at *syntax.Var) {
	v := r.scope.find(at.Name)
	if v == nil {
		if v = r.closed[at.Name]; v != nil {
			r.hoist[at.Name], r.outside[at] = true, true
		}
	}
	if v == nil {
		r.undefined(at)
		return
	}
	switch d := r.declarations[v]; {
	case d.hoisted && !r.warned[at.Name] && r.outside[at]:
		r.warned[at.Name] = true
		r.warnf("scope", at.Span(), "%s is set in an inner block and read outside of it", shownName(at.Name)).
			hint("newer versions of the language refuse that: declare it before the block with let %s", shownName(at.Name))
	case d.let && !d.assigned:
		r.warnf("unset", at.Span(), "%s is read before it is assigned", shownName(at.Name))
	}
	r.refer(at, v)
}

// undefined complains, and goes on with a variable that nothing more is said about.
func (r *resolver) undefined(at *syntax.Var) {
	var names []string
	for s := r.scope; s != nil; s = s.parent {
		for n := range s.vars {
			names = append(names, shownName(n))
		}
	}
	p := r.errorf(at.Span(), "%s is not defined", shownName(at.Name))
	if near := nearest(shownName(at.Name), names); near != "" {
		p.hint("did you mean %s?", near)
	} else {
		p.hint("a variable has to be assigned before it is read")
	}
	v := &Variable{Name: shownName(at.Name), Type: typeInvalid}
	r.declarations[v] = &declaration{span: at.Span(), assigned: true}
	r.info.Vars[at] = v
	r.scope.vars[at.Name] = v
	r.slots[v] = &slot{declared: typeInvalid}
}

// typeExpr looks for variables in typeof().
func (r *resolver) typeExpr(te *syntax.TypeExpr) {
	if te != nil {
		r.node(te)
	}
}

func (r *resolver) expr(e syntax.Expr) {
	if e != nil {
		r.node(e)
	}
}

// node walks an expression; blocks in it have scopes of their own.
func (r *resolver) node(n syntax.Node) {
	syntax.Walk(n, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Var:
			r.use(n)
		case *syntax.BlockExpr:
			r.block(n.Body)
			return false
		case *syntax.IfExpr:
			r.stmt(n.If)
			return false
		case *syntax.AddrOf:
			if v, ok := n.X.(*syntax.Var); ok {
				r.use(v)
				if known := r.info.Vars[v]; known != nil {
					known.AddressTaken = true
				}
				return false
			}
		}
		return true
	})
}
