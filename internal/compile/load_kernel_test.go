package compile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sonde/internal/attach"
	"sonde/internal/compile"
	"sonde/internal/compile/check"
	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// probesToLoad have one program type each.
var probesToLoad = []string{
	"begin",
	"interval:s:1",
	"tracepoint:sched:sched_process_exec",
	"tracepoint:syscalls:sys_enter_getpgid",
	"kprobe:vfs_read",
	"kretprobe:vfs_read",
	"fentry:vfs_read",
	"rawtracepoint:sched_switch",
	"uprobe:VDSO:clock_gettime",
}

// anywhere are bodies that every program type takes.
var anywhere = []string{
	`printf("%d %d %s\n", pid, tid, comm)`,
	`printf("%s %s %s\n", comm, str(0), "a literal of some length, longer than what is stored as constants in the code")`,
	`printf("%d %d %d %d %d %d %d\n", uid, gid, nsecs, elapsed, cpu, ncpus, rand)`,
	`printf("%d %d %s\n", cgroup, curtask.pid, curtask.comm)`,
	`print((comm, pid, (1, "x")))`,
	`printf("%s %d\n", pcomm, ppid)`,
	`@[comm] = count()`,
	`@[comm, pid, (int64)1] = sum(pid)`,
	`@ = count(); @a = avg(pid); @s = stats(pid); @mi = min(pid); @ma = max(pid)`,
	`@ = hist(pid); @l = lhist(cpu, 0, 100, 5); @k[comm] = hist(nsecs, 3); @kl[pid] = lhist(pid, 0, 1000, 10)`,
	`@start[tid] = nsecs; if (@start[tid]) { @t = hist(nsecs - @start[tid]); delete(@start, tid); }`,
	`@s[pid] = comm; if (@s[pid] == "init") { print(@s[pid]) }`,
	`@s[comm] = "text"; $x = @s[comm]; $y = $x; if ($x == $y) { print($x) }`,
	`@v = str(0); @w = @v; if (@v != @w) { print(1) }`,
	`@[kstack] = count()`,
	`@[ustack(5), kstack(3)] = count()`,
	`print(kstack); print(ustack)`,
	`$s = kstack(4); print(len($s))`,
	`@u[usym(123), ksym(456)] = count()`,
	`if (comm == "bash" || comm != "a rather long name" && pid > 5) { print(1) }`,
	`$a = pid > 5 ? "more" : "fewer than that"; print($a); @[$a] = 1`,
	`$a = (pid, comm); @t = $a; print(@t.1); print($a == $a)`,
	`$a = (n = pid, s = comm); print($a.s); @[$a] = 1`,
	`$x = pid; $x++; $x += 5; $x <<= 2; $x = -$x; $y = $x / 3 + $x % pid; print($y / (uint64)$x)`,
	`$i = 0; while ($i < 10) { $i++; if ($i == 5) { continue } if ($i == 8) { break } }`,
	`for $i : 0..20 { @[$i] = $i; }`,
	`for $i : 0..pid { if ($i > 7) { break } @[$i] = $i; }`,
	`unroll(5) { @++; } @ -= 2; print(@)`,
	`@m[pid] = 1; for $kv : @m { print($kv.0 + $kv.1); }`,
	`@m[comm] = 1; $n = 0; for $kv : @m { $n += $kv.1; @o[$kv.0] = $n; } print($n)`,
	`@m[pid] = "s"; for $kv : @m { if ($kv.1 == "s") { return } }`,
	`print(has_key(@m, 1)); @m[1] = 2; print(len(@m)); clear(@m)`,
	`time("%H\n"); printf("%s\n", strftime("%H:%M", nsecs)); exit()`,
	`print(strerror(pid)); print(signal_name(cpu)); @[syscall_name(pid)] = count()`,
	`print(ntop(pid)); print(ntop(pton("::1"))); print(bswap((uint32)pid)); print(macaddr(pton("::1")))`,
	`print(buf(comm, 4)); print(buf(curtask.comm)); printf("%r", buf(kptr(curtask), pid))`,
	`print(strlen(comm)); print(strncmp(comm, "abc", 2)); print(strcontains(str(0), "needle")); print(strstr(comm, "sh"))`,
	`print(comm[0]); $i = pid; print(comm[$i])`,
	`print(curtask.real_parent.real_parent.pid); print(curtask->mm->arg_start)`,
	`$t = curtask; print($t.pid); if ($t) { $u = $t.real_parent; print($u.comm) }`,
	`$t = curtask; if (pid > 1) { $t = curtask.real_parent } print($t.tgid)`,
	`$t = (struct task_struct *)0; print($t.comm); print($t.se.exec_start)`,
	`print((uint64)curtask & 0xfff); $p = curtask; print((uint64)$p >> 3)`,
	`print(curtask.se); print(curtask.cpus_ptr)`,
	`@[curtask] = count(); @p = curtask; print(@p.pid)`,
	`$x = (uint8)pid; $y = (int8)$x; print($y < 0); print((int16)$y); print(~$x)`,
	`print(cgroup_path(cgroup)); print(cgroup == 1)`,
	`print(*(uint64 *)0); print(*(int8 *)pid); $p = (uint32 *)0; print($p[3]); print(*($p + 1))`,
	`$a = 1; $b = &$a; print(*$b)`,
	`print(probe); @[probe] = count(); if (probe == "begin") { print(2) }`,
	`return 1`,
	`print({ let $q = pid; $q + 1 }); print(if (pid > 3) { "a" } else { "bcd" })`,
	`if (pid == 1) { exit(3) } else if (pid == 2) { return } print(3)`,
	`join(kptr(0)); warnf("w %d\n", pid); errorf("e\n"); cat("/proc/%d/comm", pid)`,
	`print(numaid); print(jiffies); print(username)`,
}

