package compile

import (
	"fmt"

	"sonde/internal/compile/ir"
	"sonde/internal/compile/syntax"
	"sonde/internal/compile/types"
	"sonde/internal/kernel"
)

// forMap is for $kv : @m: the kernel calls a function of its own for every element. What the body shares with the code
// around it is in the frame.
func (f *fn) forMap(s *syntax.ForMap) {
	m := f.maps[s.Map.Name]
	switch {
	case m == nil:
		return // never assigned: there are no elements
	case m.Storage != StoreHash && m.Storage != StorePerCPUHash:
		f.refuse(s, s.Map.Name+" has no keys to go through", "")
		return
	case !f.t.Has(kernel.ForEachMapElem):
		f.refuse(s, "this kernel cannot go through the elements of a map (bpf_for_each_map_elem)", "Linux 5.13 and later can")
		return
	}
	left := f.frameAlloc(8) // set when the body leaves the program
	f.storeImm(f.frameAt(left), 8, 0)
	name := fmt.Sprintf("%s_each%d", f.root().Func.Name, len(f.irp.Funcs))
	in := f.callback(name, 4, 3)
	in.Pos = f.Pos

	goOn, stop, leave := in.Func.NewBlock("continue"), in.Func.NewBlock("break"), in.Func.NewBlock("leave")
	in.loops = []loop{{brk: stop, cont: goOn}}
	in.done = leave
	in.Set(in.result, in.Const(0))
	in.pair(s, m)
	in.block(s.Body)
	in.Jump(goOn)
	in.Goto(goOn)
	in.RetImm(0)
	in.Goto(stop)
	in.RetImm(1)
	in.Goto(leave)
	in.storeImm(in.frameAt(left), 8, 1)
	in.RetImm(1)
	in.endCallback()

	f.loosen(s.Body) // what one call leaves for the next
	f.Call(fnForEachMapElem, f.MapPtr(m.BPF), f.FuncPtr(name), f.frameAddr(), f.Const(0))
	out := f.Func.NewBlock("each_done")
	f.BranchImm(ir.Ne, f.load(f.frameAt(left), 8, false), 0, f.done, out)
	f.Goto(out)
}

// pair makes the loop's variable: the tuple of key and value. The callback's parameters are the map, the address of the
// key, that of the value, and the frame.
func (f *fn) pair(s *syntax.ForMap, m *Map) {
	v := f.info.Vars[s.Var]
	key, val := f.Func.Params[1], f.Func.Params[2]
	t := v.Type
	var place mem
	if v.InCallback {
		place = f.sharedVar(v)
	} else {
		place = f.alloc(t.Size, 8, v.Name)
		f.vars[v] = &variable{m: place, inMem: true}
	}
	f.zero(place, t.Size, 8)
	if len(t.Fields) != 2 {
		return
	}
	if m.Key != nil {
		f.copyTo(place.at(t.Fields[0].Offset), f.atMemory(m.Key, mem{base: key}), t.Fields[0].Type)
	}
	to := place.at(t.Fields[1].Offset)
	if m.Storage == StorePerCPUHash {
		el := element{m: m, ref: s.Map, key: mem{base: key}}
		f.store(to, t.Fields[1].Type.Size, f.convert(f.get(el, t.Fields[1].Type), t.Fields[1].Type))
	} else {
		f.copyTo(to, f.atMemory(m.Value, mem{base: val}), t.Fields[1].Type)
	}
}

// atMemory is the value of type t that lies at m.
func (f *fn) atMemory(t *types.Type, m mem) value {
	if t.InRegister() {
		return value{t: t, v: f.load(m, t.Size, t.Signed)}
	}
	return value{t: t, m: m}
}

