package compile

import (
	"fmt"

	"sonde/internal/compile/check"
	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// scope is a block of the script that is being lowered.
type scope struct {
	// set are the variables that were assigned in it: what is known of their value ends with it.
	set []*variable
}

func (f *fn) pushScope() { f.scopes = append(f.scopes, &scope{}) }

func (f *fn) popScope() {
	last := len(f.scopes) - 1
	for _, v := range f.scopes[last].set {
		v.trusted = false
	}
	f.scopes = f.scopes[:last]
}

// block lowers statements in a scope of their own.
func (f *fn) block(b *syntax.Block) {
	if b == nil {
		return
	}
	f.pushScope()
	f.stmts(b.Stmts)
	if b.Value != nil {
		f.effect(b.Value)
	}
	f.popScope()
}

// blockValue lowers a block that is used as a value.
func (f *fn) blockValue(b *syntax.Block, use func(syntax.Expr)) {
	f.pushScope()
	f.stmts(b.Stmts)
	if b.Value != nil {
		use(b.Value)
	}
	f.popScope()
}

func (f *fn) stmts(list []syntax.Stmt) {
	for _, s := range list {
		f.stmt(s)
	}
}

func (f *fn) stmt(s syntax.Stmt) {
	if f.Block == nil {
		return // behind a jump: never reached
	}
	if !f.mayGrow(s) {
		return
	}
	pos := f.Pos
	f.Pos = int32(s.Span().Start)
	mark := f.mark()
	switch s := s.(type) {
	case *syntax.ExprStmt:
		f.effect(s.X)
	case *syntax.Assign:
		f.assign(s)
	case *syntax.Let:
		f.declare(f.info.Vars[s.Var])
	case *syntax.If:
		f.ifStmt(s)
	case *syntax.Unroll:
		f.unroll(s)
	case *syntax.While:
		f.while(s)
	case *syntax.ForRange:
		f.forRange(s)
	case *syntax.ForMap:
		f.forMap(s)
	case *syntax.Jump:
		f.jump(s)
	case *syntax.BlockStmt:
		f.block(s.Body)
	default:
		panic(fmt.Sprintf("compile: a statement of type %T", s))
	}
	f.release(mark)
	f.Pos = pos
}

// growthMost is how many statements and expressions are lowered at most, copies counted: beyond that no kernel takes the
// program, and nobody wants to wait for it.
const growthMost = 50_000

// mayGrow counts what is lowered.
func (l *lowerer) mayGrow(n syntax.Node) bool {
	l.growth++
	if l.growth == growthMost {
		l.refuse(n, "this script becomes too large when its loops are unrolled", "write a while or a for in place of unroll")
	}
	return l.growth < growthMost
}

// effect lowers an expression whose value nobody wants.
func (f *fn) effect(e syntax.Expr) {
	switch e := e.(type) {
	case *syntax.Call:
		f.call(e)
		return
	case *syntax.IfExpr:
		f.ifStmt(e.If)
		return
	case *syntax.BlockExpr:
		f.block(e.Body)
		return
	}
	if f.constOf(e) != nil {
		return
	}
	f.expr(e)
}

func (f *fn) ifStmt(s *syntax.If) {
	if known := f.constOf(s.Cond); known != nil {
		if isTrue(known) {
			f.block(s.Then)
		} else {
			f.block(s.Else)
		}
		return
	}
	then, els, next := f.Func.NewBlock("then"), (*ir.Block)(nil), f.Func.NewBlock("endif")
	no := next
	if s.Else != nil {
		els = f.Func.NewBlock("else")
		no = els
	}
	mark := f.mark()
	f.cond(s.Cond, then, no)
	f.release(mark)
	f.Goto(then)
	f.block(s.Then)
	f.Jump(next)
	if els != nil {
		f.Goto(els)
		f.block(s.Else)
		f.Jump(next)
	}
	f.Goto(next)
}

func isTrue(c *check.Const) bool {
	if c.Kind == check.ConstString {
		return c.Str != ""
	}
	return c.Int != 0
}

// unrollMost is how many copies of a body are made at most.
const unrollMost = 100

func (f *fn) unroll(s *syntax.Unroll) {
	n := uint64(0)
	if c := f.constOf(s.Count); c != nil {
		n = c.Int
	}
	if n > unrollMost {
		f.refuse(s.Count, fmt.Sprintf("unroll makes %d copies at most", unrollMost), "")
		return
	}
	out := f.Func.NewBlock("unrolled")
	for range n {
		next := f.Func.NewBlock("copy")
		f.loops = append(f.loops, loop{brk: out, cont: next})
		f.block(s.Body)
		f.loops = f.loops[:len(f.loops)-1]
		f.Jump(next)
		f.Goto(next)
	}
	f.Jump(out)
	f.Goto(out)
}

// while loops until the condition is false, or until the kernel's patience is at an end.
func (f *fn) while(s *syntax.While) {
	head, turn, body := f.Func.NewBlock("while"), f.Func.NewBlock("turn"), f.Func.NewBlock("body")
	cut, out := f.Func.NewBlock("cut"), f.Func.NewBlock("endwhile")
	patient := f.t.Has(kernel.MayGoto)
	turns := f.Func.NewVar()
	f.Set(turns, f.Const(0))
	if patient {
		f.loosen(s.Cond, s.Body)
	}
	f.Jump(head)

	f.Goto(head)
	if patient && restless(s.Cond, s.Body) {
		f.loosen(s.Cond, s.Body)
	}
	mark := f.mark()
	f.cond(s.Cond, turn, out)
	f.release(mark)
	f.Goto(turn)
	if patient {
		f.mayGoto(body, cut)
	} else {
		f.BranchImm(ir.Lt, turns, rangeMost, body, cut)
	}
	f.Goto(cut)
	f.runtimeError(s, loopEnded(patient))
	f.Jump(out)

	f.Goto(body)
	if !patient {
		f.Set(turns, f.BinImm(ir.OpAdd, turns, 1))
	}
	f.loops = append(f.loops, loop{brk: out, cont: head})
	f.block(s.Body)
	f.loops = f.loops[:len(f.loops)-1]
	f.Jump(head)
	f.Goto(out)
}

func (f *fn) jump(s *syntax.Jump) {
	switch s.Kind {
	case syntax.Return:
		if s.Value != nil {
			f.setResult(f.convert(f.expr(s.Value), types.TInt64))
		}
		f.returnNow()
		return
	case syntax.Break, syntax.Continue:
		if len(f.loops) == 0 {
			return
		}
		l := f.loops[len(f.loops)-1]
		if s.Kind == syntax.Break {
			f.Jump(l.brk)
		} else {
			f.Jump(l.cont)
		}
	}
}

// setResult sets what the program returns.
func (f *fn) setResult(v ir.Value) { f.Set(f.result, v) }

func (f *fn) assign(s *syntax.Assign) {
	switch target := s.Target.(type) {
	case *syntax.MapRef:
		f.mapAssign(s)
	case *syntax.Ident: // _ = e
		f.effect(s.Value)
	case *syntax.Var:
		f.assignTo(target, s)
	default:
		f.refuse(s.Target, "this cannot be assigned to", "")
	}
}

func (f *fn) assignTo(target *syntax.Var, s *syntax.Assign) {
	v := f.info.Vars[target]
	if s.Op != syntax.OpNone {
		old := f.readVar(v)
		t := types.IntOf(8, v.Type.Signed)
		if v.Type.Kind == types.Pointer {
			t = v.Type
		}
		val := f.binary(s.Op, t, old, f.expr(s.Value), s)
		f.setVar(v, val)
		return
	}
	if v.Type.InRegister() {
		f.setVar(v, f.expr(s.Value))
		return
	}
	place := f.room(v)
	if !f.mentions(s.Value, v) {
		f.exprTo(s.Value, place.m, v.Type)
		return
	}
	// The old value is wanted until the new one is complete.
	tmp := f.alloc(v.Type.Size, v.Type.Align(), v.Name)
	f.exprTo(s.Value, tmp, v.Type)
	f.copyTo(place.m, value{t: v.Type, m: tmp}, v.Type)
}

// mentions says whether e reads the variable.
func (f *fn) mentions(e syntax.Expr, v *check.Variable) bool {
	found := false
	syntax.Walk(e, func(n syntax.Node) bool {
		if x, ok := n.(*syntax.Var); ok && f.info.Vars[x] == v {
			found = true
		}
		return !found
	})
	return found
}
