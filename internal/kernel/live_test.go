package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// madeUp is a machine in a folder. Its tracefs is below /trace.
func madeUp(t *testing.T, change map[string]string) *live {
	t.Helper()
	types := encodeRecords([]typeRecord{
		{"int", kindInt << 24, 4, []uint32{intSigned<<24 | 32}},
		{"", kindFuncProto << 24, 1, nil},
		{"vfs_read", kindFunc << 24, 2, nil},
		{"vfs_notrace", kindFunc << 24, 2, nil},
		{"bpf_iter_task", kindFunc << 24, 2, nil},
		{"bpf_iter__task", kindStruct << 24, 8, nil},
		{"bpf_iter__odd", kindStruct << 24, 8, nil},
		{"btf_trace_sched_switch", kindTypedef << 24, 1, nil},
		{"bpf_old_kfunc", kindFunc << 24, 2, nil},
		{"bpf_kfunc", kindDeclTag << 24, 9, []uint32{^uint32(0)}},
	}, 0)
	format := "name: %s\nID: 1\nformat:\n\tfield:int x;\toffset:8;\tsize:4;\tsigned:1;\n\nprint fmt: \"x\"\n"
	files := map[string]string{
		"sys/devices/system/cpu/possible": "0-7\n",
		"sys/devices/system/cpu/online":   "0-3,6\n",
		"sys/kernel/btf/vmlinux":          string(types),
		"proc/self/mountinfo":             "1 1 0:1 / /debug rw - debugfs a rw\n2 1 0:1 / /cg rw - cgroup2 a rw\n",
		"debug/kprobes/blacklist":         "0xffffffff81000000-0xffffffff81000010\tvfs_blacklisted\n",
		"proc/kallsyms": "ffffffff81000000 T _stext\nffffffff81000100 T vfs_read\nffffffff81000200 t vfs_reader\n" +
			"ffffffff81000300 t __pfx_vfs_x\nffffffff81000400 t static_one\nffffffff82000000 D jiffies\n" +
			"ffffffffc0000000 t xfs_open\t[xfs]\nffffffffc0000100 t static_one\t[ext4]\n",
		"trace/available_filter_functions": "vfs_read\nvfs_blacklisted\nvfs_writer\n__ftrace_invalid_address___8\nxfs_open [xfs]\nvfs_in_module [xfs]\n",
		"trace/available_events":           "sched:sched_switch\nsched:sched_wakeup\nsyscalls:sys_enter_read\nraw_syscalls:sys_enter\n",
		"trace/events/sched/enable":        "0\n",
	}
	for _, name := range []string{"sched:sched_switch", "sched:sched_wakeup", "syscalls:sys_enter_read", "raw_syscalls:sys_enter"} {
		group, event, _ := strings.Cut(name, ":")
		files["trace/events/"+group+"/"+event+"/format"] = fmt.Sprintf(format, event)
	}
	for name, content := range change {
		if files[name] = content; content == "" {
			delete(files, name)
		}
	}
	dir := root(t, files)
	return newLive(nil, dir, func() (string, error) { return filepath.Join(dir, "trace"), nil })
}

func TestMatch(t *testing.T) {
	noTracer := map[string]string{"trace/available_filter_functions": ""}
	noTypes := map[string]string{"sys/kernel/btf/vmlinux": ""}
	for _, tt := range []struct {
		kind, pattern string
		change        map[string]string
		want          string
	}{
		{"tracepoint", "sched:sched_switch", nil, "sched:sched_switch"},
		{"tracepoint", "sched:none", nil, ""},
		{"tracepoint", "none:*", nil, ""},
		{"tracepoint", "sched:sched_*", nil, "sched:sched_switch sched:sched_wakeup"},
		{"tracepoint", "*:sys_enter*", nil, "raw_syscalls:sys_enter syscalls:sys_enter_read"},
		{"tracepoint", "../sched:x", nil, ""},
		{"tracepoint", "sched", nil, ""},
		{"kprobe", "vfs_read", nil, "vfs_read"},
		{"kprobe", "static_one", nil, "static_one"},
		{"kprobe", "ext4:static_one", nil, "ext4:static_one"},
		{"kprobe", "xfs:static_one", nil, ""},
		{"kprobe", "vmlinux:vfs_read", nil, "vmlinux:vfs_read"},
		{"kprobe", "vfs_reade", nil, ""},
		{"kprobe", "jiffies", nil, ""},
		{"kprobe", "", nil, ""},
		{"kprobe", "vfs_*", nil, "vfs_in_module vfs_read vfs_writer"},
		{"kprobe", "vmlinux:vfs_*", nil, "vmlinux:vfs_read vmlinux:vfs_writer"},
		{"kprobe", "xfs:*", nil, "xfs:vfs_in_module xfs:xfs_open"},
		{"kprobe", "*", noTracer, "_stext static_one vfs_read vfs_reader xfs_open"},
		{"kprobe", "vfs_read", noTypes, "vfs_read"},
		{"fentry", "vfs_read", nil, "vmlinux:vfs_read"},
		{"fentry", "vfs_*", nil, "vmlinux:vfs_read"},
		{"fentry", "vfs_*", noTracer, "vmlinux:vfs_notrace vmlinux:vfs_read"},
		{"fentry", "vfs_read", noTypes, ""},
		{"rawtracepoint", "sched_switch", nil, "vmlinux:sched_switch"},
		{"rawtracepoint", "vmlinux:sched_*", nil, "vmlinux:sched_switch"},
		{"rawtracepoint", "none", nil, ""},
		{"rawtracepoint", "*s*", noTypes, "vmlinux:sched_switch vmlinux:sched_wakeup vmlinux:sys_enter"},
		{"iter", "task", nil, "task"},
		{"iter", "*", nil, "task"},
		{"software", "cpu", nil, "cpu"},
		{"software", "*faults", nil, "alignment-faults emulation-faults faults major-faults minor-faults page-faults"},
		{"hardware", "cycles", nil, "cycles"},
		{"hardware", "none", nil, ""},
	} {
		l := madeUp(t, tt.change)
		got, err := l.Match(tt.kind, tt.pattern)
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s %s: got %v, %v; want %s", tt.kind, tt.pattern, got, err, tt.want)
		}
		again, err := l.Match(tt.kind, tt.pattern)
		if err != nil || !slices.Equal(again, got) {
			t.Errorf("%s %s: asked again: %v, %v", tt.kind, tt.pattern, again, err)
		}
	}
	if _, err := madeUp(t, nil).Match("uprobe", "x"); err == nil {
		t.Error("a kind that there is none of")
	}
}

