package check

import (
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// mapKinds are what a map can be declared as.
var mapKinds = map[string]bool{"hash": true, "lruhash": true, "percpuhash": true, "percpulruhash": true}

// mapDecls reads let @m = lruhash(1000);
func (c *checker) mapDecls() {
	for _, d := range c.program.Decls {
		d, ok := d.(*syntax.MapDecl)
		if !ok {
			continue
		}
		m := c.mapNamed(&syntax.MapRef{At: d.At, Name: d.Name})
		if m.declared != nil {
			c.errorf(d.Span(), "%s is declared twice", d.Name)
			continue
		}
		m.declared, m.Kind = d, d.Kind
		if !mapKinds[d.Kind] {
			c.errorf(d.Span(), "there are no maps of kind %s", d.Kind).suggest(d.Kind, []string{"hash", "lruhash", "percpuhash", "percpulruhash"})
		}
		c.operand(d.Size)
		k := c.info.Consts[d.Size]
		if k == nil || k.Kind != ConstInt || k.Int < 1 || k.Int > 1<<30 {
			c.errorf(d.Size.Span(), "the size of a map is a number from 1 to %d", 1<<30)
			continue
		}
		m.MaxEntries = int(k.Int)
	}
}

// mapNamed finds or makes the map that an expression names.
func (c *checker) mapNamed(e *syntax.MapRef) *mapState {
	m := c.maps[e.Name]
	if m == nil {
		m = &mapState{Map: &Map{Name: e.Name, Pos: e.Span()}}
		c.maps[e.Name] = m
		c.info.Maps = append(c.info.Maps, m.Map)
	}
	return m
}

// mapValue is a map as it is written, with its key or without, and what is in it.
func (c *checker) mapValue(e *syntax.MapRef) (*mapState, value) {
	m := c.mapNamed(e)
	m.used = true
	if e.Key != nil {
		c.keyedUse(m, e.Span())
		m.partsAt(e.Key)
		c.key(m, e.Key)
	} else {
		c.scalarUse(m, e.Span())
	}
	return m, m.value.now
}

// partsAt notes how the parts of the key are written, which is what they are called when they are shown.
func (m *mapState) partsAt(key syntax.Expr) {
	if m.Parts != nil {
		return
	}
	parts := []syntax.Expr{key}
	if tuple, ok := key.(*syntax.Tuple); ok {
		parts = tuple.Elems
	}
	for _, part := range parts {
		m.Parts = append(m.Parts, part.Span())
	}
}

// keyedUse and scalarUse refuse to have one map in both ways; the first use decides.
func (c *checker) keyedUse(m *mapState, at syntax.Span) {
	if m.scalar && !m.keyed {
		if c.final {
			c.errorf(at, "%s has a key here, but none elsewhere", m.Name).hint("a map is used with a key everywhere, or nowhere")
		}
		return
	}
	m.keyed = true
}

func (c *checker) scalarUse(m *mapState, at syntax.Span) {
	if m.keyed {
		if c.final {
			c.errorf(at, "%s has no key here, but has one elsewhere", m.Name).hint("a map is used with a key everywhere, or nowhere")
		}
		return
	}
	m.scalar = true
}

// key checks a key, and joins its type with that of the map's other keys.
func (c *checker) key(m *mapState, e syntax.Expr) value {
	v := c.operand(e)
	if !v.usable() {
		return v
	}
	switch v.t.Kind {
	case types.Context, types.None, types.Timestamp, types.CgroupPath:
		c.errorf(e.Span(), "%s cannot be a key", v.t)
		return invalid
	}
	if v.t.Size > maxValueSize {
		c.errorf(e.Span(), "a key of %d bytes is too large", v.t.Size)
		return invalid
	}
	v.literal, v.t = false, untrusted(v.t)
	c.put(&m.key, v, e, "the key of "+m.Name)
	return v
}

// readMap is a map's value in an expression.
func (c *checker) readMap(e *syntax.MapRef) value {
	m, v := c.mapValue(e)
	m.Read = true
	v.literal = false
	v.t = untrusted(v.t)
	if !v.known() && c.final {
		return of(types.TInt64)
	}
	return v
}

// assignMap is @m = e, @m[k] = e, and the like with an operator.
func (c *checker) assignMap(s *syntax.Assign, target *syntax.MapRef) {
	if call, ok := s.Value.(*syntax.Call); ok && s.Op == syntax.OpNone {
		if b := builtinOf(call.Func); b != nil && b.Aggregate {
			m, _ := c.mapValue(target)
			v := c.builtin(b, call, call.Args, m)
			if v.t != nil {
				c.info.Types[call] = v.t
			}
			c.aggregate(m, v, s, target)
			return
		}
	}
	m, now := c.mapValue(target)
	v := c.operand(s.Value)
	if s.Op != syntax.OpNone {
		m.Read = true
		v = c.compound(s, now, v)
	}
	c.typeOfTarget(target, m, v)
	if !v.usable() {
		m.value.assigned = true
		if v.invalid() {
			c.put(&m.value, v, s.Value, m.Name)
		}
		return
	}
	if now.usable() && now.t.IsAggregate() {
		if c.final {
			c.errorf(s.Span(), "%s holds %s, so %s cannot be put into it", m.Name, now.t, v.t)
		}
		return
	}
	if !storable(v.t) || c.isArgs(s.Value) {
		c.errorf(s.Value.Span(), "%s cannot be kept in a map", v.t)
		return
	}
	v.literal, v.t = false, untrusted(v.t)
	c.put(&m.value, v, s.Value, m.Name)
}

// typeOfTarget records the type of a map that is assigned to.
func (c *checker) typeOfTarget(e *syntax.MapRef, m *mapState, v value) {
	switch {
	case m.value.now.t != nil:
		c.info.Types[e] = m.value.now.t
	case v.t != nil:
		c.info.Types[e] = v.t
	}
}

// aggregate is @m = count() and its like.
func (c *checker) aggregate(m *mapState, v value, s *syntax.Assign, target *syntax.MapRef) {
	m.value.assigned = true
	c.typeOfTarget(target, m, v)
	if !v.usable() {
		return
	}
	if now := m.value.now; c.final && now.usable() {
		if joined, _, ok := joinValues(now, v); !ok || !types.Equal(joined.t, now.t) {
			if now.t.Kind == v.t.Kind {
				c.errorf(s.Span(), "%s is used with other arguments, or another sign, elsewhere", m.Name)
			} else {
				c.errorf(s.Span(), "%s holds %s, so %s cannot be put into it", m.Name, now.t, v.t)
			}
			return
		}
	}
	c.put(&m.value, v, s.Value, m.Name)
}

// compound is the value of target op= e.
func (c *checker) compound(s *syntax.Assign, now, v value) value {
	if !now.known() {
		if !v.known() {
			return unknown
		}
		now = value{t: types.TInt8, flexible: true}
	}
	if now.invalid() || v.invalid() {
		return invalid
	}
	if now.isKind(types.Count, types.Sum, types.Min, types.Max, types.Avg) {
		now = value{t: aggregateNumber(now.t)}
	}
	result := c.arithmetic(s.Value, s.Op, now, v)
	if result.usable() && now.flexible && v.flexible {
		result.flexible = true
	}
	return result
}

// mapArgument is an argument that names a whole map.
func (c *checker) mapArgument(e syntax.Expr, function string) *mapState {
	ref, ok := e.(*syntax.MapRef)
	if !ok || ref.Key != nil {
		c.evalAll([]syntax.Expr{e})
		c.errorf(e.Span(), "%s takes a map", function).hint("as in %s(@x)", function)
		return nil
	}
	m := c.mapNamed(ref)
	m.used = true
	if c.final {
		if !m.value.assigned && !m.Read {
			names := make([]string, 0, len(c.maps))
			for n, other := range c.maps {
				if other.value.assigned {
					names = append(names, n)
				}
			}
			c.errorf(e.Span(), "there is no map %s", m.Name).suggest(m.Name, names)
			return nil
		}
		if t := m.value.now.t; t != nil {
			c.info.Types[ref] = t
		}
	}
	return m
}
