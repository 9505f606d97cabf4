package codegen

import (
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"sonde/internal/compile/ir"
)

// run loads p, whose maps are arrays of one 64-byte value, and runs it. It returns what the program returned and the map.
func load(t testing.TB, code *Code, maps map[string]*ebpf.Map) *ebpf.Program {
	t.Helper()
	insns := append(asm.Instructions(nil), code.Instructions...)
	for i := range insns {
		if m := maps[insns[i].Reference()]; m != nil && insns[i].IsLoadFromMap() {
			if err := insns[i].AssociateMap(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "test", Type: ebpf.RawTracepoint, License: "Dual BSD/GPL", Instructions: insns, KernelVersion: 1,
	})
	if err != nil {
		t.Fatalf("%+v\n%v", err, code.Instructions)
	}
	t.Cleanup(func() { prog.Close() })
	return prog
}

func needRoot(t testing.TB) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func TestKernelRunsALoop(t *testing.T) {
	needRoot(t)
	f := ir.NewFunc("prog", 1)
	b := ir.NewBuilder(f)
	sum, i := f.NewVar(), f.NewVar()
	b.Set(sum, b.Const(0))
	b.Set(i, b.Const(0))
	head, body, done := f.NewBlock("head"), f.NewBlock("body"), f.NewBlock("done")
	b.Jump(head)
	b.Goto(head)
	b.BranchImm(ir.Lt, i, 10, body, done)
	b.Goto(body)
	x := b.Bin(ir.OpMul, i, i)
	b.Set(sum, b.Bin(ir.OpAdd, sum, x))
	b.CallPure(14)
	b.Set(i, b.BinImm(ir.OpAdd, i, 1))
	b.Jump(head)
	b.Goto(done)
	b.Ret(sum)
	code, err := Generate(&ir.Program{Name: "p", Funcs: []*ir.Func{f}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v", code.Instructions)
	got, err := load(t, code, nil).Run(&ebpf.RunOptions{Context: make([]byte, 16)})
	if err != nil || got != 285 {
		t.Errorf("%d, %v", got, err)
	}
}
