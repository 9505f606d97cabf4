package compile

import (
	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// inMemory says whether a variable cannot be in a register.
func inMemory(v *check.Variable) bool {
	return v.AddressTaken || v.InCallback || !v.Type.InRegister()
}

// habits is what a body does with a variable.
type habits struct {
	assigned int // how many assignments there are
	// slippery variables are assigned inside expressions: a value read is copied, as it may change before it is used.
	slippery bool
	// loose variables may be read where no assignment has been passed: they begin as 0.
	loose bool
	home  *syntax.Block // the block of the first assignment
}

// survey finds out the habits of the variables of a body.
func (l *lowerer) survey(decl *syntax.Probe) map[*check.Variable]*habits {
	s := surveyor{l: l, habits: map[*check.Variable]*habits{}}
	if decl.Predicate != nil {
		s.expr(decl.Predicate)
	}
	s.block(decl.Body)
	return s.habits
}

type surveyor struct {
	l      *lowerer
	habits map[*check.Variable]*habits
	open   []*syntax.Block
	inside int // expressions around
}

func (s *surveyor) of(v *check.Variable) *habits {
	h := s.habits[v]
	if h == nil {
		h = &habits{}
		s.habits[v] = h
	}
	return h
}

func (s *surveyor) expr(e syntax.Node) {
	s.inside++
	s.walk(e)
	s.inside--
}

func (s *surveyor) block(b *syntax.Block) {
	s.open = append(s.open, b)
	for _, st := range b.Stmts {
		s.walk(st)
	}
	if b.Value != nil {
		s.expr(b.Value)
	}
	s.open = s.open[:len(s.open)-1]
}

func (s *surveyor) assign(x *syntax.Var) {
	v := s.l.info.Vars[x]
	h := s.of(v)
	if h.assigned++; h.assigned == 1 {
		h.home = s.open[len(s.open)-1]
	}
	s.check(h)
	h.slippery = h.slippery || s.inside > 0
}

// check marks a variable as loose unless its first assignment has been passed on the way here.
func (s *surveyor) check(h *habits) {
	for _, b := range s.open {
		if b == h.home {
			return
		}
	}
	h.loose = true
}

func (s *surveyor) walk(n syntax.Node) {
	syntax.Walk(n, func(n syntax.Node) bool {
		if e, ok := n.(syntax.Expr); ok && s.inside == 0 {
			s.expr(e)
			return false
		}
		switch n := n.(type) {
		case *syntax.Block:
			s.block(n)
			return false
		case *syntax.Assign:
			x, ok := n.Target.(*syntax.Var)
			s.expr(n.Value)
			if !ok {
				s.expr(n.Target)
				return false
			}
			if n.Op != syntax.OpNone {
				s.check(s.of(s.l.info.Vars[x]))
			}
			s.assign(x)
			return false
		case *syntax.Let:
			s.assign(n.Var)
			return false
		case *syntax.IncDec:
			if x, ok := n.X.(*syntax.Var); ok {
				s.check(s.of(s.l.info.Vars[x]))
				s.assign(x)
				return false
			}
		case *syntax.ExprStmt:
			switch x := n.X.(type) {
			case *syntax.IncDec: // by itself it is not inside an expression
				if v, ok := x.X.(*syntax.Var); ok {
					s.check(s.of(s.l.info.Vars[v]))
					s.assign(v)
					return false
				}
			case *syntax.BlockExpr:
				s.block(x.Body)
				return false
			}
			s.expr(n.X)
			return false
		case *syntax.ForRange:
			s.expr(n.From)
			s.expr(n.To)
			s.open = append(s.open, n.Body)
			s.assign(n.Var)
			s.open = s.open[:len(s.open)-1]
			s.block(n.Body)
			return false
		case *syntax.ForMap:
			s.open = append(s.open, n.Body)
			s.assign(n.Var)
			s.open = s.open[:len(s.open)-1]
			s.block(n.Body)
			return false
		case *syntax.Call:
			if x, ok := lastVar(n); ok && n.Func == "find" {
				s.inside++
				s.check(s.of(s.l.info.Vars[x]))
				s.assign(x)
				s.inside--
			}
		case *syntax.Var:
			s.check(s.of(s.l.info.Vars[n]))
			return false
		}
		return true
	})
}

func lastVar(c *syntax.Call) (*syntax.Var, bool) {
	if len(c.Args) == 0 {
		return nil, false
	}
	x, ok := c.Args[len(c.Args)-1].(*syntax.Var)
	return x, ok
}

// zeroLoose zeroes loose variables, at the beginning of the function.
func (f *fn) zeroLoose(list []*check.Variable) {
	for _, v := range list {
		f.declare(v)
	}
}

// declare makes room for a variable and zeroes it.
func (f *fn) declare(v *check.Variable) *variable {
	place := f.room(v)
	if place.inMem {
		f.zeroAt(place.m, v.Type.Size)
	} else {
		f.Set(place.reg, f.Const(0))
	}
	return place
}

// varPlace is where a variable is.
func (f *fn) varPlace(v *check.Variable) *variable { return f.room(v) }

func (f *fn) room(v *check.Variable) *variable {
	if place, ok := f.vars[v]; ok {
		return place
	}
	place := &variable{}
	switch {
	case v.InCallback:
		place.inMem, place.m = true, f.sharedVar(v)
	case inMemory(v):
		// Scratch memory is given back by statements; this is kept to the end.
		place.inMem, place.m = true, f.allocLasting(max(v.Type.Size, 1), v.Type.Align(), v.Name)
	default:
		place.reg = f.Func.NewVar()
	}
	f.vars[v] = place
	if h := f.habits[v]; h == nil || h.loose {
		f.loose = append(f.loose, v)
	}
	return place
}

// readVar is a variable's value.
func (f *fn) readVar(v *check.Variable) value {
	place := f.room(v)
	if place.inMem {
		return f.loadAt(v.Type, place.m)
	}
	val := value{t: v.Type, v: place.reg, trusted: place.trusted}
	if h := f.habits[v]; h == nil || h.slippery {
		val.v = f.Func.NewVar()
		f.Set(val.v, place.reg)
	}
	return val
}

// setVar assigns a value at hand.
func (f *fn) setVar(v *check.Variable, val value) {
	place := f.room(v)
	switch {
	case !place.inMem:
		f.Set(place.reg, f.convert(val, v.Type))
		h := f.habits[v]
		place.trusted = val.trusted && h != nil && h.assigned == 1 && types.Equal(val.t, v.Type)
		if place.trusted && len(f.scopes) > 0 {
			s := f.scopes[len(f.scopes)-1]
			s.set = append(s.set, place)
		}
	case v.Type.InRegister():
		f.store(place.m, v.Type.Size, f.convert(val, v.Type))
	default:
		f.copyTo(place.m, val, v.Type)
	}
}

// varIncDec is ++ and -- on a variable.
func (f *fn) varIncDec(e *syntax.IncDec, x *syntax.Var) value {
	v := f.info.Vars[x]
	old := f.readVar(v)
	step := int64(1)
	if v.Type.Kind == types.Pointer && v.Type.Elem != nil {
		step = int64(max(v.Type.Elem.Size, 1))
	}
	if e.Dec {
		step = -step
	}
	changed := value{t: types.IntOf(8, v.Type.Signed), v: f.BinImm(ir.OpAdd, old.v, step)}
	if v.Type.Kind == types.Pointer {
		changed.t = v.Type
	}
	f.setVar(v, changed)
	if e.Prefix {
		return value{t: v.Type, v: f.convert(changed, v.Type)}
	}
	return old
}
