package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

func TestFinding(t *testing.T) {
	tr := &trial{feature: kernel.Kprobe, absent: "there are none", remedy: "get some"}
	for name, tc := range map[string]struct {
		err  error
		want kernel.Finding
	}{
		"worked":       {nil, kernel.Finding{Feature: kernel.Kprobe, State: kernel.Present}},
		"no such type": {atStep("look", fs.ErrNotExist), kernel.Finding{Feature: kernel.Kprobe, State: kernel.Absent, Reason: "there are none", Remedy: "get some"}},
		"not supported": {atStep("load", fmt.Errorf("x: %w", ebpf.ErrNotSupported)),
			kernel.Finding{Feature: kernel.Kprobe, State: kernel.Absent, Reason: "there are none", Remedy: "get some"}},
		"never ran": {errNeverRan,
			kernel.Finding{Feature: kernel.Kprobe, State: kernel.Absent, Reason: "the program attached without an error but never ran", Remedy: "use another kernel"}},
		"something else": {atStep("load the program", unix.E2BIG),
			kernel.Finding{Feature: kernel.Kprobe, State: kernel.Absent, Reason: "there are none (load the program: argument list too long)", Remedy: "get some"}},
		"out of descriptors": {atStep("load the program", unix.EMFILE),
			kernel.Finding{Feature: kernel.Kprobe, State: kernel.Untried, Reason: "the try failed for want of resources: load the program: too many open files", Remedy: "free them and try again"}},
		"says it itself": {atStep("x", verdict{State: kernel.Absent, Reason: "because", Remedy: "so"}),
			kernel.Finding{Feature: kernel.Kprobe, State: kernel.Absent, Reason: "because", Remedy: "so"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tr.finding(tc.err, nil)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRefused checks which of several possible reasons for an EPERM is given.
func TestRefused(t *testing.T) {
	tr := &trial{feature: kernel.Kprobe, needs: tracingCaps}
	tracer := kernel.CapabilitySet(kernel.CapBPF, kernel.CapPerfmon)
	all := ^kernel.Capabilities(0)
	eperm := atStep("load the program", fmt.Errorf("bpf: %w", unix.EPERM))
	for name, tc := range map[string]struct {
		err, memlock error
		held         privileges
		state        kernel.State
		reason       string
	}{
		"no capability":       {eperm, nil, privileges{}, kernel.Untried, "CAP_BPF and CAP_PERFMON are missing"},
		"one missing":         {eperm, nil, privileges{caps: kernel.CapabilitySet(kernel.CapBPF)}, kernel.Untried, "CAP_PERFMON is missing"},
		"one more for this":   {needing(kernel.CapDACReadSearch, eperm), nil, privileges{caps: tracer}, kernel.Untried, "CAP_DAC_READ_SEARCH is missing"},
		"user namespace":      {eperm, nil, privileges{caps: all, userNS: true}, kernel.Untried, "the capabilities held count only inside this user namespace"},
		"lockdown":            {eperm, nil, privileges{caps: all, lockdown: kernel.LockdownConfidentiality}, kernel.Absent, "this kernel refuses it in lockdown mode confidentiality (EPERM, trying to load the program)"},
		"no lockdown":         {eperm, nil, privileges{caps: all, lockdown: kernel.LockdownNone}, kernel.Absent, "this kernel refuses it (EPERM, trying to load the program), although the capabilities are there"},
		"locked memory":       {eperm, errors.New("the limit is in the way"), privileges{caps: all}, kernel.Untried, "the limit is in the way"},
		"not sys_admin":       {atStep("open", unix.EACCES), nil, privileges{caps: tracer}, kernel.Untried, "this kernel refuses it (EACCES, trying to open) without CAP_SYS_ADMIN"},
		"seccomp":             {eperm, nil, privileges{caps: all, seccomped: true}, kernel.Untried, "the kernel refused it (EPERM, trying to load the program), probably for the seccomp filter that is on this process"},
		"none of all that":    {unix.EPERM, nil, privileges{caps: all}, kernel.Absent, "this kernel refuses it (EPERM), although the capabilities are there"},
		"lockdown, no rights": {eperm, nil, privileges{lockdown: kernel.LockdownIntegrity}, kernel.Untried, "CAP_BPF and CAP_PERFMON are missing"},
	} {
		t.Run(name, func(t *testing.T) {
			state, reason, remedy := tr.refused(tc.err, tc.memlock, tc.held)
			if state != tc.state || reason != tc.reason {
				t.Errorf("got %v, %q; want %v, %q", state, reason, tc.state, tc.reason)
			}
			if remedy == "" {
				t.Error("there is no remedy")
			}
		})
	}
}

var memoryMaps = []struct {
	name, maps string
	addr       uint64
	offset     uint64
	ok         bool
}{
	{"fixed address", "00400000-00500000 r-xp 00001000 fe:00 77 /bin/x\n", 0x401234, 0x2234, true},
	{"second mapping", "00400000-00401000 r--p 00000000 fe:00 77 /bin/x\n00401000-00500000 r-xp 00001000 fe:00 77 /bin/x y\n", 0x401010, 0x1010, true},
	{"first byte", "00400000-00401000 r-xp 00000000 fe:00 77 /bin/x", 0x400000, 0, true},
	{"just behind", "00400000-00401000 r-xp 00000000 fe:00 77 /bin/x", 0x401000, 0, false},
	{"not of a file", "00400000-00401000 r-xp 00000000 00:00 0 ", 0x400010, 0x10, false},
	{"garbage", "x-y r-xp\n\n-", 0x400010, 0, false},
	{"empty", "", 0, 0, false},
}

func TestFileOffset(t *testing.T) {
	for _, tc := range memoryMaps {
		t.Run(tc.name, func(t *testing.T) {
			offset, ok := fileOffset(tc.maps, tc.addr)
			if offset != tc.offset || ok != tc.ok {
				t.Errorf("got %#x, %v; want %#x, %v", offset, ok, tc.offset, tc.ok)
			}
		})
	}
}

func FuzzFileOffset(f *testing.F) {
	for _, tc := range memoryMaps {
		f.Add(tc.maps, tc.addr)
	}
	f.Fuzz(func(t *testing.T, maps string, addr uint64) { fileOffset(maps, addr) })
}

func TestTryUnknownFeature(t *testing.T) {
	if f := Try("no such thing"); f.State != kernel.Untried || f.Reason == "" {
		t.Errorf("got %+v", f)
	}
}

// everywhere are the features that root has on every kernel that sonde supports.
var everywhere = []kernel.Feature{kernel.BTF, kernel.Tracefs, kernel.Tracepoint, kernel.RawTracepoint, kernel.Uprobe,
	kernel.RingBuffer, kernel.ReadKernel, kernel.Stats}

// lacking are the features that Debian's stock cloud kernels do not have; all others they have.
var lacking = map[string][]kernel.Feature{
	"5.10": {kernel.FetchAtomics, kernel.KprobeMulti, kernel.LSM, kernel.UprobeMulti, kernel.OverrideReturn, kernel.FmodRetSyscall},
	"6.1":  {kernel.KprobeMulti, kernel.UprobeMulti, kernel.OverrideReturn, kernel.FmodRetSyscall},
	"6.12": {kernel.OverrideReturn, kernel.FmodRetSyscall},
	"7.2":  {kernel.OverrideReturn},
}

func TestKernelTryAll(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	guest := os.Getenv("SONDE_GUEST_KERNEL")
	lacks, known := lacking[guest]
	if guest != "" && !known {
		t.Fatalf("lacking does not say what kernel %s lacks", guest)
	}
	before := descriptors(t)
	found := TryAll()
	for what, n := range descriptors(t) {
		if n > before[what] {
			t.Errorf("TryAll left %d descriptors of %s behind", n-before[what], what)
		}
	}

	if len(found) != len(trials) {
		t.Fatalf("%d findings for %d features", len(found), len(trials))
	}
	for i, f := range found {
		t.Run(string(f.Feature), func(t *testing.T) {
			t.Logf("%s %s %s", f.State, f.Reason, f.Remedy)
			if f.Feature != trials[i].feature {
				t.Errorf("it stands where %s belongs", trials[i].feature)
			}
			if f.State == kernel.Untried {
				t.Error("nothing is out of root's reach")
			}
			if explained := f.Reason != "" && f.Remedy != ""; explained == (f.State == kernel.Present) {
				t.Errorf("reason and remedy belong to what is not there, and only to that: %+v", f)
			}
			if strings.ContainsAny(f.Reason+f.Remedy, "\n\r\t") {
				t.Errorf("not one line: %+v", f)
			}
			switch present := f.State == kernel.Present; {
			case guest != "":
				if want := !slices.Contains(lacks, f.Feature); present != want {
					t.Errorf("present: %v, but stock kernel %s: %v", present, guest, want)
				}
			case slices.Contains(everywhere, f.Feature) && !present:
				t.Error("every kernel that sonde supports has it")
			}
			// The case that a successful attach hides: BPF LSM is built in there and not active.
			if guest == "5.10" && f.Feature == kernel.LSM {
				if !strings.Contains(f.Reason, "not in the list of active modules") || !strings.Contains(f.Remedy, ",bpf on the kernel's command line") {
					t.Errorf("it does not say that BPF LSM is inactive: %+v", f)
				}
			}
		})
	}
}

// TestKernelTryAgainstConfig compares what was found with what the kernel says of how it was built, where it does say.
func TestKernelTryAgainstConfig(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	config := kernelConfig(t)
	if config == "" {
		return // most distributions have no /proc/config.gz; the guests' table is the check there
	}
	for feature, option := range map[kernel.Feature]string{
		kernel.Kprobe:         "CONFIG_KPROBE_EVENTS",
		kernel.KprobeMulti:    "CONFIG_FPROBE",
		kernel.Uprobe:         "CONFIG_UPROBE_EVENTS",
		kernel.LSM:            "CONFIG_BPF_LSM",
		kernel.OverrideReturn: "CONFIG_BPF_KPROBE_OVERRIDE",
	} {
		if !strings.Contains(config, "\n"+option+"=y\n") {
			if f := Try(feature); f.State == kernel.Present {
				t.Errorf("%s is there without %s", feature, option)
			}
		}
	}
}

// descriptors counts the open descriptors of this process that a try could have made, by what they are.
func descriptors(t *testing.T) map[string]int {
	t.Helper()
	_, _ = kernel.TracefsDir() // may hold one for good
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil {
			continue // it was the one that listed them
		}
		for _, kind := range []string{"bpf", "perf", "memfd", "socket"} {
			if strings.Contains(to, kind) {
				count[kind]++
			}
		}
	}
	return count
}
