package attach_test

import (
	"bufio"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/vmtest"
)

// TestKernelNoSuchFunction says what is missing, of kprobes.
func TestKernelNoSuchFunction(t *testing.T) {
	needTestRun(t)
	vmtest.Need(t, kernel.Kprobe)
	probes := []prog.Probe{
		{Kind: prog.Kprobe, Name: "no_such", Shown: "kprobe:no_such"},
		{Kind: prog.Kretprobe, Name: "no_such", Shown: "kretprobe:no_such"},
		{Kind: prog.Kprobe, Group: "no_module", Name: "no_such", Shown: "kprobe:no_module:no_such"},
		{Kind: prog.Kprobe, Name: kernelGetpgid(), Shown: "kprobe:getpgid"},
	}
	for i := range probes {
		probes[i].Missing = prog.MissingWarn
	}
	s := attached(t, ranking(probes...))
	want := []string{
		"kprobe:no_such: this kernel has no such function",
		"kretprobe:no_such: this kernel has no such function",
		"kprobe:no_module:no_such: the module no_module has no function no_such, or is not loaded",
	}
	if s.Attached() != 1 || !slices.Equal(s.Missing(), want) {
		t.Errorf("%d attached, missing:\n%s", s.Attached(), strings.Join(s.Missing(), "\n"))
	}
}

// moduleFunction finds some function of some module.
func moduleFunction(t *testing.T) (module, name string) {
	t.Helper()
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		field := strings.Fields(lines.Text())
		if len(field) == 4 && strings.EqualFold(field[1], "t") && strings.HasSuffix(field[2], "_open") {
			return strings.Trim(field[3], "[]"), field[2]
		}
	}
	t.Skip("no module is loaded")
	return "", ""
}

func TestKernelModuleFunction(t *testing.T) {
	needTestRun(t)
	vmtest.Need(t, kernel.Kprobe)
	module, name := moduleFunction(t)
	t.Log(module, name)
	spec := ranking(
		prog.Probe{Kind: prog.Kprobe, Group: module, Name: name},
		prog.Probe{Kind: prog.Kretprobe, Group: module, Name: name},
		prog.Probe{Kind: prog.Kprobe, Group: module, Name: "no_such", Shown: "kprobe:m:no_such", Missing: prog.MissingWarn},
	)
	if s := attached(t, spec); s.Attached() != 2 || len(s.Missing()) != 1 {
		t.Errorf("%d attached, missing %q", s.Attached(), s.Missing())
	}
}

// TestKernelSomeFunctions puts links on the functions that there are among others.
func TestKernelSomeFunctions(t *testing.T) {
	needTestRun(t)
	vmtest.Need(t, kernel.KprobeMulti)
	names := []string{"no_such", kernelGetpgid(), "do_exit", "nor_such", "nor_that"}
	for missing, want := range map[prog.MissingPolicy][]string{
		prog.MissingWarn:   {"kprobe:*: 3 of 5 functions cannot be probed; the first is no_such: this kernel has no function of that name that can be probed"},
		prog.MissingIgnore: nil,
	} {
		s := attached(t, ranking(prog.Probe{Kind: prog.KprobeMulti, Names: names, Cookies: []uint64{1, 2, 3, 4, 5}, Shown: "kprobe:*", Missing: missing}))
		askGroup(t)
		if s.Attached() != 1 || !slices.Equal(s.Missing(), want) || ranksOf(t, s).hits[0] != 1 {
			t.Errorf("%d attached, %d runs, missing %q", s.Attached(), ranksOf(t, s).hits[0], s.Missing())
		}
	}
	s, err := attach.Open(ranking(prog.Probe{Kind: prog.KprobeMulti, Names: names, Shown: "kprobe:*"}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Attach(); err == nil || err.Error() != "kprobe:*: no_such: this kernel has no function of that name that can be probed" {
		t.Error(err)
	}
}

// TestKernelCookies puts one program on events of several kinds, which it tells apart by their cookies.
func TestKernelCookies(t *testing.T) {
	needTestRun(t)
	trials := attach.Trials()
	if !trials.Has(kernel.AttachCookie) {
		if g := vmtest.Guest(); g != "" && g != "5.10" {
			t.Errorf("kernel %s should have cookies", g)
		}
		t.Skip("no cookies")
	}
	offset := offsetOf(t, userFunction)
	const exe = "/proc/self/exe"
	probes := []prog.Probe{{Kind: prog.Uprobe, Path: exe, Addresses: []uint64{offset}, Cookie: 3}}
	want := uint64(1 << 3)
	if trials.Has(kernel.UprobeMulti) {
		probes = append(probes, prog.Probe{Kind: prog.UprobeMulti, Path: exe, Addresses: []uint64{offset}, Cookies: []uint64{4}})
		want |= 1 << 4
	}
	if trials.Has(kernel.Kprobe) {
		probes = append(probes, prog.Probe{Kind: prog.Kprobe, Name: kernelGetpgid(), Cookie: 5})
		want |= 1 << 5
	}
	if trials.Has(kernel.KprobeMulti) {
		probes = append(probes, prog.Probe{Kind: prog.KprobeMulti, Names: []string{"do_exit", kernelGetpgid()}, Cookies: []uint64{6, 7}})
		want |= 1 << 7
	}
	if trials.Has(kernel.Fentry) {
		probes = append(probes, prog.Probe{Kind: prog.Fentry, Name: kernelGetpgid(), Cookie: 8})
		want |= 1 << 8
	}
	spec := ranking(probes...)
	for _, program := range spec.Collection.Programs {
		program.Instructions = append(append(asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}, onlySelf("out")...),
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.FnGetAttachCookie.Call(),
			asm.And.Imm(asm.R0, 63),
			asm.Mov.Imm(asm.R1, 1),
			asm.LSh.Reg(asm.R1, asm.R0),
			asm.LoadMapValue(asm.R2, 0, 0).WithReference("ranks"),
			asm.OrAtomic.Mem(asm.R2, asm.R1, asm.DWord, 0),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
			asm.Return(),
		)
	}
	s := attached(t, spec)
	userFunction()
	askGroup(t)
	value, err := s.Map("ranks").LookupBytes(uint32(0))
	if err != nil {
		t.Fatal(err)
	}
	if got := binary.NativeEndian.Uint64(value); got != want {
		t.Errorf("cookies as bits: %#x, want %#x", got, want)
	}
}
