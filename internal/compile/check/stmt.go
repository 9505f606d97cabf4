package check

import (
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// checkProgram walks one body with its predicate.
func (c *checker) checkProgram(p *Program) {
	c.prog, c.loops, c.callbacks = p, 0, 0
	p.Uses = nil
	if p.Decl.Predicate != nil {
		c.condition(p.Decl.Predicate)
	}
	c.stmts(p.Decl.Body)
	if b := p.Decl.Body; b.Value != nil {
		c.expr(b.Value)
	}
	c.prog = nil
}

func (c *checker) stmts(b *syntax.Block) {
	for _, s := range b.Stmts {
		c.stmt(s)
	}
}

// body is a block whose value, if it has one, is not used.
func (c *checker) body(b *syntax.Block) {
	if b == nil {
		return
	}
	if c.depth++; c.depth > maxDepth {
		c.errorf(b.Span(), "this is nested too deep")
	} else {
		c.stmts(b)
		if b.Value != nil {
			c.expr(b.Value)
		}
	}
	c.depth--
}

func (c *checker) stmt(s syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.ExprStmt:
		c.exprStmt(s)
	case *syntax.Assign:
		c.assign(s)
	case *syntax.Let:
		c.let(s)
	case *syntax.If:
		c.ifStmt(s)
	case *syntax.Unroll:
		c.unroll(s)
	case *syntax.While:
		c.condition(s.Cond)
		c.loopBody(s.Body)
	case *syntax.ForRange:
		c.forRange(s)
	case *syntax.ForMap:
		c.forMap(s)
	case *syntax.Jump:
		c.jump(s)
	case *syntax.BlockStmt:
		c.body(s.Body)
	}
}

// exprStmt is an expression for its effect.
func (c *checker) exprStmt(s *syntax.ExprStmt) {
	v := c.expr(s.X)
	if !v.usable() || v.isKind(types.None) || !c.final {
		return
	}
	switch x := s.X.(type) {
	case *syntax.IncDec, *syntax.BlockExpr, *syntax.IfExpr:
		return
	case *syntax.Call:
		if x.Func == "delete" {
			return
		}
	}
	c.warnf("unused", s.Span(), "the value of this is not used").hint("assign it, or to _ if that is meant: _ = ...")
}

func (c *checker) assign(s *syntax.Assign) {
	switch target := s.Target.(type) {
	case *syntax.Var:
		c.assignVar(s, target)
	case *syntax.MapRef:
		c.assignMap(s, target)
	case *syntax.Ident:
		c.expr(s.Value)
		if target.Name != "_" {
			c.notAssignable(s)
		}
	default:
		c.expr(s.Target)
		c.expr(s.Value)
		c.notAssignable(s)
	}
}

// notAssignable is for targets that the parser let through: the parameter of a macro may stand for anything.
func (c *checker) notAssignable(s *syntax.Assign) {
	if !c.failed() {
		c.errorf(s.Target.Span(), "this cannot be assigned to").hint("only variables and maps can")
	}
}

func (c *checker) assignVar(s *syntax.Assign, target *syntax.Var) {
	variable := c.info.Vars[target]
	v := c.operand(s.Value)
	if variable == nil {
		return
	}
	slot := c.slotOf(variable)
	if s.Type != nil {
		c.declareAs(slot, s.Type)
	}
	if s.Op != syntax.OpNone {
		v = c.compound(s, slot.now, v)
	}
	if v.usable() && (!storable(v.t) || c.isArgs(s.Value)) {
		c.errorf(s.Value.Span(), "%s cannot be kept in a variable", v.t)
		v = invalid
	}
	c.put(slot, v, s.Value, variable.Name)
	if t := slot.now.t; t != nil {
		c.info.Types[target] = c.trustOf(variable, t)
	}
}

// declareAs gives a variable the type that the script says.
func (c *checker) declareAs(s *slot, te *syntax.TypeExpr) {
	t := c.typeExpr(te)
	if t == nil {
		return
	}
	if !storable(t) && t.Kind != types.Invalid {
		c.errorf(te.Span(), "a variable cannot hold %s", t)
		t = typeInvalid
	}
	if t.Kind == types.Pointer && t.Space == types.SpaceNone {
		p := *t
		p.Space = c.space()
		t = &p
	}
	s.declared, s.assigned = t, true
}

func (c *checker) let(s *syntax.Let) {
	variable := c.info.Vars[s.Var]
	if variable == nil {
		return
	}
	slot := c.slotOf(variable)
	if s.Type != nil {
		c.declareAs(slot, s.Type)
	}
	if t := slot.now.t; t != nil {
		c.info.Types[s.Var] = t
	}
}

