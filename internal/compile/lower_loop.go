package compile

import (
	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
)

// A loop that may go on for longer than the verifier would follow it is ended by may_goto. The verifier admits it once a
// turn begins in a state that an earlier turn covers, which numbers that it knows exactly never let happen: they are made
// unknown to it, by adding a zero that it cannot see.

// unknownZero is 0, and the verifier does not know.
func (f *fn) unknownZero() ir.Value {
	if f.zeroCell == 0 {
		f.zeroCell = f.cells.add(8) + 1
	}
	return f.Load(f.MapValue(mapCells, f.zeroCell-1), 0, 8, false)
}

// loosen makes the numbers unknown to the verifier that a loop changes and that were there before it.
func (f *fn) loosen(loop ...syntax.Node) {
	done := map[*check.Variable]bool{}
	inside := map[*syntax.Block]bool{}
	for _, n := range loop {
		syntax.Walk(n, func(n syntax.Node) bool {
			if b, ok := n.(*syntax.Block); ok {
				inside[b] = true
			}
			return true
		})
	}
	for _, n := range loop {
		syntax.Walk(n, func(n syntax.Node) bool {
			x, ok := changed(n)
			if !ok {
				return true
			}
			v := f.info.Vars[x]
			place := f.vars[v]
			if v == nil || place == nil || done[v] || v.Type == nil || !v.Type.IsInt() {
				return true
			}
			if h := f.habits[v]; h != nil && inside[h.home] && !h.loose {
				return true // unrolled, the same loop has been lowered before; the variable is its own
			}
			done[v] = true
			// One of its own: of numbers that are known to be equal the verifier wants to see that they stay so.
			zero := f.unknownZero()
			if place.inMem {
				f.store(place.m, v.Type.Size, f.Bin(ir.OpAdd, f.load(place.m, v.Type.Size, v.Type.Signed), zero))
			} else {
				f.Set(place.reg, f.Bin(ir.OpAdd, place.reg, zero))
			}
			return true
		})
	}
}

// restless says whether the turns of a loop leave different things on the stack, or numbers in different ranges. The verifier
// then compares no turn with the first one, and numbers are to be unknown at the beginning of each.
func restless(loop ...syntax.Node) bool {
	found := false
	for _, n := range loop {
		syntax.Walk(n, func(n syntax.Node) bool {
			switch n.(type) {
			case *syntax.Call, *syntax.MapRef, *syntax.If, *syntax.IfExpr, *syntax.Ternary, *syntax.While, *syntax.ForRange, *syntax.ForMap:
				found = true
			}
			return !found
		})
	}
	return found
}

// changed is the variable that a node changes.
func changed(n syntax.Node) (*syntax.Var, bool) {
	var target syntax.Expr
	switch n := n.(type) {
	case *syntax.Assign:
		target = n.Target
	case *syntax.IncDec:
		target = n.X
	}
	x, ok := target.(*syntax.Var)
	return x, ok
}
