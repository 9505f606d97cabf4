package codegen

import (
	"fmt"
	"testing"

	"sonde/internal/compile/ir"
	"sonde/internal/compile/ir/irtest"
)

// assignments is a program of n assignments to maps, one after the other, each of which looks a key up, changes the value
// in place or adds it: what a long script becomes.
func assignments(n int) *ir.Program {
	f := ir.NewFunc("large", 1)
	b := ir.NewBuilder(f)
	exit := f.NewBlock("exit")
	body := f.NewBlock("body")
	tid := b.Bin(ir.OpAnd, b.CallPure(14), b.Const(0xffffffff))
	b.BranchImm(ir.Eq, tid, 77, body, exit)
	b.Goto(body)
	v := f.NewVar()
	b.Set(v, b.Const(0))
	for i := range n {
		key := b.SlotAddr(f.NewSlot(16, 8, "key"), 0)
		b.Zero(key, 0, 16, 8)
		b.Store(key, 0, 8, b.Const(int64(i)))
		b.Store(key, 8, 8, b.Bin(ir.OpShr, b.CallPure(14), b.Const(32)))
		x := b.Bin(ir.OpAdd, b.Load(f.Params[0], 8*(i%8), 8, false), v)
		ptr := b.Call(1, b.MapPtr(fmt.Sprintf("map%d", i%10)), key)
		found, missing, next := f.NewBlock("found"), f.NewBlock("missing"), f.NewBlock("next")
		b.BranchImm(ir.Ne, ptr, 0, found, missing)
		b.Goto(found)
		b.Store(ptr, 0, 8, x)
		b.Jump(next)
		b.Goto(missing)
		value := b.SlotAddr(f.NewSlot(8, 8, "value"), 0)
		b.Store(value, 0, 8, x)
		b.Call(2, b.MapPtr(fmt.Sprintf("map%d", i%10)), key, value, b.Const(0))
		b.Jump(next)
		b.Goto(next)
		b.Set(v, b.BinImm(ir.OpAdd, v, 1))
	}
	b.Jump(exit)
	b.Goto(exit)
	b.RetImm(0)
	return &ir.Program{Name: "large", Funcs: []*ir.Func{f}}
}

// A jump reaches 32 KiB instructions far: the one over the body of a long script needs relays.
func TestLongJumps(t *testing.T) {
	code, err := Generate(assignments(4000))
	if err != nil {
		t.Fatal(err)
	}
	at := map[int]int{} // raw index to index
	for i, raw := range code.raws {
		at[int(raw)] = i
	}
	// Follow the jumps of the first branch: they must come to the exit.
	last := len(code.Instructions) - 1
	for i, in := range code.Instructions {
		if in.OpCode.JumpOp().String() == "JNE" && in.Constant == 77 {
			hops := 0
			for ; i < last-1; hops++ {
				i = at[int(code.raws[i])+1+int(code.Instructions[i].Offset)]
			}
			if i != last-1 || hops < 3 {
				t.Errorf("%d hops, to instruction %d of %d", hops, i, last)
			}
			return
		}
	}
	t.Error("no filter")
}

func BenchmarkLarge(b *testing.B) {
	n := 0
	for b.Loop() {
		b.StopTimer()
		p := assignments(2000)
		b.StartTimer()
		ir.Optimize(p, nil)
		code, err := Generate(p)
		if err != nil {
			b.Fatal(err)
		}
		n = len(code.Instructions)
	}
	b.ReportMetric(float64(n), "instructions")
}

func BenchmarkRandom(b *testing.B) {
	p := irtest.Random(1, irtest.Options{Statements: 40})
	for b.Loop() {
		if _, err := Generate(p); err != nil {
			b.Fatal(err)
		}
	}
}
