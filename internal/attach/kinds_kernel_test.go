package attach_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/vmtest"
)

// A ranker is a program that notes, when this process runs it, how many rankers ran before it, and adds one to its hits.
// The array map "ranks" has one value: the count of runs, and for each ranker its rank and its hits.
const rankersMost = 16

func ranker(n int, filter asm.Instructions) *ebpf.ProgramSpec {
	at := uint32(8 + 16*n)
	insns := filter
	insns = append(insns,
		asm.LoadMapValue(asm.R1, 0, 0).WithReference("ranks"),
		asm.LoadMapValue(asm.R2, 0, at).WithReference("ranks"),
		asm.LoadMem(asm.R3, asm.R1, 0, asm.DWord),
		asm.Add.Imm(asm.R3, 1),
		asm.StoreMem(asm.R1, 0, asm.R3, asm.DWord),
		asm.StoreMem(asm.R2, 0, asm.R3, asm.DWord),
		asm.Mov.Imm(asm.R3, 1),
		asm.AddAtomic.Mem(asm.R2, asm.R3, asm.DWord, 8),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	)
	return &ebpf.ProgramSpec{Type: ebpf.Kprobe, License: "Dual BSD/GPL", Instructions: insns}
}

// onlySelf jumps to the label unless this process runs, told by its number in its own pid namespace.
func onlySelf(otherwise string) asm.Instructions {
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &ns); err != nil {
		panic(err)
	}
	dev := int64(unix.Major(ns.Dev))<<20 | int64(unix.Minor(ns.Dev)) // as the kernel keeps it
	return asm.Instructions{
		asm.LoadImm(asm.R1, dev, asm.DWord),
		asm.LoadImm(asm.R2, int64(ns.Ino), asm.DWord),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, -8),
		asm.Mov.Imm(asm.R4, 8),
		asm.FnGetNsCurrentPidTgid.Call(),
		asm.JNE.Imm(asm.R0, 0, otherwise),
		asm.LoadMem(asm.R1, asm.RFP, -4, asm.Word),
		asm.JNE.Imm(asm.R1, int32(os.Getpid()), otherwise),
	}
}

// ranking makes a Spec with one ranker on each of the probes.
func ranking(probes ...prog.Probe) *prog.Spec {
	spec := &prog.Spec{
		Name: "ranking", Lean: true,
		Collection: &ebpf.CollectionSpec{
			Programs: map[string]*ebpf.ProgramSpec{},
			Maps:     map[string]*ebpf.MapSpec{"ranks": {Type: ebpf.Array, KeySize: 4, ValueSize: 8 + 16*rankersMost, MaxEntries: 1}},
		},
	}
	for n, p := range probes {
		p.Program = fmt.Sprintf("ranker_%d", n)
		filter := onlySelf("out")
		switch p.Kind {
		case prog.Interval: // which interrupts whoever runs on its CPU
			filter = nil
		case prog.Uretprobe, prog.UretprobeMulti: // for callElsewhere
			filter = nil
		}
		program := ranker(n, filter)
		switch p.Kind {
		case prog.RawTracepoint, prog.TestRun:
			program.Type = ebpf.RawTracepoint
		case prog.Tracepoint:
			program.Type = ebpf.TracePoint
		case prog.TypedTracepoint:
			program.Type, program.AttachType, program.AttachTo = ebpf.Tracing, ebpf.AttachTraceRawTp, p.Name
		case prog.Fentry:
			program.Type, program.AttachType, program.AttachTo = ebpf.Tracing, ebpf.AttachTraceFEntry, p.Name
		case prog.Fexit:
			program.Type, program.AttachType, program.AttachTo = ebpf.Tracing, ebpf.AttachTraceFExit, p.Name
		case prog.FmodRet:
			program.Type, program.AttachType, program.AttachTo = ebpf.Tracing, ebpf.AttachModifyReturn, p.Name
		case prog.LSM:
			program.Type, program.AttachType, program.AttachTo = ebpf.LSM, ebpf.AttachLSMMac, p.Name
		case prog.KprobeMulti, prog.KretprobeMulti:
			program.AttachType = ebpf.AttachTraceKprobeMulti
		case prog.KprobeSession:
			program.AttachType = ebpf.AttachTraceKprobeSession
		case prog.UprobeMulti, prog.UretprobeMulti:
			program.AttachType = ebpf.AttachTraceUprobeMulti
		case prog.Interval, prog.Profile, prog.Software, prog.Hardware, prog.Watchpoint:
			program.Type = ebpf.PerfEvent
		}
		spec.Collection.Programs[p.Program] = program
		spec.Probes = append(spec.Probes, p)
	}
	return spec
}

type ranks struct{ rank, hits [rankersMost]uint64 }

func ranksOf(t *testing.T, s *attach.Session) (r ranks) {
	t.Helper()
	value, err := s.Map("ranks").LookupBytes(uint32(0))
	if err != nil {
		t.Fatal(err)
	}
	for n := range rankersMost {
		r.rank[n] = binary.NativeEndian.Uint64(value[8+16*n:])
		r.hits[n] = binary.NativeEndian.Uint64(value[16+16*n:])
	}
	return r
}