// ifStmt leaves out the branch that is never taken.
func (c *checker) ifStmt(s *syntax.If) {
	c.condition(s.Cond)
	if k := c.info.Consts[s.Cond]; k != nil {
		if k.Int != 0 {
			c.body(s.Then)
		} else {
			c.body(s.Else)
		}
		return
	}
	if c.deferred(s) {
		return
	}
	c.body(s.Then)
	c.body(s.Else)
}

// deferred says that an `if comptime` has to wait for a later round, which knows more types.
func (c *checker) deferred(s *syntax.If) bool {
	if !s.Comptime {
		return false
	}
	if t := c.info.Types[s.Cond]; c.final && (t == nil || t.Kind != types.Invalid) {
		c.errorf(s.Cond.Span(), "the value of this is not known before the script runs")
	}
	return true
}

// maxUnroll is how often a body can be repeated.
const maxUnroll = 100

func (c *checker) unroll(s *syntax.Unroll) {
	v := c.operand(s.Count)
	k := c.info.Consts[s.Count]
	switch {
	case v.invalid():
	case k == nil || k.Kind != ConstInt:
		if v.known() {
			c.errorf(s.Count.Span(), "unroll takes a number that stands there")
		}
	case k.Int < 1 || k.Int > maxUnroll:
		c.errorf(s.Count.Span(), "unroll takes a number from 1 to %d, not %d", maxUnroll, int64(k.Int))
	}
	c.loopBody(s.Body)
}

func (c *checker) loopBody(b *syntax.Block) {
	c.loops++
	c.body(b)
	c.loops--
}

// forRange is for $i : a..b.
func (c *checker) forRange(s *syntax.ForRange) {
	from, to := c.operand(s.From), c.operand(s.To)
	for _, end := range []struct {
		e syntax.Expr
		v value
	}{{s.From, from}, {s.To, to}} {
		if end.v.usable() && !end.v.isKind(types.Int, types.Enum) {
			c.errorf(end.e.Span(), "the ends of a range are integers, not %s", end.v.t)
			from = invalid
		}
	}
	if variable := c.info.Vars[s.Var]; variable != nil {
		slot := c.slotOf(variable)
		v, _, ok := joinValues(from, to)
		if !ok {
			v = invalid
		}
		v.literal = false
		slot.assigned = true
		if slot.now.known() {
			c.info.Types[s.Var] = slot.now.t
		}
		if joined, _, ok := joinValues(slot.next, v); ok {
			slot.next = joined
		}
	}
	c.loopBody(s.Body)
}

// forMap is for $kv : @m. The variable is a tuple of key and value; aggregates come as numbers.
func (c *checker) forMap(s *syntax.ForMap) {
	m := c.mapArgument(s.Map, "for")
	variable := c.info.Vars[s.Var]
	if m != nil && variable != nil {
		m.Iterated, m.Read = true, true
		slot := c.slotOf(variable)
		slot.assigned = true
		key, val := m.key.now, m.value.now
		switch {
		case c.final && !m.keyed:
			c.errorf(s.Map.Span(), "%s has no keys to go through", m.Name)
		case val.usable() && val.t.IsAggregate() && !val.t.IsCastable():
			c.errorf(s.Map.Span(), "a map of %s cannot be gone through", val.t)
		case key.usable() && val.usable():
			if val.t.IsCastable() {
				val = value{t: aggregateNumber(val.t)}
			}
			slot.next = value{t: types.TupleOf([]*types.Type{untrusted(key.t), untrusted(val.t)})}
		}
		if slot.now.t != nil {
			c.info.Types[s.Var] = slot.now.t
		}
	}
	loops := c.loops
	c.loops = 1
	c.callbacks++
	c.body(s.Body)
	c.callbacks--
	c.loops = loops
}

// jump is break, continue and return.
func (c *checker) jump(s *syntax.Jump) {
	if s.Kind != syntax.Return {
		if c.loops == 0 {
			word := "break"
			if s.Kind == syntax.Continue {
				word = "continue"
			}
			c.errorf(s.Span(), "%s stands outside of a loop", word)
		}
		return
	}
	if s.Value == nil {
		return
	}
	v := c.operand(s.Value)
	if v.usable() && !v.isInt() {
		c.errorf(s.Value.Span(), "a probe returns an integer, not %s", v.t)
	}
}

// unused warns about what the script has and never uses.
func (c *checker) unused() {
	for _, m := range c.maps {
		if m.declared != nil && !m.used {
			c.warnf("unused", m.declared.Span(), "%s is never used", m.Name)
		}
	}
}
