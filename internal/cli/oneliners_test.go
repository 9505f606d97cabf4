package cli

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// oneLiner is a short script of the kind that people type.
type oneLiner struct {
	name, script string
	toil         string   // what its command does; "" is the program of its own
	wants        []string // expressions that the output has to match, one after the other
	needs        []kernel.Feature
	system       bool // it is about the whole system, so it runs in guests only
}

const (
	oneFrame  = `( +\S+\+\d+( \([^)]*\))?\n)`
	anyBucket = `[\[(]\S+( \S+[)\]])? +\d+ \|@*`
)

// oneLiners are the sorts of one-liners that bpftrace's documentation has, and then some. PROGRAM is a program with the
// functions of oneProgram.
var oneLiners = []oneLiner{
	{
		name: "hello", script: `begin { printf("hello world\n"); @a["x", 1] = 2; @h = hist(5); exit(); }`, toil: "opens",
		wants: []string{`^hello world\n`, `^@a\[x, 1\]: 2$`, `^@h:\n\[4, 8\) +1 \|@+\|$`},
	},
	{
		name: "files opened", script: `tracepoint:syscalls:sys_enter_openat { printf("%s %s\n", comm, str(args.filename)); }`, toil: "opens",
		wants: []string{`^role-toil /etc/passwd\n(.*\n)*role-toil /nonexistent/file$`},
	},
	{
		name: "files opened, with an arrow", script: `tracepoint:syscalls:sys_enter_openat { printf("%s %s\n", comm, str(args->filename)); }`, toil: "opens",
		wants: []string{`^role-toil /etc/passwd\n(.*\n)*role-toil /nonexistent/file$`},
	},
	{name: "system calls by program", script: `tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }`, toil: "opens", wants: []string{`^@\[role-toil\]: \d+$`}},
	{
		name: "system calls by second", script: `tracepoint:raw_syscalls:sys_enter { @ = count(); } interval:s:1 { print(@); clear(@); }`, toil: "opens wait opens",
		wants: []string{`^@: \d+\n`, `^@: \d+$`},
	},
	{name: "system calls by name", script: `tracepoint:syscalls:sys_enter_* { @[probe] = count(); }`, toil: "files", wants: []string{`^@\[tracepoint:syscalls:sys_enter_fsync\]: 3$`}},
	{name: "system calls by number", script: `tracepoint:raw_syscalls:sys_enter { @[syscall_name(args.id)] = count(); }`, toil: "files", wants: []string{`^@\[fsync\]: 3$`}},
	{name: "one process", script: `tracepoint:raw_syscalls:sys_enter /pid == cpid/ { @ = count(); }`, toil: "opens", wants: []string{`^@: \d\d+$`}},
	{name: "bytes read by program", script: `tracepoint:syscalls:sys_exit_read /args.ret/ { @[comm] = sum(args.ret); }`, toil: "files", wants: []string{`^@\[role-toil\]: 1\d{4}$`}},
	{
		name: "sizes of reads", script: `tracepoint:syscalls:sys_exit_read { @[comm] = hist(args.ret); }`, toil: "files",
		wants: []string{`^@\[role-toil\]:\n(` + anyBucket + `.*\n)*\[512, 1K\) +\d+ \|@+ *\|\n\[1K, 2K\) +\d+ \|@+ *\|\n`},
	},
	{name: "programs", script: `tracepoint:syscalls:sys_enter_exec* { printf("%s ", comm); join(args.argv); }`, toil: "execs", wants: []string{`^role-toil /bin/true an argument another$`}},
	{name: "programs, raw", script: `rawtracepoint:sched_process_exec { printf("%s %d\n", comm, pid); }`, toil: "execs", wants: []string{`^true \d+$`}},
	{name: "sleeps", script: `tracepoint:syscalls:sys_enter_nanosleep { printf("%s is sleeping.\n", comm); }`, toil: "sleeps", wants: []string{`^role-toil is sleeping\.$`}},
	{
		name: "sleeps in the kernel", script: `kprobe:do_nanosleep { printf("PID %d sleeping...\n", pid); }`, toil: "sleeps",
		wants: []string{`^PID \d+ sleeping\.\.\.$`}, needs: []kernel.Feature{kernel.Kprobe},
	},
	{name: "page faults", script: `software:faults:1 { @[comm] = count(); }`, toil: "memory", wants: []string{`^@\[role-toil\]: \d{3}\d*$`}},
	{name: "on the CPU, by thread", script: `profile:hz:99 { @[tid] = count(); }`, toil: "spin spin spin", wants: []string{`^@\[\d+\]: \d+$`}},
	{name: "on the CPU, in the kernel", script: `profile:hz:99 { @[kstack] = count(); }`, toil: "spin files spin files spin", wants: []string{`^@\[\n` + oneFrame + `+\]: \d+$`}},
	{name: "on the CPU, in the program", script: `profile:hz:99 { @[ustack(5)] = count(); }`, toil: "spin spin spin", wants: []string{`^@\[\n` + oneFrame + `+\]: \d+$`}},
	{
		name: "events of the scheduler", script: `tracepoint:sched:sched* { @[probe] = count(); } interval:s:1 { exit(); }`, toil: "sleeps wait sleeps wait",
		wants: []string{`^@\[tracepoint:sched:sched_switch\]: \d+$`},
	},
	{
		name: "off the CPU", script: `tracepoint:sched:sched_switch { @[kstack] = count(); }`, toil: "sleeps",
		wants: []string{`^@\[\n` + oneFrame + `*( +\w*schedule\w*\+\d+\n)` + oneFrame + `+\]: \d+$`},
	},
	{name: "functions", script: `kprobe:vfs_* { @[func] = count(); }`, toil: "files", wants: []string{`^@\[vfs_(read|write)\]: \d+$`}, needs: []kernel.Feature{kernel.Kprobe}},
	{
		name: "what reads return", script: `kretprobe:vfs_read { @bytes = lhist(retval, 0, 2000, 200); }`, toil: "files",
		wants: []string{`^@bytes:\n`, `^\[1000, 1200\) +3 \|@+ *\|$`, `^\[1400, 1600\) +6 \|@+ *\|$`}, needs: []kernel.Feature{kernel.Kprobe},
	},
	{
		name: "how long reads take", toil: "files", needs: []kernel.Feature{kernel.Kprobe},
		script: `kprobe:vfs_read { @start[tid] = nsecs; } kretprobe:vfs_read /@start[tid]/ { @ns[comm] = hist(nsecs - @start[tid]); delete(@start[tid]); }`,
		wants:  []string{`^@ns\[role-toil\]:\n(` + anyBucket + `.*\n)+`},
	},
	{
		name: "through pointers", toil: "opens", needs: []kernel.Feature{kernel.Kprobe, kernel.BTF},
		script: `kprobe:vfs_open { printf("open path: %s\n", str(((struct path *)arg0)->dentry->d_name.name)); }`,
		wants:  []string{`^open path: passwd$`},
	},
	{
		name: "arguments with types", toil: "files", needs: []kernel.Feature{kernel.Fentry},
		script: `fentry:vfs_read { printf("%s %d\n", str(args.file.f_path.dentry.d_name.name), args.count); }`,
		wants:  []string{`^file 1500$`},
	},
	{
		name: "results with types", toil: "files", needs: []kernel.Feature{kernel.Fentry},
		script: `fexit:vfs_read /args.count == 1500/ { @[retval] = count(); }`,
		wants:  []string{`^@\[0\]: 3\n`, `^@\[1000\]: 3\n`, `^@\[1500\]: 6$`},
	},
	{
		name: "arguments and results of a program", script: `uprobe:PROGRAM:readline { printf("%s\n", str(arg0)); } uretprobe:PROGRAM:readline { printf("got %s\n", str(retval)); }`,
		wants: []string{`^a line\ngot a line$`},
	},
	{name: "functions of a program", script: `uprobe:PROGRAM:* { @[func] = count(); }`, wants: []string{`^@\[_start\]: 1$`, `^@\[readline\]: 1$`, `^@\[answer\]: 1$`}},
	{name: "numbers of a program", script: `uretprobe:PROGRAM:answer { @[comm] = lhist(retval, 0, 100, 10); }`, wants: []string{`^@\[program\]:\n\[40, 50\) +1 \|@+\|$`}},
	// Old kernels miss the caller of a function that has not made its frame yet.
	{name: "stacks of a program", script: `uprobe:PROGRAM:answer { @[ustack, usym(arg2)] = count(); }`, wants: []string{`^@\[\n +answer\+0\n( +_start\+\d+\n)?, answer\]: 1$`}},
	{name: "tasks", script: `iter:task { printf("%s:%d\n", ctx.task.comm, ctx.task.pid); }`, toil: "opens", system: true, wants: []string{`^kthreadd:2$`, `^sonde:\d+$`}},
	{name: "block I/O", script: `tracepoint:block:block_rq_issue { @ = hist(args.bytes); }`, toil: "disk", system: true, wants: []string{`^@:\n(` + anyBucket + `.*\n)*\[16K, 32K\) +\d+ \|@+ *\|$`}},
	{
		name: "block I/O by stack", script: `tracepoint:block:block_rq_issue { @[kstack(3), comm, args.comm] = count(); }`, toil: "disk", system: true,
		wants: []string{`^@\[\n` + oneFrame + `{3}, role-toil, role-toil\]: \d+$`},
	},
}

