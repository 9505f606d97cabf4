package types

// Promote returns the type that holds both integers: of one sign the larger; of two signs the signed type that holds
// both, which for 64 bits is int64 (lossy is then true). Enums and bools count as their integers.
func Promote(a, b *Type) (t *Type, lossy bool) {
	if a.Kind == Bool && b.Kind == Bool {
		return TBool, false
	}
	if a.Signed == b.Signed {
		return IntOf(max(a.Size, b.Size), a.Signed), false
	}
	signed, unsigned := a, b
	if b.Signed {
		signed, unsigned = b, a
	}
	if unsigned.Size >= 8 {
		return TInt64, true
	}
	return IntOf(max(signed.Size, unsigned.Size*2), true), false
}

// Join returns the type that holds values of both types, where the language has one: integers are promoted, strings and
// buffers take the longer size, tuples and records are joined field by field. ok is false where there is none.
func Join(a, b *Type) (t *Type, lossy, ok bool) {
	switch {
	case Equal(a, b):
		return joinEqual(a, b), false, true
	case a.IsInt() && b.IsInt():
		if (a.Kind == Bool) != (b.Kind == Bool) {
			return nil, false, false
		}
		t, lossy = Promote(a, b)
		return t, lossy, true
	case a.Kind == String && b.Kind == String, a.Kind == Buffer && b.Kind == Buffer:
		if a.Size < b.Size {
			a = b
		}
		return a, false, true
	case (a.Kind == Tuple && b.Kind == Tuple || a.Kind == Record && b.Kind == Record) && len(a.Fields) == len(b.Fields):
		return joinFields(a, b)
	case a.Kind == Array && b.Kind == Array && a.Len == b.Len && a.Elem.Kind == Int && b.Elem.Kind == Int && a.Elem.Size == b.Elem.Size:
		return a, false, true
	case a.Kind == Pointer && b.Kind == Pointer:
		// A pointer to anything gives way to one that says to what.
		if a.Elem.Kind == None {
			return joinPointers(b, a), false, true
		}
		if b.Elem.Kind == None {
			return joinPointers(a, b), false, true
		}
	case a.Kind == b.Kind && (a.Kind == Inet || a.Kind == KSym || a.Kind == USym || a.Kind == Timestamp || a.Kind == CgroupPath || a.Kind == MAC):
		return a, false, true
	}
	return nil, false, false
}

// joinEqual keeps a pointer's space and trust only where both agree.
func joinEqual(a, b *Type) *Type {
	if a.Kind == Pointer && (a.Space != b.Space || a.Trusted != b.Trusted) {
		return joinPointers(a, b)
	}
	return a
}

func joinPointers(a, b *Type) *Type {
	t := *a
	t.Trusted = a.Trusted && b.Trusted
	switch {
	case a.Space == SpaceNone:
		t.Space = b.Space
	case b.Space != SpaceNone && a.Space != b.Space:
		t.Space = SpaceNone
	}
	return &t
}

func joinFields(a, b *Type) (t *Type, lossy, ok bool) {
	names := make([]string, len(a.Fields))
	elems := make([]*Type, len(a.Fields))
	for i := range a.Fields {
		if a.Fields[i].Name != b.Fields[i].Name {
			return nil, false, false
		}
		e, l, ok := Join(a.Fields[i].Type, b.Fields[i].Type)
		if !ok {
			return nil, false, false
		}
		names[i], elems[i], lossy = a.Fields[i].Name, e, lossy || l
	}
	if a.Kind == Tuple {
		return TupleOf(elems), lossy, true
	}
	return RecordOf(names, elems), lossy, true
}
