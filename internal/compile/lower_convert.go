package compile

import (
	"sonde/internal/compile/ir"
	"sonde/internal/compile/types"
)

// convert gives a number or pointer as t has it, extended to 64 bits.
func (f *fn) convert(v value, t *types.Type) ir.Value {
	switch {
	case v.t.Kind == types.Array || v.t.Kind == types.String && t.IsInt():
		// The first bytes of an array as a number.
		n := min(v.t.Size, 8)
		for n&(n-1) != 0 {
			n &= n - 1
		}
		if n == 0 {
			return f.Const(0)
		}
		v = value{t: types.IntOf(n, false), v: f.load(v.m, n, false)}
	case !v.t.InRegister():
		return v.v // of what an error kept from having a value
	}
	if t.Kind == types.Bool {
		if v.t.Kind == types.Bool {
			return v.v
		}
		return f.truth(v)
	}
	if !t.IsInt() || fits(v.t, t) {
		return v.v
	}
	return f.Ext(v.v, t.Size, t.Signed)
}

// fits says whether every value of a number of type from is, extended to 64 bits, one of type to.
func fits(from, to *types.Type) bool {
	if to.Size >= 8 {
		return true
	}
	if !from.IsInt() {
		return false
	}
	switch {
	case from.Kind == types.Bool:
		return true
	case from.Signed == to.Signed:
		return from.Size <= to.Size
	case to.Signed:
		return from.Size < to.Size
	}
	return false
}

// truth is 1 where v counts as true, else 0.
func (f *fn) truth(v value) ir.Value {
	switch {
	case v.t.Kind == types.Bool:
		return v.v
	case v.t.InRegister():
		return f.CmpImm(ir.Ne, v.v, 0)
	case v.t.Size == 0 || v.m == (mem{}):
		return f.Const(0)
	case v.t.Kind == types.String:
		return f.CmpImm(ir.Ne, f.load(v.m, 1, false), 0)
	}
	return f.Const(1)
}

// copyTo writes v at dst in the layout of t.
func (f *fn) copyTo(dst mem, v value, t *types.Type) {
	switch {
	case t.Size == 0:
	case t.InRegister():
		f.store(dst, t.Size, f.convert(v, t))
	case v.t.InRegister():
		f.fillFromRegister(dst, v, t)
	case (t.Kind == types.Tuple || t.Kind == types.Record) && len(v.t.Fields) == len(t.Fields) && !types.Equal(v.t, t):
		f.zeroGaps(dst, t)
		for i, to := range t.Fields {
			from := v.t.Fields[i]
			f.copyTo(dst.at(to.Offset), f.loadAt(from.Type, v.m.at(from.Offset)), to.Type)
		}
	case t.Kind == types.String && v.t.Size > t.Size:
		f.copy(dst, v.m, t.Size, min(alignOf(dst.off), alignOf(v.m.off)))
		f.storeImm(dst.at(t.Size-1), 1, 0)
	case t.Kind == types.Buffer && v.t.Size > t.Size:
		f.copy(dst, v.m, t.Size, min(alignOf(dst.off), alignOf(v.m.off)))
		f.store(dst, 4, f.Min(f.load(dst, 4, false), int64(t.Size-4)))
	case (t.Kind == types.KStack || t.Kind == types.UStack) && v.t.Kind == t.Kind && v.t.Size > t.Size:
		f.copy(dst, v.m, t.Size, min(alignOf(dst.off), alignOf(v.m.off)))
		count := dst.at(t.Size - t.Len*types.FrameSize(t.StackMode) - 8)
		f.store(count, 8, f.Min(f.load(count, 8, false), int64(t.Len)))
	default:
		n := min(t.Size, v.t.Size)
		f.copy(dst, v.m, n, min(alignOf(dst.off), alignOf(v.m.off)))
		f.zeroAt(dst.at(n), t.Size-n)
	}
}

// fillFromRegister writes a number where t has more than that: a symbol of user space from an address, an aggregate.
func (f *fn) fillFromRegister(dst mem, v value, t *types.Type) {
	at, left := 0, v.v
	for at < min(t.Size, 8) {
		n := min(t.Size, 8) - at
		for n&(n-1) != 0 {
			n &= n - 1
		}
		n = min(n, alignOf(dst.off+at))
		f.store(dst.at(at), n, left)
		if at += n; at < min(t.Size, 8) {
			left = f.BinImm(ir.OpShr, left, int64(8*n))
		}
	}
	f.zeroAt(dst.at(at), t.Size-at)
}

// zeroGaps zeroes what lies between the fields of a tuple or record.
func (f *fn) zeroGaps(dst mem, t *types.Type) {
	at := 0
	for _, field := range t.Fields {
		f.zeroAt(dst.at(at), field.Offset-at)
		at = field.Offset + field.Type.Size
	}
	f.zeroAt(dst.at(at), t.Size-at)
}

// zeroAt zeroes memory that begins anywhere.
func (f *fn) zeroAt(m mem, size int) {
	for size > 0 && alignOf(m.off) < 8 && alignOf(m.off) <= size {
		n := alignOf(m.off)
		f.storeImm(m, n, 0)
		m, size = m.at(n), size-n
	}
	if size > 0 {
		f.zero(m, size, alignOf(m.off))
	}
}

// alignOf is how far memory at an offset is aligned, its base being aligned to 8. On the stack the verifier wants
// accesses aligned, elsewhere the machine does not mind.
func alignOf(off int) int {
	switch {
	case off&1 != 0:
		return 1
	case off&2 != 0:
		return 2
	case off&4 != 0:
		return 4
	}
	return 8
}

// loadAt is the value of type t that lies in memory that may be read directly.
func (f *fn) loadAt(t *types.Type, m mem) value {
	if t.InRegister() {
		return value{t: t, v: f.loadWidth(m, t.Size, t.Signed)}
	}
	return value{t: t, m: m}
}

// loadWidth loads a number of any size that numbers have; the layout may leave it unaligned.
func (f *fn) loadWidth(m mem, size int, signed bool) ir.Value {
	switch size {
	case 1, 2, 4, 8:
		return f.load(m, size, signed)
	}
	return f.Const(0)
}