// somewhere are bodies that only one kind of probe takes.
var somewhere = map[string][]string{
	"tracepoint:sched:sched_process_exec": {
		`printf("%s %d %d\n", str(args.filename), args.pid, args.old_pid)`,
		`@[str(args->filename)] = count(); if (str(args.filename) == "/bin/true") { print(1) }`,
	},
	"tracepoint:sched:sched_switch": {
		`@[args.prev_comm, args.next_comm] = count(); print(args.next_comm); if (args.prev_comm == "bash") { print(args.prev_pid) }`,
		`$c = args.next_comm; print($c); print(strlen(args.next_comm)); print(args.next_comm[2])`,
	},
	"tracepoint:syscalls:sys_enter_openat": {
		`printf("%s %s %d\n", comm, str(args.filename), args.flags)`,
		`@f[tid] = args.filename; print(str(@f[tid])); if (str(args.filename, 10) == "/etc") { print(args.__syscall_nr) }`,
	},
	"tracepoint:syscalls:sys_exit_openat":     {`@[args.ret] = count(); print(args.ret < 0 ? -args.ret : 0)`},
	"tracepoint:syscalls:sys_enter_*":         {`@[comm] = count()`},
	"tracepoint:raw_syscalls:sys_enter":       {`@[args.id] = count(); print(args.args[1]); $i = pid; print(args.args[$i])`},
	"tracepoint:raw_syscalls:sys_exit":        {`@[args.id, args.ret] = count()`},
	"tracepoint:syscalls:sys_enter_execve":    {`join(args.argv); print(kstack)`},
	"profile:hz:99":                           {`@[kstack, ustack] = count()`, `print(reg("ip")); @[cpu] = lhist(cpu, 0, 8, 1)`},
	"software:page-faults:100":                {`@[comm] = count()`},
	"kprobe:vfs_read":                         {`print(arg0); print(((struct file *)arg0).f_flags); @[func] = count(); print(reg("sp"))`, `$f = (struct file *)arg0; print(str($f.f_path.dentry.d_name.name)); print($f->f_inode->i_ino); print($f.f_inode.i_sb.s_dev)`},
	"kretprobe:vfs_read":                      {`print(retval); @ = hist(retval); print((int32)retval < 0)`},
	"fentry:vfs_read":                         {`print(args.file.f_flags); print(args.count); print(args.file.f_path.dentry.d_name.len); @[func] = count(); print(str(args.file.f_path.dentry.d_name.name)); print(args.buf)`, `$f = args.file; print($f.f_inode.i_ino); @[args.file] = count()`},
	"fexit:vfs_read":                          {`print(retval); print(args.count); @ = hist(retval)`},
	"rawtracepoint:sched_switch":              {`print(args.prev.pid); print(args.next.comm); @[args.prev.comm] = count()`, `print(((struct task_struct *)arg1).pid); $p = args.next; print($p.real_parent.pid)`},
	"uprobe:VDSO:clock_gettime":               {`print(arg0); print(str(arg1)); print(func); @[ustack] = count(); print(*(uint64 *)reg("sp"))`, `@[str(arg0), str(arg1), comm] = count()`},
	"iter:task":                               {`if (ctx.task) { printf("%s %d\n", ctx.task.comm, ctx.task.pid) }`},
	"kprobe:tcp_connect":                      {`$sk = (struct sock *)arg0; print(ntop($sk.__sk_common.skc_daddr)); print(ntop($sk.__sk_common.skc_v6_daddr.in6_u.u6_addr8)); print(bswap($sk.__sk_common.skc_dport)); print($sk.__sk_common.skc_family == 2)`},
	"tracepoint:block:block_rq_issue":         {`print((args.dev, args.sector)); @[args.comm] = hist(args.bytes); print(args.rwbs)`},
	"tracepoint:signal:signal_generate":       {`print(args.comm); @[args.pid] = args.comm`},
	"tracepoint:syscalls:sys_enter_nanosleep": {`print(args.rqtp); print(args.rqtp.tv_sec)`},
}