// mapLen counts the elements of a map.
func (f *fn) mapLen(ref *syntax.MapRef) ir.Value {
	m := f.maps[ref.Name]
	if m == nil {
		return f.Const(0)
	}
	if m.Storage == StoreCell || m.Storage == StoreCPUCells {
		return f.exists(m)
	}
	if id, ok := f.t.Kfunc("bpf_map_sum_elem_count"); ok {
		return f.Kfunc("bpf_map_sum_elem_count", id, f.MapPtr(m.BPF))
	}
	if !f.t.Has(kernel.ForEachMapElem) {
		f.refuse(ref, "this kernel cannot count the elements of a map", "Linux 5.13 and later can")
		return f.Const(0)
	}
	count := f.frameAlloc(8)
	f.storeImm(f.frameAt(count), 8, 0)
	name := fmt.Sprintf("%s_len%d", f.root().Func.Name, len(f.irp.Funcs))
	in := f.callback(name, 4, 3)
	in.store(in.frameAt(count), 8, in.BinImm(ir.OpAdd, in.load(in.frameAt(count), 8, false), 1))
	in.RetImm(0)
	in.endCallback()
	f.Call(fnForEachMapElem, f.MapPtr(m.BPF), f.FuncPtr(name), f.frameAddr(), f.Const(0))
	return f.load(f.frameAt(count), 8, false)
}

// rangeMost is how many times a loop runs where the kernel has to follow every single turn before it admits the program.
const rangeMost = 4096

// forRange is for $i : from..to. The bounds are evaluated once.
func (f *fn) forRange(s *syntax.ForRange) {
	v := f.info.Vars[s.Var]
	i := f.Func.NewVar()
	f.Set(i, f.convert(f.expr(s.From), types.TInt64))
	to := f.convert(f.expr(s.To), types.TInt64)
	turn, cut, next, out := f.Func.NewBlock("turn"), f.Func.NewBlock("cut"), f.Func.NewBlock("next"), f.Func.NewBlock("range_done")
	head := f.Func.NewBlock("range")
	mayGoto := f.t.Has(kernel.MayGoto)
	turns := f.Func.NewVar()
	if mayGoto {
		f.Set(i, f.Bin(ir.OpAdd, i, f.unknownZero()))
		f.loosen(s.Body)
	} else {
		f.Set(turns, f.Const(0))
	}
	f.Jump(head)
	f.Goto(head)
	if mayGoto && restless(s.Body) {
		f.Set(i, f.Bin(ir.OpAdd, i, f.unknownZero()))
		f.loosen(s.Body)
	}
	on := f.Func.NewBlock("on")
	f.Branch(ir.SLt, i, to, on, out)
	f.Goto(on)
	if mayGoto {
		f.mayGoto(turn, cut)
	} else {
		f.BranchImm(ir.Lt, turns, rangeMost, turn, cut)
	}
	f.Goto(cut)
	f.runtimeError(s, loopEnded(mayGoto))
	f.Jump(out)
	f.Goto(turn)
	mark := f.mark()
	f.declare(v)
	f.setVar(v, value{t: types.TInt64, v: i})
	f.loops = append(f.loops, loop{brk: out, cont: next})
	f.block(s.Body)
	f.loops = f.loops[:len(f.loops)-1]
	f.release(mark)
	f.Jump(next)
	f.Goto(next)
	f.Set(i, f.BinImm(ir.OpAdd, i, 1))
	if !mayGoto {
		f.Set(turns, f.BinImm(ir.OpAdd, turns, 1))
	}
	f.Jump(head)
	f.Goto(out)
}

// loopEnded is the message of a loop that went on for too long.
func loopEnded(mayGoto bool) string {
	if mayGoto {
		return "the kernel ended the loop: it lets none go on for more than 8 million turns, or, newer ones, a quarter of a second"
	}
	return fmt.Sprintf("the loop was ended after %d turns: this kernel allows no more", rangeMost)
}

func (f *fn) mayGoto(then, els *ir.Block) {
	f.Emit(ir.Instr{Op: ir.OpMayGoto, Then: then, Else: els})
	f.Block = nil
}
