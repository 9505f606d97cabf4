package codegen

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"

	"sonde/internal/compile/ir"
	"sonde/internal/compile/ir/irtest"
)

// runText runs a program, plain and optimised, and returns the first word of Out, which must be the same.
func (r *rig) runText(t *testing.T, text string) uint64 {
	t.Helper()
	var first uint64
	for _, optimize := range []bool{false, true} {
		p, err := ir.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := ir.Verify(p); err != nil {
			t.Fatal(err)
		}
		if optimize {
			ir.Optimize(p, nil)
		}
		code, err := Generate(p)
		if err != nil {
			t.Fatal(err)
		}
		m, err := r.kernel(code, make([]byte, 8*irtest.CtxWords))
		if err != nil {
			t.Fatalf("%v\n%v", err, code.Instructions)
		}
		n := uint64(0)
		for i := 7; i >= 0; i-- {
			n = n<<8 | uint64(m.out[i])
		}
		if optimize && n != first {
			t.Errorf("plain %d, optimised %d", first, n)
		}
		first = n
	}
	return first
}

func TestKernelCallback(t *testing.T) {
	r := newRig(t)
	if err := features.HaveProgramHelper(ebpf.RawTracepoint, asm.FnLoop); err != nil {
		t.Skip(err)
	}
	got := r.runText(t, `
func f(v1)
	frame s0 8 align 8 sum
b0:
	v2 = slot s0
	store.8 [v2], 0
	v3 = const 10
	v4 = funcptr body
	v5 = const 0
	v6 = call 181(v3, v4, v2, v5)
	v7 = load.8 [v2]
	v8 = callfunc twice(v7)
	v9 = mapvalue out
	v10 = add v8, v6
	store.8 [v9], v10
	ret 0

func body(v1, v2)
b0:
	v3 = load.8 [v2]
	v4 = add v3, v1
	store.8 [v2], v4
	ret 0

func twice(v1)
b0:
	v2 = mul v1, 2
	ret v2
`)
	if got != 2*45+10 {
		t.Errorf("got %d", got)
	}
}

// The loop begins with a number that the verifier does not know, else it would walk through all rounds.
func TestKernelMayGoto(t *testing.T) {
	r := newRig(t)
	raw := &Code{Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R0, 0),
		{OpCode: asm.JCOND.Op(asm.ImmSource), Src: asm.PseudoMayGoto, Offset: 1},
		asm.Ja.Label("exit"),
		asm.Return().WithSymbol("exit"),
	}}
	prog, err := r.load(raw)
	if err != nil {
		t.Skip("the kernel has no may_goto: ", err)
	}
	prog.Close()
	got := r.runText(t, `
func f(v1)
	var v2
b0:
	v3 = load.8 [v1]
	v2 = set v3
	jump b1
b1:
	branch.lt v2, 100000, b2, b3
b2:
	maygoto b4, b3
b4:
	v4 = add v2, 1
	v2 = set v4
	jump b1
b3:
	v5 = mapvalue out
	store.8 [v5], v2
	ret 0
`)
	if got == 0 || got > 100000 {
		t.Errorf("%d rounds", got)
	}
}

func TestKernelKfunc(t *testing.T) {
	r := newRig(t)
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Skip(err)
	}
	var cast *btf.Func
	if err := spec.TypeByName("bpf_rdonly_cast", &cast); err != nil {
		t.Skip("the kernel has no bpf_rdonly_cast")
	}
	var st *btf.Struct
	if err := spec.TypeByName("task_struct", &st); err != nil {
		t.Fatal(err)
	}
	castID, err := spec.TypeID(cast)
	if err != nil {
		t.Fatal(err)
	}
	taskID, err := spec.TypeID(st)
	if err != nil {
		t.Fatal(err)
	}
	off := -1
	for _, m := range st.Members {
		if m.Name == "pid" {
			off = int(m.Offset.Bytes())
		}
	}
	got := r.runText(t, fmt.Sprintf(`
func f(v1)
b0:
	v2 = call.pure 35()
	v3 = const %d
	v4 = kfunc bpf_rdonly_cast %d(v2, v3)
	v5 = load.4 [v4+%d]
	v6 = call.pure 14()
	v7 = zext.4 v6
	v8 = cmp.eq v5, v7
	v9 = mapvalue out
	store.8 [v9], v8
	ret 0
`, taskID, castID, off))
	if got != 1 {
		t.Error("the task's pid is not the current one")
	}
}

func TestKernelAtomics(t *testing.T) {
	r := newRig(t)
	if !r.fetch {
		t.Skip("the kernel has no atomics that give the old value")
	}
	got := r.runText(t, `
func f(v1)
b0:
	v2 = mapvalue out
	store.8 [v2+8], 5
	v3 = fetchadd.8 [v2+8], 3
	v4 = xchg.8 [v2+8], 100
	v5 = load.8 [v2+8]
	v6 = mul v3, 1000000
	v7 = mul v4, 1000
	v8 = add v6, v7
	v9 = add v8, v5
	store.8 [v2], v9
	ret 0
`)
	if got != 5_008_100 {
		t.Errorf("got %d", got)
	}
}

// Large blocks of memory go through a helper.
func TestKernelLargeBlocks(t *testing.T) {
	r := newRig(t)
	got := r.runText(t, `
func f(v1)
b0:
	v2 = mapvalue out
	store.8 [v2+16], 77
	store.8 [v2+152], 88
	copy.8 [v2+200], [v2+16], 144
	v3 = load.8 [v2+200]
	v4 = load.8 [v2+336]
	zero.8 [v2+16], 200
	v5 = load.8 [v2+16]
	v6 = load.8 [v2+200]
	v7 = load.8 [v2+336]
	v8 = mul v3, 100
	v9 = add v8, v4
	v10 = add v9, v5
	v11 = add v10, v6
	v12 = mul v11, 100
	v13 = add v12, v7
	store.8 [v2], v13
	ret 0
`)
	if got != (77*100+88)*100+88 {
		t.Errorf("got %d", got)
	}
}

// A script of many statements loads: its jumps are longer than a jump.
func TestKernelLongProgram(t *testing.T) {
	r := newRig(t)
	p := assignments(1100)
	ir.Optimize(p, nil)
	code, err := Generate(p)
	if err != nil {
		t.Fatal(err)
	}
	insns := append(asm.Instructions(nil), code.Instructions...)
	maps := map[string]*ebpf.Map{}
	for i := range 10 {
		name := fmt.Sprintf("map%d", i)
		m, err := ebpf.NewMap(&ebpf.MapSpec{Name: name, Type: ebpf.Hash, KeySize: 16, ValueSize: 8, MaxEntries: 16})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		maps[name] = m
	}
	for i := range insns {
		if m := maps[insns[i].Reference()]; m != nil {
			if err := insns[i].AssociateMap(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	prog, err := r.load(&Code{Instructions: insns})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	if _, err := prog.Run(&ebpf.RunOptions{Context: make([]byte, 64)}); err != nil {
		t.Error(err)
	}
}
