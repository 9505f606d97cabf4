package attach_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/vmtest"
)

// selfRun makes a Spec of one program that is run by the test itself.
func selfRun(maps map[string]*ebpf.MapSpec, insns ...asm.Instruction) *prog.Spec {
	return &prog.Spec{
		Name: "self", Lean: true,
		Collection: &ebpf.CollectionSpec{
			Programs: map[string]*ebpf.ProgramSpec{"it": {Type: ebpf.RawTracepoint, License: "Dual BSD/GPL", Instructions: insns}},
			Maps:     maps,
		},
		Probes: []prog.Probe{{Program: "it", Kind: prog.TestRun, Shown: "begin"}},
	}
}

// ran opens the Spec and runs its program.
func ran(t *testing.T, spec *prog.Spec) (uint32, *attach.Session) {
	t.Helper()
	s := attached(t, spec)
	if s.Attached() != 0 {
		t.Errorf("%d probes attached", s.Attached())
	}
	got, err := s.Run("it")
	if err != nil {
		t.Fatal(err)
	}
	return got, s
}

func needTestRun(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	vmtest.Need(t, kernel.RawTracepoint)
}

func TestKernelRun(t *testing.T) {
	needTestRun(t)
	got, s := ran(t, selfRun(nil, asm.Mov.Imm(asm.R0, 42), asm.Return()))
	if got != 42 {
		t.Errorf("it returned %d", got)
	}
	if _, err := s.Run("other"); err == nil || err.Error() != `self: no program "other" to run` {
		t.Error(err)
	}
}

// TestKernelMaps reads constants from a frozen map, adds in place to another and fetches what was there.
func TestKernelMaps(t *testing.T) {
	needTestRun(t)
	spec := selfRun(map[string]*ebpf.MapSpec{
		"texts": {Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1, Flags: unix.BPF_F_RDONLY_PROG,
			Contents: []ebpf.MapKV{{Key: uint32(0), Value: []byte("abcdefgh\x07\x00\x00\x00\x00\x00\x00\x00")}}},
		"cells":                   {Type: ebpf.Array, KeySize: 4, ValueSize: 24, MaxEntries: 1},
		"a hash with a long name": {Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 10, Flags: unix.BPF_F_NO_PREALLOC},
	},
		asm.LoadMapValue(asm.R1, 0, 8).WithReference("texts"),
		asm.LoadMem(asm.R2, asm.R1, 0, asm.DWord), // the verifier knows: 7
		asm.JEq.Imm(asm.R2, 7, "known"),
		asm.Mov.Reg(asm.R0, asm.R10), // refused, were it not dead
		asm.LoadMem(asm.R0, asm.R0, 0, asm.DWord),
		asm.LoadMapValue(asm.R3, 0, 16).WithReference("cells").WithSymbol("known"),
		asm.StoreMem(asm.R3, 0, asm.R2, asm.DWord),
		asm.LoadMapPtr(asm.R1, 0).WithReference("a hash with a long name"),
		asm.StoreMem(asm.R10, -8, asm.R2, asm.DWord),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, -8),
		asm.Mov.Reg(asm.R3, asm.R2),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnMapUpdateElem.Call(),
		asm.Return(),
	)
	got, s := ran(t, spec)
	if got != 0 {
		t.Errorf("the update returned %d", int32(got))
	}
	if cells, err := s.Map("cells").LookupBytes(uint32(0)); err != nil || cells[16] != 7 {
		t.Errorf("cells %v, %v", cells, err)
	}
	var value uint64
	if err := s.Map("a hash with a long name").Lookup(uint64(7), &value); err != nil || value != 7 {
		t.Errorf("value %d, %v", value, err)
	}
	if err := s.Map("texts").Put(uint32(0), make([]byte, 16)); !errors.Is(err, unix.EPERM) {
		t.Errorf("a frozen map was written: %v", err)
	}
}

func TestKernelFetchAtomics(t *testing.T) {
	needTestRun(t)
	vmtest.Need(t, kernel.FetchAtomics)
	got, _ := ran(t, selfRun(nil,
		asm.StoreImm(asm.R10, -8, 40, asm.Word),
		asm.Mov.Imm(asm.R1, 2),
		asm.FetchAdd.Mem(asm.R10, asm.R1, asm.Word, -8), // R1 becomes 40
		asm.LoadMem(asm.R0, asm.R10, -8, asm.Word),      // 42
		asm.Add.Reg(asm.R0, asm.R1),
		asm.Return(),
	))
	if got != 82 {
		t.Errorf("got %d", got)
	}
}

