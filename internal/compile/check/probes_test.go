package check

import (
	"fmt"
	"strings"
	"testing"

	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

// checked checks a script that has to be right.
func checked(t *testing.T, text string, target kernel.Target, o Options) *Info {
	t.Helper()
	src := syntax.NewSource("test", []byte(text))
	p, ds := syntax.Parse(src)
	info, more := Check(p, src, target, o)
	for _, d := range append(ds, more...) {
		if d.Severity == syntax.Error {
			t.Errorf("%s", told(src, d))
		}
	}
	return info
}

// TestPoints checks what attach points come to.
func TestPoints(t *testing.T) {
	for _, r := range []struct {
		points string
		o      Options
		want   string // texts of the points, programs separated by |
	}{
		{points: "BEGIN", want: "begin"},
		{points: "k:vfs_read", want: "kprobe:vfs_read"},
		{points: "kr:vfs_read, k:vfs_write", want: "kretprobe:vfs_read|kprobe:vfs_write"},
		{points: "k:vfs_read, k:vfs_wri*", want: "kprobe:vfs_read kprobe:vfs_write wild kprobe:vfs_writev wild"},
		{points: "kprobe:xfs:xfs_file_open", want: "kprobe:xfs:xfs_file_open"},
		{points: "f:vfs_read", want: "fentry:vfs_read"},
		{points: "kfunc:vmlinux:vfs_read", want: "fentry:vmlinux:vfs_read"},
		{points: "*probe:vfs_read", want: "kprobe:vfs_read|kretprobe:vfs_read"},
		{points: "t:sched:sched_switch,", want: "tracepoint:sched:sched_switch"},
		{points: "t:syscalls:sys_enter_read, t:sched:sched_switch", want: "tracepoint:syscalls:sys_enter_read syscall 0|tracepoint:sched:sched_switch"},
		{points: "t:syscalls:sys_e*_openat", want: "tracepoint:syscalls:sys_enter_openat syscall 257 wild tracepoint:syscalls:sys_exit_openat syscall 257 wild"},
		{points: "rt:sched_switch", want: "rawtracepoint:sched_switch"},
		{points: "i:1s", want: "interval:1s period 1000000000"},
		{points: "i:ms:20", want: "interval:ms:20 period 20000000"},
		{points: "i:hz:100", want: "interval:hz:100 period 10000000 frequency 100"},
		{points: "p:hz:99", want: "profile:hz:99 frequency 99"},
		{points: "profile:1000000", want: "profile:1000000 period 1000000"},
		{points: "s:faults", want: "software:faults period 100"},
		{points: "s:cs:5, h:cycles", want: "software:cs:5 period 5|hardware:cycles period 1000000"},
		{points: "it:task", want: "iter:task"},
		{points: "self:signal:SIGUSR1", want: "self:signal:SIGUSR1"},
		{points: "u:libc:malloc", want: "uprobe:/usr/lib/libc.so.6:malloc offset 0x1000"},
		{points: "u:/bin/bash:readline+4", want: "uprobe:/bin/bash:readline+4 offset 0x1044"},
		{points: "ur:bash:readline", want: "uretprobe:/usr/bin/bash:readline offset 0x1040"},
		{points: "u:readline", o: Options{Binary: "/bin/bash", Command: true}, want: "uprobe:/bin/bash:readline offset 0x1040"},
		{points: `u:"/bin/bash":"readline"`, want: "uprobe:/bin/bash:readline offset 0x1040"},
		{points: "kprobe:$1", o: Options{Positional: []string{"vfs_read"}}, want: "kprobe:vfs_read"},
		{points: "i:s:$1", o: Options{Positional: []string{"3"}}, want: "interval:s:3 period 3000000000"},
		{points: "kprobe:0xffffffff81200000", o: Options{Unsafe: true}, want: "kprobe:0xffffffff81200000 address 0xffffffff81200000"},
		{points: "k:vfs_read, k:vfs_write", o: Options{Keep: func(p string) bool { return strings.HasSuffix(p, "write") }}, want: "kprobe:vfs_write"},
		{points: "u:/bin/bash:cpp:readline", o: Options{Demangle: func(s string, params bool) string {
			if params {
				return s + "(int)"
			}
			return s
		}}, want: "uprobe:/bin/bash:cpp:readline offset 0x1040"},
	} {
		t.Run(r.points, func(t *testing.T) {
			info := checked(t, r.points+" { print(1); }", kernel.NewFixture(), r.o)
			var programs []string
			for _, p := range info.Programs {
				var points []string
				for i := range p.Points {
					points = append(points, pointText(&p.Points[i]))
				}
				programs = append(programs, strings.Join(points, " "))
			}
			if got := strings.Join(programs, "|"); got != r.want {
				t.Errorf("got %q, want %q", got, r.want)
			}
		})
	}
}

// TestGroups checks that a body is there once for each set of arguments it uses, and once if it uses none.
func TestGroups(t *testing.T) {
	for _, r := range []struct {
		script   string
		programs int
	}{
		{"t:syscalls:sys_enter_openat, t:syscalls:sys_enter_read { @ = count(); }", 1},
		{"t:syscalls:sys_enter_openat, t:syscalls:sys_enter_read { print(args.__syscall_nr); }", 2},
		{"t:syscalls:sys_exit_openat, t:syscalls:sys_exit_read { print(args.ret); }", 1},
		{"fentry:vfs_read, fentry:vfs_write { @ = count(); }", 1},
		{"fexit:vfs_read, fexit:vfs_write { @ = sum(retval); }", 1},
		{"fentry:vfs_read, fentry:vfs_unlink { print(args); }", 2},
		{"kprobe:vfs_read, kprobe:vfs_write { print(arg0); }", 1},
	} {
		info := checked(t, r.script, kernel.NewFixture(), Options{})
		if len(info.Programs) != r.programs {
			t.Errorf("%s: %d programs, want %d", r.script, len(info.Programs), r.programs)
		}
		seen := make(map[*syntax.Probe]bool)
		for _, p := range info.Programs {
			if seen[p.Decl] {
				t.Errorf("%s: two programs share a tree", r.script)
			}
			seen[p.Decl] = true
		}
	}
}

// TestWithoutBTF checks what works on a kernel that shows no types.
func TestWithoutBTF(t *testing.T) {
	bare := kernel.NewFixture()
	bare.BTF = nil
	info := checked(t, `
#ifndef BPFTRACE_HAVE_BTF
#define GUARDED 7
#endif
tracepoint:syscalls:sys_enter_openat { printf("%s %d %d", str(args.filename), args.flags, GUARDED); }
tracepoint:sched:sched_switch { @[args.next_comm] = count(); }
kprobe:vfs_read { print((uint64)arg0); print(curtask); }
`, bare, Options{})
	if got := info.Programs[0].Args.Fields[2].Type.String(); got != "int8 *" {
		t.Errorf("filename is %s", got)
	}
	for script, want := range map[string]string{
		"fentry:vfs_read { }":                  "needs the kernel's types",
		"kprobe:vfs_read { curtask.pid; }":     "the members of struct task_struct are not known",
		"rawtracepoint:sched_switch { args; }": "are not known",
		"begin { print(IPPROTO_TCP); }":        "IPPROTO_TCP is not known",
	} {
		src := syntax.NewSource("test", []byte(script))
		p, _ := syntax.Parse(src)
		_, ds := Check(p, src, bare, Options{})
		if text := fmt.Sprint(ds); !strings.Contains(text, want) {
			t.Errorf("%s: got %s, want %q", script, text, want)
		}
	}
}

// TestMissing checks the three ways to take an attach point that is not there.
func TestMissing(t *testing.T) {
	for policy, want := range map[string]int{"error": 1, "warn": 1, "ignore": 0} {
		src := syntax.NewSource("test", []byte("config = { missing_probes = "+policy+" } kprobe:vfs_read, kprobe:nosuch, u:libc:nosuch { print(1); }"))
		p, _ := syntax.Parse(src)
		info, ds := Check(p, src, kernel.NewFixture(), Options{})
		if len(ds) != 2*want {
			t.Errorf("%s: %v", policy, ds)
		}
		for _, d := range ds {
			if (d.Severity == syntax.Error) != (policy == "error") {
				t.Errorf("%s: %v", policy, d)
			}
		}
		if len(info.Programs) != 1 || len(info.Programs[0].Points) != 1 {
			t.Errorf("%s: vfs_read is lost", policy)
		}
	}
}

// TestLimits checks that limits are told.
func TestLimits(t *testing.T) {
	src := syntax.NewSource("test", []byte("config = { max_probes = 2 } kprobe:vfs_* { print(1); }"))
	p, _ := syntax.Parse(src)
	_, ds := Check(p, src, kernel.NewFixture(), Options{})
	if len(ds) != 1 || !strings.Contains(ds[0].Message, "max_probes") {
		t.Errorf("%v", ds)
	}
}
