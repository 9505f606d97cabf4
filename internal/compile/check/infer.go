package check

import (
	"slices"
	"strings"

	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// slot is what a variable, or the keys or the values of a map, hold.
type slot struct {
	// declared is the type that the script gives it; nil if it is inferred.
	declared *types.Type
	// now is what the rounds before found; next is what this one has found so far.
	now, next value
	// assigned: something is put into it.
	assigned bool
	told     bool // that its type grows without end
}

// mapState is a map while types are inferred.
type mapState struct {
	*Map
	key, value slot
	// keyed or scalar: its first use had a key, or none. used: anywhere at all.
	keyed, scalar, used bool
	declared            *syntax.MapDecl
}

const (
	// settleRounds is how many rounds may begin anew; after that types only grow.
	settleRounds = 12
	maxRounds    = 40
)

// infer finds the types of all variables, maps and expressions. It walks all programs again and again, each time with what
// the round before found, until nothing changes; what is wrong is told in one last round.
func (c *checker) infer() {
	c.muted = true
	rounds := 0
	for c.round(false) && rounds < maxRounds {
		if rounds++; rounds > settleRounds {
			c.growing = true
		}
	}
	if c.unsettled() {
		// What is only made of itself (@x = @x + 1) is a number.
		c.assumeInt = true
		for c.round(false) && rounds < 2*maxRounds {
			if rounds++; rounds > maxRounds+settleRounds {
				c.growing = true
			}
		}
	}
	c.muted = false
	c.endless = rounds >= 2*maxRounds || rounds == maxRounds
	c.round(true)
	c.finish()
}

// round walks everything once; it says whether a type changed.
func (c *checker) round(final bool) bool {
	c.final = final
	for _, p := range c.info.Programs {
		c.checkProgram(p)
	}
	if final {
		return false
	}
	changed := false
	each := func(s *slot) {
		if s.declared != nil {
			s.next = value{t: s.declared}
		} else if c.growing {
			if grown, _, ok := joinValues(s.now, s.next); ok {
				s.next = widen(grown, c.info.Config.MaxStrlen)
			} else {
				s.next = s.now
			}
		}
		if !sameValue(s.now, s.next) {
			changed = true
		}
		s.now, s.next = s.next, value{}
	}
	for _, s := range c.slots {
		each(s)
	}
	for _, m := range c.maps {
		each(&m.key)
		each(&m.value)
	}
	return changed
}

// widen lets what keeps growing take its last step.
func widen(v value, maxStrlen int) value {
	if v.isKind(types.String) && v.t.Size < maxStrlen {
		v.t = types.StringOf(maxStrlen)
	}
	return v
}

// unsettled says whether something that is assigned still has no type.
func (c *checker) unsettled() bool {
	for _, s := range c.slots {
		if s.assigned && !s.now.known() {
			return true
		}
	}
	for _, m := range c.maps {
		if (m.value.assigned || m.Read || m.Tested) && !m.value.now.known() || m.keyed && !m.key.now.known() {
			return true
		}
	}
	return false
}

// slotOf is the slot of a variable.
func (c *checker) slotOf(v *Variable) *slot {
	s := c.slots[v]
	if s == nil {
		s = &slot{}
		c.slots[v] = s
	}
	return s
}

// put notes that a value goes into a slot; what names it for messages. In the last round, a value that does not fit is told.
func (c *checker) put(s *slot, v value, e syntax.Expr, what string) {
	s.assigned = true
	at := e.Span()
	if !c.final {
		if joined, _, ok := joinValues(s.next, v); ok {
			s.next = joined
		}
		return
	}
	if !s.now.known() && s.declared == nil && !v.invalid() {
		if ref, ok := e.(*syntax.MapRef); ok && !c.mapNamed(ref).value.assigned {
			c.errorf(at, "nothing is ever put into %s", ref.Name)
			return
		}
		c.errorf(at, "the type of %s cannot be found: it is only made of itself", what).hint("assign it something else, or declare it: let")
	}
	if !v.usable() || !s.now.usable() {
		return
	}
	if s.now.t.Kind == types.Tuple && depthOf(s.now.t, 0) > maxTypeDepth || c.endless && !sameValue(s.now, v) && containsSelf(s.now.t, v.t) {
		if !s.told {
			c.errorf(at, "the type of %s grows with every assignment", what).hint("a tuple cannot hold what it is part of")
		}
		s.told = true
		return
	}
	if s.declared != nil {
		c.fitsDeclared(s, v, e, what)
		return
	}
	joined, lossy, ok := joinValues(s.now, v)
	if !ok || !compatible(joined.t, s.now.t) {
		c.errorf(at, "%s holds %s, so %s cannot be put into it", what, s.now.t, v.t)
		return
	}
	if _, isCast := e.(*syntax.Cast); isCast {
		return
	}
	if lossy || v.isInt() && v.t.Kind == types.Int && !v.t.Signed && v.t.Size == 8 && !v.flexible && s.now.t.Signed {
		c.warnf("sign", at, "%s holds int64: a large uint64 becomes negative in it", what).hint("cast it: (int64) says that this is meant")
	}
}

const maxTypeDepth = 8

// depthOf counts how deep tuples are nested.
func depthOf(t *types.Type, depth int) int {
	if depth > 2*maxTypeDepth {
		return depth
	}
	deepest := depth
	if t.Kind == types.Tuple || t.Kind == types.Record {
		for _, f := range t.Fields {
			deepest = max(deepest, depthOf(f.Type, depth+1))
		}
	}
	return deepest
}

func containsSelf(outer, inner *types.Type) bool { return depthOf(outer, 0) != depthOf(inner, 0) }

// compatible says whether a joined type is the one that the slot has in the end.
func compatible(joined, now *types.Type) bool {
	return types.Equal(joined, now) || joined.Kind == now.Kind
}

// fitsDeclared checks a value against a type that the script declared.
func (c *checker) fitsDeclared(s *slot, v value, e syntax.Expr, what string) {
	t, at := s.declared, e.Span()
	bad := func() {
		c.errorf(at, "%s is declared as %s, so %s cannot be put into it", what, t, v.t)
	}
	switch {
	case t.Kind == types.Int && v.isKind(types.Int, types.Enum):
		if v.literal {
			low, high := int64(0), uint64(1)<<(t.Size*8-1)<<1-1
			if t.Signed {
				low, high = -1<<(t.Size*8-1), high>>1
			}
			if k := c.info.Consts[e]; k != nil && (isNegative(v.t, k) && int64(k.Int) < low || !isNegative(v.t, k) && k.Int > high) {
				bad()
			}
		} else if v.t.Size > t.Size && !v.flexible {
			c.warnf("narrow", at, "%s is declared as %s: %s is cut to fit", what, t, v.t).hint("cast it: (%s) says that this is meant", t)
		}
	case t.Kind == types.String && v.isKind(types.String):
		if v.t.Size > t.Size {
			bad()
		}
	case t.Kind == types.Pointer && v.isKind(types.Pointer), t.Kind == types.Enum && v.isInt():
		if _, _, ok := types.Join(t, v.t); !ok && t.Kind == types.Pointer {
			bad()
		}
	default:
		if joined, _, ok := types.Join(t, v.t); !ok || !types.Equal(joined, t) && !t.IsInt() {
			bad()
		}
	}
}

// finish hands out what has been found.
func (c *checker) finish() {
	for v, s := range c.slots {
		v.Type = s.now.t
		if v.Type == nil {
			v.Type = types.TInt64
		}
		v.Type = c.trustOf(v, v.Type)
	}
	for _, m := range c.maps {
		m.Scalar = !m.keyed
		if m.keyed {
			m.Key = m.key.now.t
			if m.Key == nil {
				m.Key = types.TInt64
			}
		}
		m.Value = m.value.now.t
		if m.Value == nil {
			m.Value = types.TInt64
		}
		if d := m.declared; d != nil && strings.HasPrefix(m.Kind, "percpu") && !m.Value.IsAggregate() {
			c.errorf(d.Span(), "%s holds %s: only what is added up, as by count() or sum(), can be in a %s", m.Name, m.Value, m.Kind)
		}
		if m.MaxEntries == 0 {
			m.MaxEntries = c.info.Config.MaxMapKeys
			if m.Scalar {
				m.MaxEntries = 1
			}
		}
	}
	slices.SortStableFunc(c.info.Maps, func(a, b *Map) int { return int(a.Pos.Start) - int(b.Pos.Start) })
}

// trustOf is the type that a variable is read with. A pointer is trusted only if every path to the read has put one into
// it, and if it has been in a register or on the stack all the time.
func (c *checker) trustOf(v *Variable, t *types.Type) *types.Type {
	if d := c.declarations[v]; v.InCallback || v.AddressTaken || d == nil || !d.sure {
		return untrusted(t)
	}
	return t
}