// live is the running kernel.
var live = kernel.Live(attach.Trials())

// load compiles a script for the running kernel and has the verifier look at it. Nothing is attached.
func load(t *testing.T, text string, o compile.Options) {
	t.Helper()
	if strings.HasPrefix(text, "f") {
		vmtest.Need(t, kernel.Fentry)
	}
	p, diags := compile.Compile([]byte(text), "test", live, o)
	src := syntax.NewSource("test", []byte(text))
	for _, d := range diags {
		if d.Severity != syntax.Error {
			continue
		}
		if lacks(d.Message) {
			t.Skipf("this kernel: %s", d.Message)
		}
		t.Fatalf("%s", src.Render(d, false))
	}
	s, err := attach.Open(p.Spec)
	if err != nil {
		var refused *attach.Refused
		if errors.As(err, &refused) {
			t.Fatalf("%s\n%v\n%s", text, err, strings.Join(refused.Log, "\n"))
		}
		t.Fatalf("%s: %v", text, err)
	}
	s.Close()
}

// vdso writes the kernel's own shared object to a file: an ELF file with symbols that is the same everywhere.
func vdso(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "vdso.so")
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		if !strings.Contains(line, "[vdso]") {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			t.Fatal(err)
		}
		mem, err := os.Open("/proc/self/mem")
		if err != nil {
			t.Fatal(err)
		}
		defer mem.Close()
		image := make([]byte, to-from)
		if _, err := mem.ReadAt(image, from); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, image, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Fatal("this process has no vdso")
	return ""
}

// lacks says whether a message is about something that this kernel does not have.
func lacks(message string) bool {
	for _, part := range []string{"no function", "no symbol", "that can be probed", "no tracepoint", "this kernel", "does not show them"} {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}

// TestKernelLoad has the verifier look at every construct in programs of every type.
func TestKernelLoad(t *testing.T) {
	file := vdso(t)
	unsafe := compile.Options{Options: check.Options{Unsafe: true}}
	for _, probe := range probesToLoad {
		probe = strings.ReplaceAll(probe, "VDSO", file)
		for _, body := range anywhere {
			t.Run(probe+"/"+body, func(t *testing.T) { load(t, probe+" { "+body+" }", unsafe) })
		}
	}
	for probe, bodies := range somewhere {
		probe = strings.ReplaceAll(probe, "VDSO", file)
		for _, body := range bodies {
			t.Run(probe+"/"+body, func(t *testing.T) { load(t, probe+" { "+body+" }", unsafe) })
		}
	}
}

// TestKernelLoadOptions does so with the options that change the code of everything.
func TestKernelLoadOptions(t *testing.T) {
	for name, o := range map[string]compile.Options{
		"warnings":      {Warnings: true},
		"not optimised": {NoOptimize: true},
		"one process":   {Options: check.Options{PID: 1}},
	} {
		for _, body := range anywhere {
			t.Run(name+"/"+body, func(t *testing.T) { load(t, "tracepoint:sched:sched_process_exec { "+body+" }", o) })
		}
	}
}
