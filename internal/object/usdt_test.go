package object

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

var usdtArgs = []struct{ machine, text, want string }{
	{"amd64", "-4@%edi", "register 112 signed shift 32"},
	{"amd64", "8@%rcx", "register 88 shift 0"},
	{"amd64", "2@%ax", "register 80 shift 48"},
	{"amd64", "1@%dil", "register 112 shift 56"},
	{"amd64", "8@%r15", "register 0 shift 0"},
	{"amd64", "4@%r9d", "register 64 shift 32"},
	{"amd64", "-2@$-7", "constant -7 signed shift 48"},
	{"amd64", "4@$0x10", "constant 16 shift 32"},
	{"amd64", "-8@-8(%rsp)", "at 152 + -8 signed shift 0"},
	{"amd64", "8@(%rax)", "at 80 + 0 shift 0"},
	{"amd64", "4@0x20(%rbp)", "at 32 + 32 shift 32"},
	{"arm64", "-4@x0", "register 0 signed shift 32"},
	{"arm64", "8@x30", "register 240 shift 0"},
	{"arm64", "-4@w3", "register 24 signed shift 32"},
	{"arm64", "8@[x1]", "at 8 + 0 shift 0"},
	{"arm64", "-4@[sp, 60]", "at 248 + 60 signed shift 32"},
	{"arm64", "8@[sp, -8]", "at 248 + -8 shift 0"},
	{"arm64", "2@-7", "constant -7 shift 48"},

	{"amd64", "8@%xmm0", ""}, {"amd64", "8@8(%rax,%rbx,4)", ""}, {"amd64", "8@foo(%rip)", ""}, {"amd64", "3@%rax", ""}, {"amd64", "%rax", ""},
	{"amd64", "8@", ""}, {"amd64", "@%rax", ""}, {"amd64", "", ""}, {"arm64", "8@x31", ""}, {"arm64", "8@[x1, x2]", ""}, {"arm64", "8@%rax", ""},
	{"amd64", "8@99999999999999999999(%rax)", ""},
}

func TestUsdtArgs(t *testing.T) {
	for _, tt := range usdtArgs {
		a, err := parseUsdtArg(tt.machine, tt.text)
		got := ""
		if err == nil {
			switch a.kind {
			case usdtConst:
				got = fmt.Sprintf("constant %d", int64(a.value))
			case usdtReg:
				got = fmt.Sprintf("register %d", a.register)
			case usdtDeref:
				got = fmt.Sprintf("at %d + %d", a.register, int64(a.value))
			}
			if a.signed {
				got += " signed"
			}
			got += fmt.Sprintf(" shift %d", a.shift)
		}
		if got != tt.want {
			t.Errorf("%s %q: %q, want %q (%v)", tt.machine, tt.text, got, tt.want, err)
		}
	}
}

func TestUsdtSpec(t *testing.T) {
	spec, err := usdtSpec("arm64", " -4@[sp, 60]  8@x1 ", 12)
	if err != nil || len(spec) != 208 || binary.LittleEndian.Uint16(spec[200:]) != 2 || spec[14] != 1 || spec[15] != 32 || spec[30] != 0 {
		t.Errorf("%x, %v", spec, err)
	}
	if _, err := usdtSpec("amd64", "8@%rax 8@%rbx", 1); err == nil {
		t.Error("more arguments than there is room for")
	}
	if got := usdtWords(" 4@[x0, 8]  8@-8(%rsp) [ "); !slices.Equal(got, []string{"4@[x0, 8]", "8@-8(%rsp)", "[ "}) {
		t.Errorf("%q", got)
	}
}

func FuzzUsdtSpec(f *testing.F) {
	for _, tt := range usdtArgs {
		f.Add(tt.machine, tt.text)
	}
	f.Fuzz(func(t *testing.T, machine, text string) {
		if spec, err := usdtSpec(machine, text, 12); err == nil && len(spec) != 208 {
			t.Errorf("%d bytes", len(spec))
		}
	})
}