// TestKernelTaskStorage makes a map that the kernel takes only with types.
func TestKernelTaskStorage(t *testing.T) {
	needTestRun(t)
	vmtest.Need(t, kernel.BTF)
	s, err := attach.Open(selfRun(map[string]*ebpf.MapSpec{
		"tasks": {Type: ebpf.TaskStorage, KeySize: 4, ValueSize: 24, Flags: unix.BPF_F_NO_PREALLOC},
	}, asm.Mov.Imm(asm.R0, 0), asm.Return()))
	if errors.Is(err, unix.EINVAL) {
		t.Skip("no task storage: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// TestKernelSubprogram calls a function of the program.
func TestKernelSubprogram(t *testing.T) {
	needTestRun(t)
	got, _ := ran(t, selfRun(nil,
		asm.LoadImm(asm.R6, 1<<40, asm.DWord), // counts for two instructions
		asm.Mov.Imm(asm.R1, 20),
		asm.Call.Label("double"),
		asm.Add.Imm(asm.R0, 2),
		asm.Return(),
		asm.Mov.Reg(asm.R0, asm.R1).WithSymbol("double"),
		asm.Add.Reg(asm.R0, asm.R1),
		asm.Return(),
	))
	if got != 42 {
		t.Errorf("got %d", got)
	}
}

// TestKernelCallback gives a function of the program to a helper.
func TestKernelCallback(t *testing.T) {
	needTestRun(t)
	if !attach.Trials().Has(kernel.BpfLoop) {
		if g := vmtest.Guest(); g != "" && g != "5.10" {
			t.Errorf("kernel %s should have bpf_loop", g)
		}
		t.Skip("no bpf_loop")
	}
	got, _ := ran(t, selfRun(nil,
		asm.StoreImm(asm.R10, -8, 0, asm.Word),
		asm.Mov.Imm(asm.R1, 5),
		loadFunction(asm.R2, "body"),
		asm.Mov.Reg(asm.R3, asm.R10),
		asm.Add.Imm(asm.R3, -8),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnLoop.Call(),
		asm.LoadMem(asm.R0, asm.R10, -8, asm.Word),
		asm.Return(),
		asm.LoadMem(asm.R3, asm.R2, 0, asm.Word).WithSymbol("body"),
		asm.Add.Reg(asm.R3, asm.R1),
		asm.StoreMem(asm.R2, 0, asm.R3, asm.Word),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	))
	if got != 0+1+2+3+4 {
		t.Errorf("the loop added %d", got)
	}
}

// loadFunction takes the address of a function of the program.
func loadFunction(dst asm.Register, name string) asm.Instruction {
	return asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: dst, Src: asm.PseudoFunc, Constant: -1}.WithReference(name)
}

func TestKernelRefused(t *testing.T) {
	needTestRun(t)
	for name, c := range map[string]struct {
		insns  asm.Instructions
		insn   int
		reason string
	}{
		"reads what was never written": {asm.Instructions{
			asm.LoadImm(asm.R6, 1, asm.DWord),
			asm.Mov.Imm(asm.R0, 0),
			asm.Mov.Reg(asm.R1, asm.R7),
			asm.Return(),
		}, 2, "R7 !read_ok"},
		"out of the stack": {asm.Instructions{
			asm.LoadImm(asm.R6, 1, asm.DWord),
			asm.LoadImm(asm.R6, 1, asm.DWord),
			asm.StoreImm(asm.R10, 8, 0, asm.Word),
			asm.Return(),
		}, 2, "stack"},
		"never reached": {asm.Instructions{
			asm.LoadImm(asm.R6, 1, asm.DWord),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
			asm.Mov.Imm(asm.R0, 1),
			asm.Return(),
		}, 3, "unreachable insn 4"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := attach.Open(selfRun(nil, c.insns...))
			var refused *attach.Refused
			if !errors.As(err, &refused) {
				t.Fatal(err)
			}
			if refused.Program != "it" || refused.Insn != c.insn || !strings.Contains(refused.Reason, c.reason) || len(refused.Log) == 0 {
				t.Errorf("%+v", refused)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

// TestKernelMissing has a probe of each policy on things that are not there, and one that is.
func TestKernelMissing(t *testing.T) {
	needTestRun(t)
	vmtest.Need(t, kernel.Tracepoint, kernel.BTF)
	probes := []prog.Probe{
		{Kind: prog.RawTracepoint, Name: "task_rename", Shown: "rt:task_rename"},
		{Kind: prog.RawTracepoint, Name: "no_such", Shown: "rt:no_such", Missing: prog.MissingWarn},
		{Kind: prog.Tracepoint, Group: "task", Name: "no_such", Shown: "tracepoint:task:no_such", Missing: prog.MissingWarn},
		{Kind: prog.Tracepoint, Group: "task", Name: "no_such", Missing: prog.MissingIgnore},
		{Kind: prog.TypedTracepoint, Name: "no_such", Shown: "rawtracepoint:no_such", Missing: prog.MissingWarn},
		{Kind: prog.Fentry, Name: "no_such", Shown: "fentry:no_such", Missing: prog.MissingWarn},
		{Kind: prog.Uprobe, Path: "/no/such", Addresses: []uint64{64}, Shown: "uprobe:/no/such:f", Missing: prog.MissingWarn},
		{Kind: prog.Software, Name: "no-such", Shown: "software:no-such:1", Missing: prog.MissingWarn},
		{Kind: prog.Software, Name: "faults", PID: 1 << 22, Shown: "software:faults:1", Missing: prog.MissingWarn},
	}
	want := []string{
		"rt:no_such: this kernel has none of that name",
		"tracepoint:task:no_such: this kernel does not have it",
		"rawtracepoint:no_such: this kernel has no tracepoint no_such, nor has a module that is loaded",
		"fentry:no_such: this kernel has no function no_such among its types",
		"uprobe:/no/such:f: there is no file /no/such",
		"software:no-such:1: perf has no event of that name",
		"software:faults:1: there is no process 4194304",
	}
	s, err := attach.Open(ranking(probes...))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var steps []int
	s.Progress = func(done, total int) {
		steps = append(steps, done)
		if total != len(probes) {
			t.Errorf("%d probes in all", total)
		}
	}
	if err := s.Attach(); err != nil {
		t.Fatal(err)
	}
	if s.Attached() != 1 || len(steps) != len(probes) || !slices.IsSorted(steps) {
		t.Errorf("%d attached, in steps %v", s.Attached(), steps)
	}
	if !slices.Equal(s.Missing(), want) {
		t.Errorf("missing:\n%s", strings.Join(s.Missing(), "\n"))
	}
	for i, p := range probes {
		if p.Missing != prog.MissingWarn {
			continue
		}
		p.Missing = prog.MissingError
		s, err := attach.Open(ranking(p))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Attach(); err == nil || !slices.Contains(want, err.Error()) {
			t.Errorf("probe %d: %v", i, err)
		}
		s.Close()
	}
}

// TestKernelIter reads the text of a program that goes over all tasks and writes a word for this process's own.
func TestKernelIter(t *testing.T) {
	needTestRun(t)
	vmtest.Need(t, kernel.BTF)
	spec := &prog.Spec{
		Name: "iter", Lean: true,
		Collection: &ebpf.CollectionSpec{
			Programs: map[string]*ebpf.ProgramSpec{"it": {
				Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter, AttachTo: "task", License: "GPL",
				Instructions: asm.Instructions{
					// struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; }, meta begins with the seq_file
					asm.LoadMem(asm.R2, asm.R1, 8, asm.DWord),
					asm.JNE.Imm(asm.R2, 0, "out"), // all but the call for the end
					asm.LoadMem(asm.R1, asm.R1, 0, asm.DWord),
					asm.LoadMem(asm.R1, asm.R1, 0, asm.DWord),
					asm.StoreImm(asm.R10, -8, 'd'|'o'<<8|'n'<<16|'e'<<24, asm.Word),
					asm.Mov.Reg(asm.R2, asm.R10),
					asm.Add.Imm(asm.R2, -8),
					asm.Mov.Imm(asm.R3, 4),
					asm.FnSeqWrite.Call(),
					asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
					asm.Return(),
				},
			}},
		},
		Probes: []prog.Probe{{Program: "it", Kind: prog.Iter, Name: "task", Shown: "iter:task"}},
	}
	s := attached(t, spec)
	for range 2 {
		r, err := s.IterText("it")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		r.Close()
		if err != nil || string(text) != "done" {
			t.Errorf("read %q, %v", text, err)
		}
	}
	if _, err := s.IterText("other"); err == nil {
		t.Error("another program was read")
	}
	s.Close()

	spec.Probes[0].Path = filepath.Join(t.TempDir(), "pin") // not a bpf file system
	s, err := attach.Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Attach(); err == nil || !strings.Contains(err.Error(), "must be in a bpf file system") {
		t.Error(err)
	}
}