func TestLiveFacts(t *testing.T) {
	l := madeUp(t, nil)
	if l.Machine() != runtime.GOARCH || l.PossibleCPUs() != 8 || l.OnlineCPUs() != 5 {
		t.Errorf("%s, %d, %d", l.Machine(), l.PossibleCPUs(), l.OnlineCPUs())
	}
	if l.Has(BTF) || l.Helper(1, 1) {
		t.Error("without trials it has features")
	}
	for name, want := range map[string]uint64{
		"jiffies": 0xffffffff82000000, "vfs_read": 0xffffffff81000100, "xfs_open": 0xffffffffc0000000, "_stext": 0xffffffff81000000,
		"vfs_rea": 0, "read": 0, "": 0, "T vfs_read": 0,
	} {
		if addr, ok := l.Symbol(name); addr != want || ok != (want != 0) {
			t.Errorf("symbol %q: %#x, %v", name, addr, ok)
		}
	}
	hidden := madeUp(t, map[string]string{"proc/kallsyms": "0000000000000000 T vfs_write\n"})
	if addr, ok := hidden.Symbol("vfs_write"); ok {
		t.Errorf("a hidden symbol: %#x", addr)
	}
	if got, err := hidden.Match("kprobe", "vfs_write"); err != nil || len(got) != 1 {
		t.Errorf("a function with a hidden address: %v, %v", got, err)
	}
	if _, ok := l.Kfunc("bpf_old_kfunc"); !ok {
		t.Error("a marked function is no kfunc")
	}
	if _, ok := l.Kfunc("vfs_read"); ok {
		t.Error("a function without a mark is a kfunc")
	}
	if f, err := l.Tracepoint("sched", "sched_switch"); err != nil || f.Name != "sched_switch" {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := l.Tracepoint("sched", "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such tracepoint: %v", err)
	}
	if l := madeUp(t, map[string]string{"sys/kernel/btf/vmlinux": "damaged"}); l.Types() != nil {
		t.Error("damaged types")
	}
}

func TestCountList(t *testing.T) {
	for text, want := range map[string]int{
		"0": 1, "0-3\n": 4, "0-3,8,10-11\n": 7, "": 0, "3-0": 0, "a": 0, "0-": 0, "0-99999999": 0, "-1": 0, "0,,1": 0,
		strings.Repeat("0-60000,", 3) + "1": 0,
	} {
		if got, ok := countList(text); got != want || ok != (want != 0) {
			t.Errorf("%.20q: got %d, %v", text, got, ok)
		}
	}
}

func TestCgroupID(t *testing.T) {
	dir := root(t, map[string]string{"proc/self/mountinfo": "2 1 0:1 / /cg rw - cgroup2 a rw\n3 1 0:1 / /old rw - cgroup a rw\n"})
	old := cgroupInode
	defer func() { cgroupInode = old }()
	cgroupInode = func(path string) (uint64, error) {
		switch strings.TrimPrefix(path, dir) {
		case "/cg":
			return 1, nil
		case "/cg/a/b":
			return 42, nil
		case "/old/a":
			return 0, errNoCgroup
		case "/cg/secret":
			return 0, fs.ErrPermission
		}
		return 0, fs.ErrNotExist
	}
	for path, want := range map[string]uint64{"a/b": 42, "/a/b": 42, "/cg/a/b": 42, "/": 1, "/cg": 1, "/old/a": 0, "x": 0, "": 0, "a\x00": 0, "secret": 0} {
		id, err := cgroupID(dir, path)
		if id != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v", path, id, err)
		}
	}
	if _, err := cgroupID(dir, "secret"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("secret: %v", err)
	}
}

