package compile

import (
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
)

// cond branches on e; && and || are branches, too.
func (f *fn) cond(e syntax.Expr, yes, no *ir.Block) {
	if c := f.constOf(e); c != nil {
		if isTrue(c) {
			f.Jump(yes)
		} else {
			f.Jump(no)
		}
		return
	}
	switch e := e.(type) {
	case *syntax.Unary:
		if e.Op == syntax.OpNot {
			f.cond(e.X, no, yes)
			return
		}
	case *syntax.Comptime:
		f.cond(e.X, yes, no)
		return
	case *syntax.Binary:
		if f.condBinary(e, yes, no) {
			return
		}
	}
	v := f.expr(e)
	switch {
	case v.t.InRegister():
		f.BranchImm(ir.Ne, v.v, 0, yes, no)
	case v.t.Kind == types.String && v.t.Size > 0:
		f.BranchImm(ir.Ne, f.load(v.m, 1, false), 0, yes, no)
	default:
		f.Jump(yes)
	}
}

func (f *fn) condBinary(e *syntax.Binary, yes, no *ir.Block) bool {
	switch e.Op {
	case syntax.OpLAnd:
		next := f.Func.NewBlock("and")
		f.cond(e.X, next, no)
		f.Goto(next)
		f.cond(e.Y, yes, no)
		return true
	case syntax.OpLOr:
		next := f.Func.NewBlock("or")
		f.cond(e.X, yes, next)
		f.Goto(next)
		f.cond(e.Y, yes, no)
		return true
	case syntax.OpAnd:
		if !f.inRegisters(e.X, e.Y) {
			return false
		}
		x, y := f.expr(e.X), f.expr(e.Y)
		f.Branch(ir.Test, f.number(x), f.number(y), yes, no)
		return true
	case syntax.OpEq, syntax.OpNe, syntax.OpLt, syntax.OpLe, syntax.OpGt, syntax.OpGe:
		if f.inRegisters(e.X, e.Y) {
			x, y, c := f.operands(e)
			f.Branch(c, x, y, yes, no)
			return true
		}
		if e.Op == syntax.OpNe {
			yes, no = no, yes
		}
		f.condEqual(e.X, e.Y, yes, no)
		return true
	}
	return false
}
