package compile

import (
	"encoding/binary"

	"sonde/internal/compile/check"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// constKey is the key of an element as the kernel has it, where all of it is known when the script is compiled: it lies in
// the read-only data then, and nothing has to be put together.
func (f *fn) constKey(ref *syntax.MapRef, m *Map) (key []byte, ok bool) {
	if m.BucketKey || m.Key == nil || ref.Key == nil {
		return nil, false
	}
	key = make([]byte, m.keySize())
	return key, f.constBytes(key[:m.Key.Size], ref.Key, m.Key)
}

// constBytes writes the value of e in the layout of t, if it is known.
func (f *fn) constBytes(dst []byte, e syntax.Expr, t *types.Type) bool {
	if tuple, ok := e.(*syntax.Tuple); ok && t.Kind == types.Tuple && len(tuple.Elems) == len(t.Fields) {
		for i, field := range t.Fields {
			if !f.constBytes(dst[field.Offset:field.Offset+field.Type.Size], tuple.Elems[i], field.Type) {
				return false
			}
		}
		return true
	}
	c := f.constOf(e)
	switch {
	case c == nil:
		return false
	case c.Kind == check.ConstString && t.Kind == types.String:
		if len(c.Str) >= t.Size {
			return false
		}
		copy(dst, c.Str)
		return true
	case c.Kind != check.ConstString && t.IsInt() && len(dst) <= 8:
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], c.Int)
		copy(dst, word[:])
		return true
	}
	return false
}
