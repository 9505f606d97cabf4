package check

import (
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// mapRows are functions that work on maps, and those that can only be assigned to one.
func mapRows() []Builtin {
	return []Builtin{
		{Name: "clear", Usage: "clear(@x)", Doc: "remove all that is in a map", Min: 1, Max: 1, value: clearMap},
		{Name: "zero", Usage: "zero(@x)", Doc: "set all values of a map to zero", Min: 1, Max: 1, value: clearMap},
		{Name: "delete", Usage: "delete(@x, key)", Doc: "remove one entry; false if there was none", Min: 1, Max: 2, value: deleteKey},
		{Name: "has_key", Usage: "has_key(@x, key)", Doc: "whether a map has an entry", Min: 2, Max: 2, value: hasKey},
		{Name: "len", Usage: "len(@x), len(kstack)", Doc: "how many entries a map has, or a stack", Min: 1, Max: 1, value: length},
		{Name: "is_scalar", Usage: "is_scalar(@x)", Doc: "whether a map is used without keys", Min: 1, Max: 1, value: isScalar},
		{Name: "count", Usage: "count()", Doc: "count", Aggregate: true, value: is(typeCount)},
		{Name: "sum", Usage: "sum(n)", Doc: "add up", Min: 1, Max: 1, Aggregate: true, value: signedAggregate(typeSum, typeUSum)},
		{Name: "min", Usage: "min(n)", Doc: "keep the least", Min: 1, Max: 1, Aggregate: true, value: signedAggregate(typeMin, typeUMin)},
		{Name: "max", Usage: "max(n)", Doc: "keep the greatest", Min: 1, Max: 1, Aggregate: true, value: signedAggregate(typeMax, typeUMax)},
		{Name: "avg", Usage: "avg(n)", Doc: "average", Min: 1, Max: 1, Aggregate: true, value: signedAggregate(typeAvg, typeUAvg)},
		{Name: "stats", Usage: "stats(n)", Doc: "count, average and total", Min: 1, Max: 1, Aggregate: true, value: signedAggregate(typeStats, typeUStats)},
		{Name: "hist", Usage: "hist(n [, bits])", Doc: "histogram by powers of two", Min: 1, Max: 2, Aggregate: true, value: histogram},
		{Name: "lhist", Usage: "lhist(n, min, max, step)", Doc: "histogram by equal steps", Min: 4, Max: 4, Aggregate: true, value: linearHistogram},
	}
}

func clearMap(c *checker, u *use) value {
	if m := c.mapArgument(u.args[0], u.Name); m != nil {
		m.Cleared = true
	}
	return of(types.TNone)
}

func deleteKey(c *checker, u *use) value {
	ref, ok := u.args[0].(*syntax.MapRef)
	if !ok || ref.Key != nil {
		c.mapArgument(u.args[0], u.Name)
		c.evalAll(u.args[1:])
		return invalid
	}
	c.keyArgument(u, ref).Deleted = true
	return of(types.TBool)
}

func hasKey(c *checker, u *use) value {
	ref, ok := u.args[0].(*syntax.MapRef)
	if !ok || ref.Key != nil {
		c.mapArgument(u.args[0], u.Name)
		c.evalAll(u.args[1:])
		return invalid
	}
	c.keyArgument(u, ref).Tested = true
	return of(types.TBool)
}

// keyArgument is a map with its key as the next argument, or a scalar map alone.
func (c *checker) keyArgument(u *use, ref *syntax.MapRef) *mapState {
	m := c.mapArgument(ref, u.Name)
	if m == nil {
		m = c.mapNamed(ref)
	}
	if len(u.args) > 1 {
		c.keyedUse(m, ref.Span())
		c.key(m, u.args[1])
	} else {
		if m.keyed && c.final {
			c.errorf(u.at.Span(), "%s needs the key too: %s has keys", u.Name, m.Name).hint("as in %s; clear(%s) removes all", u.Usage, m.Name)
			return m
		}
		c.scalarUse(m, ref.Span())
	}
	return m
}

func length(c *checker, u *use) value {
	if ref, ok := u.args[0].(*syntax.MapRef); ok && ref.Key == nil {
		// A scalar map that holds a stack stands for the stack.
		m := c.mapNamed(ref)
		if v := m.value.now; m.scalar && v.isKind(types.KStack, types.UStack) {
			c.readMap(ref)
			return of(types.TInt64)
		}
		if m := c.mapArgument(ref, u.Name); m != nil {
			m.Length = true
		}
		return of(types.TInt64)
	}
	v := c.operand(u.args[0])
	if v.usable() && !v.isKind(types.KStack, types.UStack) {
		c.errorf(u.args[0].Span(), "len takes a map or a stack, not %s", v.t).hint("strlen() is for texts")
		return invalid
	}
	return of(types.TInt64)
}

func isScalar(c *checker, u *use) value {
	m := c.mapArgument(u.args[0], u.Name)
	if m == nil {
		return invalid
	}
	return c.setBool(u.at, !m.keyed)
}

// aggregated is the number that an aggregate takes.
func (c *checker) aggregated(u *use) value {
	v := c.operand(u.args[0])
	if v.usable() && !v.isInt() {
		c.errorf(u.args[0].Span(), "%s takes an integer, not %s", u.Name, v.t)
		return invalid
	}
	return v
}

// signedAggregate keeps the sign of its argument; a literal takes the one that others have.
func signedAggregate(signed, unsigned *types.Type) func(*checker, *use) value {
	return func(c *checker, u *use) value {
		v := c.aggregated(u)
		switch {
		case !v.usable():
			return v
		case v.t.Signed || v.flexible:
			return value{t: signed, flexible: v.flexible}
		}
		return of(unsigned)
	}
}

// literalNumber is an argument that has to be a number that stands there.
func (c *checker) literalNumber(u *use, e syntax.Expr, what string) (int64, bool) {
	v := c.operand(e)
	if k := c.info.Consts[e]; k != nil && k.Kind == ConstInt {
		if !v.t.Signed && k.Int > 1<<63-1 {
			c.errorf(e.Span(), "the %s of %s is too large", what, u.Name)
			return 0, false
		}
		return int64(k.Int), true
	}
	if v.usable() {
		c.errorf(e.Span(), "the %s of %s has to be a number that stands there", what, u.Name)
	}
	return 0, false
}

// maxHistBits is how many bits of precision a histogram can have beyond powers of two.
const maxHistBits = 5

func histogram(c *checker, u *use) value {
	v := c.aggregated(u)
	bits := int64(0)
	if len(u.args) > 1 {
		var ok bool
		if bits, ok = c.literalNumber(u, u.args[1], "precision"); !ok {
			return invalid
		}
		if bits < 0 || bits > maxHistBits {
			c.errorf(u.args[1].Span(), "the precision of hist is from 0 to %d bits, not %d", maxHistBits, bits)
			return invalid
		}
	}
	if !v.usable() {
		return v
	}
	t := &types.Type{Kind: types.Hist, Agg: types.Aggregate{Bits: int(bits), Buckets: histBuckets(int(bits))}}
	t.Size = 8 * t.Agg.Buckets
	return of(t)
}

// histBuckets is how many there are: one for what is negative, one for each value below 2^bits, and 2^bits for each power of
// two from there on.
func histBuckets(bits int) int { return 1 + 1<<bits + (64-bits)<<bits }

// maxBuckets is how many an lhist can have.
const maxBuckets = 1000

func linearHistogram(c *checker, u *use) value {
	v := c.aggregated(u)
	low, ok1 := c.literalNumber(u, u.args[1], "minimum")
	high, ok2 := c.literalNumber(u, u.args[2], "maximum")
	step, ok3 := c.literalNumber(u, u.args[3], "step")
	if !ok1 || !ok2 || !ok3 {
		return invalid
	}
	switch {
	case step < 1:
		c.errorf(u.args[3].Span(), "the step of lhist is 1 or more, not %d", step)
		return invalid
	case low < 0:
		c.errorf(u.args[1].Span(), "the minimum of lhist cannot be negative")
		return invalid
	case high <= low:
		c.errorf(u.args[2].Span(), "the maximum of lhist is more than the minimum (%d), not %d", low, high)
		return invalid
	}
	buckets := uint64(high-low) / uint64(step)
	if buckets > maxBuckets {
		c.errorf(u.at.Span(), "lhist would have %d buckets: %d is the limit", buckets, maxBuckets).hint("make the step larger")
		return invalid
	}
	if !v.usable() {
		return v
	}
	n := int(buckets) + 2 // below the minimum, and above the maximum
	if uint64(high-low)%uint64(step) != 0 {
		n++
	}
	return of(&types.Type{
		Kind: types.LHist, Size: 8 * n,
		Agg: types.Aggregate{Min: low, Max: high, Step: step, Buckets: n},
	})
}