func TestKallsymsPieces(t *testing.T) {
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "ffffffff8100%04x t function_%d\n", i, i)
	}
	dir := root(t, map[string]string{"kallsyms": text.String(), "long": strings.Repeat("x", 1<<17)})
	for _, i := range []int{0, 1, 1000, 1999, 19_999} {
		name := fmt.Sprintf("function_%d", i)
		if s := findSymbol(filepath.Join(dir, "kallsyms"), "", name); s.addr != 0xffffffff81000000+uint64(i) || !s.isText() {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for _, file := range []string{"long", "none"} {
		if s := findSymbol(filepath.Join(dir, file), "", "x"); s.code != 0 {
			t.Errorf("%s: %+v", file, s)
		}
	}
}

func TestWeakFunctions(t *testing.T) {
	dir := root(t, map[string]string{"kallsyms": "0000000000000000 W weak\n0000000000000000 T strong\nffffffff81000000 w w2\n0000000000000000 W in_module\t[m]\nodd\n"})
	got, err := weakFunctions(filepath.Join(dir, "kallsyms"))
	if want := map[string]bool{"weak": true, "w2": true}; !maps.Equal(got, want) || err != nil {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := weakFunctions(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestKernelLive asks the running kernel, and how long it takes to answer.
func TestKernelLive(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	l := newLive(nil, "/", TracefsDir)
	timed := func(what string, ask func()) {
		start := time.Now()
		ask()
		t.Logf("%-34s %v", what, time.Since(start).Round(time.Microsecond))
	}
	match := func(kind, pattern string, least int) {
		t.Helper()
		timed(kind+" "+pattern, func() {
			got, err := l.Match(kind, pattern)
			if err != nil || len(got) < least || !slices.IsSorted(got) {
				t.Errorf("%s %s: %d, %v", kind, pattern, len(got), err)
			}
		})
	}
	timed("a tracepoint", func() {
		f, err := l.Tracepoint("sched", "sched_switch")
		if err != nil {
			t.Fatal(err)
		}
		checkFormat(t, f)
	})
	match("tracepoint", "sched:sched_wakeup", 1)
	match("tracepoint", "syscalls:sys_enter_*", 100)
	match("tracepoint", "*", 0)
	match("tracepoint", "*:*", 500)
	timed("a symbol", func() {
		if _, ok := l.Symbol("init_task"); !ok {
			t.Log("init_task has no address")
		}
	})
	match("kprobe", "vfs_read", 1)
	match("kprobe", "vfs_*", 10)
	match("kprobe", "sonde_none", 0)
	if l.Types() != nil {
		match("fentry", "vfs_read", 1)
		match("fentry", "vfs_*", 5)
		match("rawtracepoint", "sched_switch", 1)
		match("rawtracepoint", "*", 100)
		match("iter", "*", 1)
		if _, ok := l.Kfunc("sonde_none"); ok {
			t.Error("a kfunc that there is none of")
		}
	}
	if l.PossibleCPUs() < l.OnlineCPUs() || l.OnlineCPUs() < 1 {
		t.Errorf("%d CPUs of %d", l.OnlineCPUs(), l.PossibleCPUs())
	}
	if id, err := l.CgroupID("/"); err == nil && id == 0 {
		t.Error("the root cgroup has no number")
	}
}

// TestKernelSyscalls finds the number of every system call that the kernel traces.
func TestKernelSyscalls(t *testing.T) {
	l := newLive(nil, "/", TracefsDir)
	events, err := l.Match("tracepoint", "syscalls:sys_enter_*")
	if err != nil || len(events) == 0 {
		t.Skip("no tracefs")
	}
	for _, event := range events {
		name := strings.TrimPrefix(event, "syscalls:sys_enter_")
		if nr, ok := l.Syscall(name); !ok || SyscallName(nr) == "" {
			t.Errorf("%s has no number", name)
		}
	}
}

func TestSyscallTables(t *testing.T) {
	for _, tt := range []struct {
		machine, name string
		nr            int
		canonical     string
	}{
		{"amd64", "read", 0, "read"}, {"amd64", "newstat", 4, "stat"}, {"amd64", "umount", 166, "umount2"}, {"amd64", "openat", 257, "openat"},
		{"amd64", "newfstatat", 262, "newfstatat"}, {"arm64", "openat", 56, "openat"}, {"arm64", "newfstat", 80, "fstat"},
		{"arm64", "open", -1, ""}, {"riscv64", "read", -1, ""}, {"amd64", "", -1, ""}, {"amd64", "none", -1, ""},
	} {
		nr, ok := SyscallNumberOn(tt.machine, tt.name)
		if ok != (tt.nr >= 0) || ok && (nr != tt.nr || SyscallNameOn(tt.machine, nr) != tt.canonical) {
			t.Errorf("%s %s: got %d, %v", tt.machine, tt.name, nr, ok)
		}
	}
	for _, nr := range []int{-1, 100_000} {
		if name := SyscallName(nr); name != "" {
			t.Errorf("%d is %s", nr, name)
		}
	}
}