// attached opens and attaches a Spec, for the length of the test.
func attached(t *testing.T, spec *prog.Spec) *attach.Session {
	t.Helper()
	s, err := attach.Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Attach(); err != nil {
		t.Fatal(err)
	}
	return s
}

// renameSelf runs the tracepoint task:task_rename and changes nothing.
func renameSelf(t *testing.T) {
	const comm = "/proc/thread-self/comm"
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	name, err := os.ReadFile(comm)
	if err == nil {
		err = os.WriteFile(comm, []byte(strings.TrimSuffix(string(name), "\n")), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// askGroup calls the function behind getpgid(2).
func askGroup(t *testing.T) {
	if _, err := unix.Getpgid(0); err != nil {
		t.Fatal(err)
	}
}

// openRoot opens one directory.
func openRoot(t *testing.T) {
	fd, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
}

func kernelGetpgid() string {
	if runtime.GOARCH == "arm64" {
		return "__arm64_sys_getpgid"
	}
	return "__x64_sys_getpgid"
}

var userCalls int

// userFunction is what uprobes of the tests are put on.
//
//go:noinline
//go:nosplit
func userFunction() { userCalls++ }

const callEnv = "SONDE_TEST_CALL"

// TestCallUserFunction is what another process of this test binary does.
func TestCallUserFunction(t *testing.T) {
	if os.Getenv(callEnv) == "" {
		t.Skip("only by callElsewhere")
	}
	runtime.LockOSThread()
	userFunction()
}

// callElsewhere calls userFunction in a process that does nothing else: a goroutine that is moved away while it is in a
// function that has a probe at its return does not survive.
func callElsewhere(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestCallUserFunction$", "-test.v=false")
	cmd.Env = append(os.Environ(), callEnv+"=1", "GODEBUG=asyncpreemptoff=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// offsetOf finds a function in this executable's file, by the memory map.
func offsetOf(t *testing.T, function any) uint64 {
	t.Helper()
	address := uint64(reflect.ValueOf(function).Pointer())
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		var from, to, offset uint64
		var perms string
		if n, _ := fmt.Sscanf(line, "%x-%x %s %x", &from, &to, &perms, &offset); n == 4 && from <= address && address < to {
			return address - from + offset
		}
	}
	t.Fatal("the function is in no mapping")
	return 0
}

// TestKernelOrder puts three programs on one event of each kind and looks whether they run, and in the order of the Spec.
func TestKernelOrder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	function := kernelGetpgid()
	offset := offsetOf(t, userFunction)
	callUser := func(*testing.T) { userFunction() }
	const exe = "/proc/self/exe"
	for _, c := range []struct {
		name    string
		needs   []kernel.Feature
		probe   prog.Probe
		trigger func(*testing.T)
		runs    uint64 // of each program for one trigger
	}{
		{"raw tracepoint", []kernel.Feature{kernel.RawTracepoint}, prog.Probe{Kind: prog.RawTracepoint, Name: "task_rename"}, renameSelf, 1},
		{"typed tracepoint", []kernel.Feature{kernel.RawTracepoint, kernel.BTF}, prog.Probe{Kind: prog.TypedTracepoint, Name: "task_rename"}, renameSelf, 1},
		{"tracepoint", []kernel.Feature{kernel.Tracepoint}, prog.Probe{Kind: prog.Tracepoint, Group: "task", Name: "task_rename"}, renameSelf, 1},
		{"kprobe", []kernel.Feature{kernel.Kprobe}, prog.Probe{Kind: prog.Kprobe, Name: function}, askGroup, 1},
		{"kretprobe", []kernel.Feature{kernel.Kprobe}, prog.Probe{Kind: prog.Kretprobe, Name: function}, askGroup, 1},
		{"kprobe multi", []kernel.Feature{kernel.KprobeMulti}, prog.Probe{Kind: prog.KprobeMulti, Names: []string{function, "do_exit"}}, askGroup, 1},
		{"kretprobe multi", []kernel.Feature{kernel.KprobeMulti}, prog.Probe{Kind: prog.KretprobeMulti, Names: []string{function}}, askGroup, 1},
		{"kprobe session", []kernel.Feature{kernel.KprobeMulti}, prog.Probe{Kind: prog.KprobeSession, Names: []string{function}}, askGroup, 2},
		{"fentry", []kernel.Feature{kernel.Fentry}, prog.Probe{Kind: prog.Fentry, Name: function}, askGroup, 1},
		{"fexit", []kernel.Feature{kernel.Fentry}, prog.Probe{Kind: prog.Fexit, Name: function}, askGroup, 1},
		{"fmod_ret", []kernel.Feature{kernel.FmodRet}, prog.Probe{Kind: prog.FmodRet, Name: "security_file_open"}, openRoot, 1},
		{"lsm", []kernel.Feature{kernel.LSM}, prog.Probe{Kind: prog.LSM, Name: "file_open"}, openRoot, 1},
		{"uprobe", []kernel.Feature{kernel.Uprobe}, prog.Probe{Kind: prog.Uprobe, Path: exe, Addresses: []uint64{offset}, PID: os.Getpid()}, callUser, 1},
		{"uretprobe", []kernel.Feature{kernel.Uprobe}, prog.Probe{Kind: prog.Uretprobe, Path: exe, Addresses: []uint64{offset}}, callElsewhere, 1},
		{"uprobe multi", []kernel.Feature{kernel.UprobeMulti}, prog.Probe{Kind: prog.UprobeMulti, Path: exe, Addresses: []uint64{offset}}, callUser, 1},
		{"uretprobe multi", []kernel.Feature{kernel.UprobeMulti}, prog.Probe{Kind: prog.UretprobeMulti, Path: exe, Addresses: []uint64{offset}}, callElsewhere, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			vmtest.Need(t, c.needs...)
			s := attached(t, ranking(c.probe, c.probe, c.probe))
			if n := s.Attached(); n != 3 {
				t.Errorf("%d probes attached", n)
			}
			c.trigger(t)
			r := ranksOf(t, s)
			for n := range 3 {
				if r.hits[n] != c.runs {
					t.Errorf("program %d ran %d times", n, r.hits[n])
				}
			}
			if c.runs == 1 && (r.rank[0] != 1 || r.rank[1] != 2 || r.rank[2] != 3) {
				t.Errorf("the three programs ran as number %v", r.rank[:3])
			}
		})
	}
}

// TestKernelTimers lets clocks and counters run until each has run its program.
func TestKernelTimers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	vmtest.Need(t, kernel.RawTracepoint)
	probes := []prog.Probe{
		{Kind: prog.Interval, Period: 5_000_000},
		{Kind: prog.Profile, Frequency: 199},
		{Kind: prog.Profile, Period: 5_000_000, PID: os.Getpid()},
		{Kind: prog.Software, Name: "page-faults", Period: 1},
		{Kind: prog.Software, Name: "faults", Period: 1, PID: os.Getpid()},
		{Kind: prog.Software, Name: "cpu-clock", Period: 5_000_000},
	}
	s := attached(t, ranking(probes...))
	if s.Attached() != len(probes) {
		t.Errorf("%d probes attached", s.Attached())
	}
	var r ranks
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		// Faults, and time on the CPU.
		page, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(page); i += 4096 {
			page[i] = 1
		}
		unix.Munmap(page)
		r = ranksOf(t, s)
		ran := 0
		for n := range probes {
			if r.hits[n] > 0 {
				ran++
			}
		}
		if ran == len(probes) {
			return
		}
	}
	t.Errorf("runs of each: %v", r.hits[:len(probes)])
}

