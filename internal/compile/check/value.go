package check

import (
	"strconv"

	"sonde/internal/compile/types"
)

// value is what is known of an expression while types are inferred.
type value struct {
	t *types.Type // nil: not known yet
	// flexible is an integer that only comes from literals which are not negative: it takes the sign of what it meets.
	flexible bool
	// literal is written in the source, or folded from what is: its type follows its value.
	literal bool
	// elems are the parts of a tuple or record as written: each may be flexible.
	elems []value
	// Of values that lie in memory: whose it is, and whether direct loads may read it.
	space   types.Space
	trusted bool
}

var (
	unknown = value{}
	invalid = value{t: typeInvalid}
)

func of(t *types.Type) value { return value{t: t} }

func (v value) known() bool   { return v.t != nil }
func (v value) invalid() bool { return v.t != nil && v.t.Kind == types.Invalid }

// usable says that the type is known and nothing is wrong with it.
func (v value) usable() bool { return v.t != nil && v.t.Kind != types.Invalid }

// isKind says whether a usable value is of one of the kinds.
func (v value) isKind(kinds ...types.Kind) bool {
	if v.t != nil {
		for _, k := range kinds {
			if v.t.Kind == k {
				return true
			}
		}
	}
	return false
}

func (v value) isInt() bool { return v.t != nil && v.t.IsInt() }

// isPointer says whether v can be dereferenced: a pointer, or the context.
func (v value) isPointer() bool { return v.isKind(types.Pointer, types.Context) }

// joinValues finds the type that holds both: that of a variable over its assignments, of a ternary over its branches.
func joinValues(a, b value) (v value, lossy, ok bool) {
	switch {
	case !a.known() || a.invalid():
		if !b.known() {
			return a, false, true
		}
		return b, false, true
	case !b.usable():
		return a, false, true
	}
	if sameValue(a, b) {
		return a, false, true
	}
	if len(a.elems) > 0 && len(a.elems) == len(b.elems) && a.t.Kind == b.t.Kind {
		return joinElems(a, b)
	}
	if a.flexible != b.flexible && a.isInt() && b.isInt() && a.t.Kind != types.Bool && b.t.Kind != types.Bool {
		if a.flexible {
			a, b = b, a
		}
		return value{t: types.IntOf(max(a.t.Size, b.t.Size), a.t.Signed)}, false, true
	}
	if a.flexible != b.flexible && a.t.Kind == b.t.Kind && a.t.IsAggregate() && a.t.Size == b.t.Size {
		if a.flexible {
			a = b
		}
		return value{t: a.t}, false, true
	}
	t, lossy, ok := types.Join(a.t, b.t)
	if !ok {
		return a, false, false
	}
	v = value{t: t, flexible: a.flexible && b.flexible, trusted: a.trusted && b.trusted}
	if a.space == b.space {
		v.space = a.space
	}
	return v, lossy, true
}

func joinElems(a, b value) (v value, lossy, ok bool) {
	elems := make([]value, len(a.elems))
	elemTypes := make([]*types.Type, len(elems))
	names := make([]string, len(elems))
	for i := range elems {
		if a.t.Fields[i].Name != b.t.Fields[i].Name {
			return a, false, false
		}
		e, l, ok := joinValues(a.elems[i], b.elems[i])
		if !ok || !e.known() {
			return a, false, ok
		}
		elems[i], elemTypes[i], lossy = e, e.t, lossy || l
		names[i] = a.t.Fields[i].Name
	}
	if a.t.Kind == types.Record {
		return value{t: types.RecordOf(names, elemTypes), elems: elems}, lossy, true
	}
	return value{t: types.TupleOf(elemTypes), elems: elems}, lossy, true
}

// sameValue says whether inference has come to rest for something.
func sameValue(a, b value) bool {
	if (a.t == nil) != (b.t == nil) || a.flexible != b.flexible || a.space != b.space || a.trusted != b.trusted || len(a.elems) != len(b.elems) {
		return false
	}
	if a.t == nil {
		return true
	}
	if !types.Equal(a.t, b.t) || a.t.Kind == types.Pointer && (a.t.Space != b.t.Space || a.t.Trusted != b.t.Trusted) {
		return false
	}
	for i := range a.elems {
		if !sameValue(a.elems[i], b.elems[i]) {
			return false
		}
	}
	return true
}

// literalType is the type of an integer literal: the smallest signed one that holds it, uint64 beyond those.
func literalType(v uint64, negative bool) *types.Type {
	if negative {
		n := int64(v)
		switch {
		case n >= -1<<7:
			return types.TInt8
		case n >= -1<<15:
			return types.TInt16
		case n >= -1<<31:
			return types.TInt32
		}
		return types.TInt64
	}
	switch {
	case v < 1<<7:
		return types.TInt8
	case v < 1<<15:
		return types.TInt16
	case v < 1<<31:
		return types.TInt32
	case v < 1<<63:
		return types.TInt64
	}
	return types.TUint64
}

// untrusted is a type as it comes out of a map or a tuple: a pointer that has been there is a number to the verifier.
func untrusted(t *types.Type) *types.Type {
	if t == nil || !hasTrust(t, 0) {
		return t
	}
	switch t.Kind {
	case types.Pointer:
		u := *t
		u.Trusted = false
		return &u
	case types.Tuple, types.Record:
		u := *t
		u.Fields = make([]types.Field, len(t.Fields))
		copy(u.Fields, t.Fields)
		for i := range u.Fields {
			u.Fields[i].Type = untrusted(u.Fields[i].Type)
		}
		return &u
	}
	return t
}

func hasTrust(t *types.Type, depth int) bool {
	switch {
	case depth > 16:
	case t.Kind == types.Pointer:
		return t.Trusted
	case t.Kind == types.Tuple, t.Kind == types.Record:
		for _, f := range t.Fields {
			if hasTrust(f.Type, depth+1) {
				return true
			}
		}
	}
	return false
}

func itoa(n int) string { return strconv.Itoa(n) }