var oneProgram = []userFunction{{name: "readline", text: "a line"}, {name: "answer", number: 42}}

// run runs the script on its command and returns what it writes. more are options.
func (x oneLiner) run(t *testing.T, bin, program string, more ...string) {
	vmtest.Need(t, x.needs...)
	command := program
	if x.toil != "" {
		command = filepath.Join(bin, "role-toil") + " 3 " + x.toil
	}
	script := strings.ReplaceAll(x.script, "PROGRAM", program)
	got := runAll(t, exec.Command(filepath.Join(bin, "sonde"), slices.Concat([]string{"run"}, more, []string{"-c", command, "-e", script})...))
	if got.status != 0 || !attachedOnly.MatchString(got.stderr) {
		t.Errorf("status %d, stderr %q", got.status, got.stderr)
	}
	for _, w := range x.wants {
		if !regexp.MustCompile("(?m)" + w).MatchString(got.stdout) {
			t.Errorf("the output does not match %s:\n%s", w, got.stdout)
		}
	}
}

var attachedOnly = regexp.MustCompile(`^Attached \d+ probes?\n$`)

// oneBench gives the names under which the test binary is what one-liners need, and a program to probe.
func oneBench(t *testing.T) (bin, program string) {
	bin = filepath.Dir(as(t, "sonde"))
	linkSelf(t, filepath.Join(bin, "role-toil"))
	program = filepath.Join(bin, "program")
	writeProgram(t, program, oneProgram...)
	return bin, program
}

// TestKernelOneLiners runs the one-liners on processes of its own only.
func TestKernelOneLiners(t *testing.T) {
	needRoot(t)
	bin, program := oneBench(t)
	for i, x := range oneLiners {
		if vmtest.Guest() != "" && i%3 != 0 {
			continue // all of them are run there on all processes
		}
		if !x.system {
			t.Run(x.name, func(t *testing.T) { x.run(t, bin, program, "--tree") })
		}
	}
}
