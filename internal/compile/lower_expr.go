package compile

import (
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// expr lowers e: numbers and pointers into a register, all else into memory that may be read directly.
func (f *fn) expr(e syntax.Expr) value { return value{} }

// exprTo writes the value of e at dst in the layout of t: strings padded with zeroes, holes of tuples zeroed.
func (f *fn) exprTo(e syntax.Expr, dst mem, t *types.Type) {}

// cond branches on e.
func (f *fn) cond(e syntax.Expr, yes, no *ir.Block) {}
