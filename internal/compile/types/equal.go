package types

// Equal says whether two types describe the same bytes with the same meaning. Address spaces and trust do not count:
// they are about how a value came to be.
func Equal(a, b *Type) bool { return equal(a, b, 0) }

func equal(a, b *Type, depth int) bool {
	if a == b || depth > 16 {
		return true
	}
	if a == nil || b == nil || a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case Int, Sum, Min, Max, Avg:
		return a.Size == b.Size && a.Signed == b.Signed
	case Enum:
		return a.Name == b.Name && a.Size == b.Size
	case Pointer:
		return equal(a.Elem, b.Elem, depth+1)
	case Array:
		return a.Len == b.Len && equal(a.Elem, b.Elem, depth+1)
	case Struct:
		return sameStruct(a, b, depth)
	case Tuple, Record:
		return a.Size == b.Size && sameFields(a, b, depth)
	case KStack, UStack:
		return a.Len == b.Len && a.StackMode == b.StackMode
	case Hist, LHist, TSeries:
		return a.Agg == b.Agg
	}
	return a.Size == b.Size
}

// sameStruct compares by name; only what has none is looked into.
func sameStruct(a, b *Type, depth int) bool {
	if a.Union != b.Union || a.Name != b.Name || a.Size != b.Size {
		return false
	}
	if a.BTF != 0 && a.BTF == b.BTF || a.Name != "" {
		return true
	}
	a.AllFields()
	b.AllFields()
	return sameFields(a, b, depth)
}

func sameFields(a, b *Type, depth int) bool {
	if len(a.Fields) != len(b.Fields) {
		return false
	}
	for i := range a.Fields {
		x, y := &a.Fields[i], &b.Fields[i]
		if x.Name != y.Name || x.Offset != y.Offset || x.Bits != y.Bits || x.BitOffset != y.BitOffset || !equal(x.Type, y.Type, depth+1) {
			return false
		}
	}
	return true
}
