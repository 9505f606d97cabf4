package compile

import (
	"testing"

	"github.com/cilium/ebpf/asm"

	"sonde/internal/compile/syntax"
)

func TestInsText(t *testing.T) {
	mapValue := asm.LoadMapValue(asm.R1, 0, 16).WithReference("cells")
	for _, c := range []struct {
		ins  asm.Instruction
		want string
	}{
		{asm.Mov.Reg(asm.R6, asm.R1), "r6 = r1"},
		{asm.Mov.Imm(asm.R2, -40), "r2 = -40"},
		{asm.Mov.Imm(asm.R2, 0x746163), "r2 = 0x746163"},
		{asm.Add.Imm(asm.RFP, -8), "r10 += -8"},
		{asm.Add.Imm32(asm.R3, 1), "w3 += 1"},
		{asm.ArSh.Imm(asm.R3, 32), "r3 s>>= 32"},
		{asm.SDiv.Reg(asm.R3, asm.R4), "r3 s/= r4"},
		{asm.Neg.Imm(asm.R3, 0), "r3 = -r3"},
		{asm.HostTo(asm.BE, asm.R3, asm.Half), "r3 = be16 r3"},
		{asm.BSwap(asm.R3, asm.Word), "r3 = bswap32 r3"},
		{asm.Instruction{OpCode: asm.MovSX8.Op(asm.RegSource), Dst: asm.R1, Src: asm.R2}, "r1 = (s8)r2"},
		{asm.LoadMem(asm.R0, asm.R6, 8, asm.DWord), "r0 = *(u64 *)(r6 +8)"},
		{asm.LoadMemSX(asm.R0, asm.R6, -2, asm.Byte), "r0 = *(s8 *)(r6 -2)"},
		{asm.StoreMem(asm.RFP, -8, asm.R5, asm.Word), "*(u32 *)(r10 -8) = r5"},
		{asm.StoreImm(asm.RFP, -8, 7, asm.Half), "*(u16 *)(r10 -8) = 7"},
		{asm.AddAtomic.Mem(asm.R9, asm.R0, asm.DWord, 8), "lock *(u64 *)(r9 +8) += r0"},
		{asm.FetchAdd.Mem(asm.R9, asm.R0, asm.DWord, 0), "r0 = fetch_add(*(u64 *)(r9 +0), r0)"},
		{asm.Xchg.Mem(asm.R4, asm.R5, asm.Word, 24), "r5 = xchg(*(u32 *)(r4 +24), r5)"},
		{asm.LoadImm(asm.R1, 1<<40, asm.DWord), "r1 = 0x10000000000 ll"},
		{asm.LoadMapPtr(asm.R1, 0).WithReference("ring"), "r1 = map[ring]"},
		{mapValue, "r1 = value[cells]+16"},
		{asm.FnMapLookupElem.Call(), "call map_lookup_elem"},
		{asm.FnKtimeGetBootNs.Call(), "call ktime_get_boot_ns"},
		{asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoCall, Constant: -1}.WithReference("f"), "call f"},
		{asm.Instruction{OpCode: asm.JEq.Op(asm.ImmSource), Dst: asm.R0, Offset: 3}, "if r0 == 0 goto 14"},
		{asm.Instruction{OpCode: asm.JSLT.Op(asm.RegSource), Dst: asm.R0, Src: asm.R1, Offset: -2}, "if r0 s< r1 goto 9"},
		{asm.Instruction{OpCode: asm.OpCode(asm.Jump32Class).SetJumpOp(asm.JEq), Dst: asm.R0, Offset: 3}, "if w0 == 0 goto 14"},
		{asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Ja), Offset: 1}, "goto 12"},
		{asm.Return(), "exit"},
		{asm.Instruction{OpCode: asm.InvalidOpCode}, "INVALID"},
	} {
		if got := insText(c.ins, 10); got != c.want {
			t.Errorf("%v: got %q, want %q", c.ins, got, c.want)
		}
	}
}

// What stands beside an instruction can do a terminal no harm, and is short.
func TestExcerptFrom(t *testing.T) {
	src := syntax.NewSource("x", []byte("begin { print(1); }\n\tprintf(\"\x1b[2J\xff\");\n  abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij"))
	for _, c := range []struct {
		at   syntax.Pos
		want string
	}{
		{8, "print(1); }"},
		{19, ""},
		{21, `printf(".[2J` + "\ufffd" + `");`},
		{40, "abcdefghijabcdefghijabcdefghijabcdefghijabcdefgh..."},
	} {
		if got := excerptFrom(src, c.at); got != c.want {
			t.Errorf("at %d: got %q, want %q", c.at, got, c.want)
		}
	}
}
