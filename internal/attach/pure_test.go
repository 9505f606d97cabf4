package attach

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sonde/internal/prog"
)

func TestEventsOf(t *testing.T) {
	probes := []prog.Probe{
		{Kind: prog.Kprobe, Name: "f"},
		{Kind: prog.TestRun},
		{Kind: prog.Kprobe, Name: "g"},
		{Kind: prog.Kprobe, Name: "f", Offset: 4},
		{Kind: prog.Kretprobe, Name: "f"},
		{Kind: prog.Kprobe, Name: "f"},
		{Kind: prog.RawTracepoint, Name: "f"},
		{Kind: prog.TypedTracepoint, Name: "f"},
		{Kind: prog.Interval, Period: 1},
		{Kind: prog.Interval, Period: 1},
		{Kind: prog.KprobeMulti, Names: []string{"f"}},
		{Kind: prog.KprobeMulti, Names: []string{"g", "f"}},
	}
	var got [][]int
	for _, e := range eventsOf(probes, []int{0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}) {
		got = append(got, e.probes)
	}
	want := [][]int{{0, 5}, {2}, {3}, {4}, {6, 7}, {8}, {9}, {10, 11}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestShown(t *testing.T) {
	for want, p := range map[string]prog.Probe{
		"k:f":              {Kind: prog.Kprobe, Name: "f", Shown: "k:f"},
		"raw tracepoint f": {Kind: prog.RawTracepoint, Name: "f"},
		"tracepoint a:b":   {Kind: prog.Tracepoint, Group: "a", Name: "b"},
		"uprobe /bin/true": {Kind: prog.Uprobe, Path: "/bin/true"},
		"kprobe a,b,c":     {Kind: prog.KprobeMulti, Names: []string{"a", "b", "c", "d"}},
		"interval":         {Kind: prog.Interval},
	} {
		if got := shown(&p); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

var cpuLists = []struct {
	text string
	want []int
}{
	{"0", []int{0}},
	{"0-1", []int{0, 1}},
	{"0-2,5,7-8", []int{0, 1, 2, 5, 7, 8}},
	{"", nil},
	{"2-1", nil},
	{"-1", nil},
	{"0,", nil},
	{"x", nil},
	{"0-99999999", nil},
}

func TestParseCPUList(t *testing.T) {
	for _, c := range cpuLists {
		if got, ok := parseCPUList(c.text); ok != (c.want != nil) || ok && !slices.Equal(got, c.want) {
			t.Errorf("%q: got %v, %v", c.text, got, ok)
		}
	}
}

func FuzzParseCPUList(f *testing.F) {
	for _, c := range cpuLists {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) { parseCPUList(text) })
}

func TestRefusedAt(t *testing.T) {
	insns := asm.Instructions{
		asm.LoadImm(asm.R1, 1<<40, asm.DWord), // 0 and 1
		asm.Mov.Imm(asm.R0, 0),                // 2
		asm.LoadImm(asm.R1, 1<<40, asm.DWord), // 3 and 4
		asm.Return(),                          // 5
	}
	for name, c := range map[string]struct {
		log    string
		insn   int
		reason string
	}{
		"the last that was looked at": {"0: (18) r1 = 0x1\n2: (b7) r0 = 0 ; R0_w=0\nR9 !read_ok\nprocessed 2 insns (limit 1000000)\n", 1, "R9 !read_ok"},
		"named":                       {"func#0 @0\nunreachable insn 5\nprocessed 0 insns\n", 3, "unreachable insn 5"},
		"second half":                 {"jump into the middle of ldimm64 insn 4\n", 2, "jump into the middle of ldimm64 insn 4"},
		"before any":                  {"vfs_x() is not modifiable\n", -1, "vfs_x() is not modifiable"},
		"past the end":                {"unreachable insn 77\n", -1, "unreachable insn 77"},
		"far past the end":            {"unreachable insn 99999999999999999999999\n", -1, "unreachable insn 99999999999999999999999"},
		"nothing":                     {"", -1, "no log"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRefused("p", insns, logLines([]byte(c.log)), unix.EACCES)
			if r.Insn != c.insn || r.Reason != c.reason {
				t.Errorf("got %d, %q", r.Insn, r.Reason)
			}
			if !errors.Is(r, unix.EACCES) || strings.Contains(r.Error(), "\n") {
				t.Errorf("%q", r)
			}
		})
	}
	long := strings.Repeat("0: (95) exit\n", 1000) + "bad\n"
	if r := newRefused("p", insns, logLines([]byte(long)), unix.EACCES); len(r.Log) != keptLogLines || r.Log[keptLogLines-1] != "bad" {
		t.Errorf("%d lines kept", len(r.Log))
	}
}

// TestFunctionTypes reads the description of functions with the library.
func TestFunctionTypes(t *testing.T) {
	insns := asm.Instructions{
		asm.LoadImm(asm.R1, 1<<40, asm.DWord),
		asm.Call.Label("first"),
		asm.JEq.Imm(asm.R0, 0, "label"),
		asm.Return().WithSymbol("label"),
		asm.Return().WithSymbol("first"),
		asm.Return().WithSymbol("never"),
		asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Src: asm.PseudoFunc, Constant: -1}.WithReference("a.b"),
		asm.Return().WithSymbol("a.b"),
	}
	funcs := functionsIn(insns)
	if diff := cmp.Diff(fmt.Sprint([]function{{name: "main"}, {name: "first", offset: 5}, {name: "a.b", offset: 9}}), fmt.Sprint(funcs)); diff != "" {
		t.Error(diff)
	}
	raw, info := functionTypes(funcs)
	spec, err := loadTypes(raw)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"main", "first", "a_b"} {
		var f *btf.Func
		if err := spec.TypeByName(name, &f); err != nil || f.Linkage != btf.StaticFunc {
			t.Errorf("%s: %v, %v", name, f, err)
		}
		if id, _ := spec.TypeID(f); uint32(id) != uint32(info[8*i+4]) || uint32(info[8*i]) != funcs[i].offset {
			t.Errorf("%s: info %v, type %d", name, info[8*i:8*i+8], id)
		}
	}
	if funcs := functionsIn(insns[2:4]); funcs != nil {
		t.Errorf("one function: %v", funcs)
	}
}

func loadTypes(raw []byte) (*btf.Spec, error) {
	return btf.LoadSplitSpecFromReader(strings.NewReader(string(raw)), nil)
}

func TestResolved(t *testing.T) {
	if _, err := resolved(asm.Instructions{asm.LoadMapPtr(asm.R1, 0).WithReference("gone")}, nil); err == nil || !strings.Contains(err.Error(), `"gone"`) {
		t.Error(err)
	}
	fetch := asm.FetchAdd.Mem(asm.R1, asm.R2, asm.DWord, 0)
	got, err := resolved(asm.Instructions{fetch, asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0)}, map[string]*ebpf.Map{})
	if err != nil || got[0].Constant != 1 || got[1].Constant != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestObjectName(t *testing.T) {
	for name, want := range map[string]string{"@start": "start", "a hash with a long name": "ahashwithalongn", "": "", "ok_.9": "ok_.9"} {
		got := objectName(name)
		if unix.ByteSliceToString(got[:]) != want || got[15] != 0 {
			t.Errorf("%q: %q", name, got)
		}
	}
}
