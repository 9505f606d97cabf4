package codegen

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

	"sonde/internal/compile/ir"
)

func generated(t *testing.T, text string) (*Code, error) {
	t.Helper()
	p, err := ir.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := ir.Verify(p); err != nil {
		t.Fatal(err)
	}
	return Generate(p)
}

func TestErrors(t *testing.T) {
	for want, text := range map[string]string{
		"needs 600 bytes of stack, the kernel gives 512: the largest are buffer of 400, key of 200": `
func f(v1)
	frame s0 400 align 8 buffer
	frame s1 200 align 8 key
b0:
	v2 = slot s0
	v3 = slot s1
	v4 = call 9(v2, v3)
	ret 0
`,
		"needs 608 bytes of stack, the kernel gives 512, counting the functions it calls": `
func f(v1)
	frame s0 300 align 8 a
b0:
	v2 = slot s0
	v3 = callfunc g(v2)
	ret 0

func g(v1)
	frame s0 288 align 8 b
b0:
	v2 = slot s0
	v3 = call 9(v1, v2)
	ret 0
`,
		"calls itself": `
func f(v1)
b0:
	v2 = callfunc f(v1)
	ret 0
`,
	} {
		code, err := generated(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v\n%v\nwant %s", err, code, want)
		}
	}
}

// Slots that are not used at the same time share their bytes; a use in a loop is one for all of it.
func TestSlotsShare(t *testing.T) {
	const text = `
func f(v1)
	frame s0 400 align 8 a
	frame s1 400 align 8 b
	var v20
b0:
	v2 = slot s0
	v20 = set v1
	v3 = call 9(v2)
	jump b1
b1:
	v4 = slot s1
	v5 = call 9(v4)
	v20 = set v5
	branch.lt v20, 10, BACK, b2
b2:
	ret 0
`
	if _, err := generated(t, strings.ReplaceAll(text, "BACK", "b1")); err != nil {
		t.Error(err)
	}
	inLoop := strings.ReplaceAll(strings.ReplaceAll(text, "BACK", "b3"), "b2:", "b3:\n\tv6 = call 9(v2)\n\tjump b1\nb2:")
	if code, err := generated(t, inLoop); err == nil {
		t.Errorf("both slots are used in the loop, and yet\n%v", code.Instructions)
	}
}

// The kernel counts a 64-bit constant as two instructions.
func TestPosition(t *testing.T) {
	f := ir.NewFunc("f", 1)
	b := ir.NewBuilder(f)
	b.Pos = 10
	v := b.Load(b.MapValue("m", 0), 0, 8, false)
	b.Pos = 20
	b.Ret(b.Bin(ir.OpXor, v, b.Const(1<<40)))
	code, err := Generate(&ir.Program{Funcs: []*ir.Func{f}})
	if err != nil {
		t.Fatal(err)
	}
	if len(code.Positions) != len(code.Instructions) {
		t.Fatalf("%d positions of %d instructions", len(code.Positions), len(code.Instructions))
	}
	var got []int32
	for raw := -1; raw <= int(code.Instructions.Size()/asm.InstructionSize); raw++ {
		got = append(got, code.Position(raw))
	}
	for i, want := range []int32{-1, 10, 10, 10, 20, 20} {
		if got[i] != want {
			t.Errorf("positions %v\n%v", got, code.Instructions)
			break
		}
	}
}
