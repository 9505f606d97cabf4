package kernel

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestInstructionLength(t *testing.T) {
	for _, each := range []struct {
		code string // of one instruction
		text string
	}{
		{"90", "nop"},
		{"55", "push %rbp"},
		{"4889e5", "mov %rsp,%rbp"},
		{"4883ec20", "sub $0x20,%rsp"},
		{"c745e408000000", "movl $8,-0x1c(%rbp)"},
		{"e8d5ffffff", "call"},
		{"0f1f440000", "nopl 0(%rax,%rax,1)"},
		{"66662e0f1f840000000000", "data16 cs nopw"},
		{"48b8efcdab8967452301", "movabs $0x123456789abcdef,%rax"},
		{"b801000000", "mov $1,%eax"},
		{"66b80100", "mov $1,%ax"},
		{"48c7c001000000", "mov $1,%rax"},
		{"66c7000100", "movw $1,(%rax)"},
		{"c8100001", "enter $16,$1"},
		{"c20800", "ret $8"},
		{"f60501000000ff", "testb $0xff,1(%rip)"},
		{"f7d8", "neg %eax"},
		{"48f7c001000000", "test $1,%rax"},
		{"66f7c00100", "test $1,%ax"},
		{"488d0425efbeadde", "lea 0xdeadbeef,%rax"},
		{"48a1efcdab8967452301", "movabs 0x123456789abcdef,%rax"},
		{"67a1efcdab89", "addr32 mov"},
		{"0f84aabbccdd", "je"},
		{"74fe", "je short"},
		{"660f3a0fc108", "palignr $8,%xmm1,%xmm0"},
		{"660f3800c1", "pshufb %xmm1,%xmm0"},
		{"f20f10442410", "movsd 0x10(%rsp),%xmm0"},
		{"c5f877", "vzeroupper"},
		{"c5fd6f06", "vmovdqa (%rsi),%ymm0"},
		{"c4e37d39c101", "vextracti128 $1,%ymm0,%xmm1"},
		{"c5f970c0ff", "vpshufd $0xff,%xmm0,%xmm0"},
		{"62f1fe486f06", "vmovdqu64 (%rsi),%zmm0"},
		{"62f3fd483b4e0101", "vextracti64x4 $1,%zmm1,0x20(%rsi)"},
		{"f30f1efa", "endbr64"},
		{"64488b042528000000", "mov %fs:0x28,%rax"},
		{"f0480fb10e", "lock cmpxchg %rcx,(%rsi)"},
		{"0fa2", "cpuid"},
		{"0f05", "syscall"},
		{"0fc8", "bswap %eax"},
		{"480fba2508000000" + "01", "btq $1,8(%rip)"},
		{"8f00", "pop (%rax)"},
		{"cc", "int3"},
	} {
		code, err := hex.DecodeString(each.code)
		if err != nil {
			t.Fatal(each, err)
		}
		if got := lengthAMD64(append(code, 0x90, 0x90, 0x90)); got != len(code) {
			t.Errorf("%s (%s): %d bytes, want %d", each.code, each.text, got, len(code))
		}
		for n := range code {
			if got := lengthAMD64(code[:n]); got > n {
				t.Errorf("%s cut to %d bytes: %d", each.code, n, got)
			}
		}
	}
	for _, bad := range []string{"", "06", "9a", "66", "0f", "0fff", "6666666666666666666666666666666690", "62"} {
		code, _ := hex.DecodeString(bad)
		if got := lengthAMD64(code); got != 0 && bad != "0fff" {
			t.Errorf("%q: %d bytes", bad, got)
		}
	}
}

func TestInstructionBegins(t *testing.T) {
	code, _ := hex.DecodeString("554889e54883ec20" + "c3")
	for _, each := range []struct {
		machine string
		offset  uint64
		want    string
	}{
		{"amd64", 0, "true true"}, {"amd64", 1, "true true"}, {"amd64", 2, "false true"}, {"amd64", 4, "true true"},
		{"amd64", 7, "false true"}, {"amd64", 8, "true true"}, {"amd64", 20, "false false"},
		{"arm64", 4, "true true"}, {"arm64", 6, "false true"}, {"riscv64", 0, "false false"},
	} {
		begins, known := InstructionBegins(each.machine, code, each.offset)
		text := map[bool]string{true: "true", false: "false"}
		if got := strings.Join([]string{text[begins], text[known]}, " "); got != each.want {
			t.Errorf("%s, offset %d: %s, want %s", each.machine, each.offset, got, each.want)
		}
	}
}

func FuzzInstructionLength(f *testing.F) {
	f.Add([]byte{0x66, 0x0f, 0x3a, 0x0f, 0xc1, 8})
	f.Add([]byte{0x62, 0xf1, 0xfe, 0x48, 0x6f, 6})
	f.Fuzz(func(t *testing.T, code []byte) {
		if n := lengthAMD64(code); n < 0 || n > len(code) || n > longestAMD64 {
			t.Errorf("%x: %d bytes", code, n)
		}
	})
}