var watched uint64

// TestKernelWatchpoint counts the writes to a word of this process.
func TestKernelWatchpoint(t *testing.T) {
	needTestRun(t)
	address := uint64(uintptr(unsafe.Pointer(&watched)))
	s := attached(t, ranking(
		prog.Probe{Kind: prog.Watchpoint, Address: address, Length: 8, Mode: "w", PID: os.Getpid()},
		prog.Probe{Kind: prog.Watchpoint, Address: address, Length: 3, Mode: "w", PID: os.Getpid(), Missing: prog.MissingWarn, Shown: "watchpoint:3"},
		prog.Probe{Kind: prog.Watchpoint, Address: address, Length: 8, Mode: "q", PID: os.Getpid(), Missing: prog.MissingWarn, Shown: "watchpoint:q"},
	))
	if s.Attached() != 1 || len(s.Missing()) != 2 {
		t.Errorf("%d attached, missing %q", s.Attached(), s.Missing())
	}
	for i := range uint64(3) {
		atomic.StoreUint64(&watched, i)
	}
	if r := ranksOf(t, s); r.hits[0] != 3 {
		t.Errorf("%d writes", r.hits[0])
	}
}

// TestKernelTimerRefused looks at what is said where the machine or a setting is in the way.
func TestKernelTimerRefused(t *testing.T) {
	needTestRun(t)
	s := attached(t, ranking(
		prog.Probe{Kind: prog.Profile, Frequency: 1 << 30, Missing: prog.MissingWarn, Shown: "profile"},
		prog.Probe{Kind: prog.Interval, Missing: prog.MissingWarn, Shown: "interval"},
		prog.Probe{Kind: prog.Hardware, Name: "cache-misses", Period: 1_000_000, Missing: prog.MissingWarn, Shown: "hardware"},
	))
	missing := s.Missing()
	want := []string{
		"profile: 1073741824 Hz is too fast for this kernel; see the sysctl kernel.perf_event_max_sample_rate",
		"interval: a timer needs a period or a frequency",
	}
	if s.Attached() == 0 { // in most virtual machines
		want = append(want, "hardware: this machine's CPU does not count it, or the hypervisor does not let it (make the perf event: no such file or directory); use a software event")
	}
	if !slices.Equal(missing, want) {
		t.Errorf("missing:\n%s", strings.Join(missing, "\n"))
	}
}
