package cli

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// runReads runs a script over role-reads.
func runReads(t *testing.T, times int, script string, flags ...string) ran {
	t.Helper()
	args := append([]string{"sonde", "run", "-q"}, flags...)
	return runScriptFor(t, append(args, "-e", script, "-c", as(t, "role-reads")+" "+strconv.Itoa(times))...)
}

// What kprobes and kretprobes see of known calls.
func TestKernelKprobes(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Kprobe)
	const (
		read   = "/pid == cpid && arg2 == 1111/"
		reader = `kprobe:vfs_read /pid == cpid && arg2 == 1111/ { @in[tid] = 1; } `
	)
	for _, c := range []struct {
		name, script, want string // an expression for all of the output
	}{
		{"arguments", `kprobe:vfs_read ` + read + ` { printf("%s %s %d %d\n", func, probe, arg2, arg1 != 0); }`, `(vfs_read kprobe:vfs_read 1111 1\n){3}\n\n`},
		{"typed arguments", `kprobe:vfs_write /pid == cpid && arg2 == 777/ { printf("%s\n", str(((struct file *)arg0).f_path.dentry.d_name.name)); }`, `reads\d+\n\n\n`},
		{"return", reader + `kretprobe:vfs_read /@in[tid]/ { printf("%s %s %d\n", func, probe, retval); delete(@in, tid); }`, `(vfs_read kretprobe:vfs_read 777\n){3}\n\n`},
		{"several", `kprobe:vfs_read,kprobe:vfs_write /pid == cpid && (arg2 == 1111 || arg2 == 777)/ { @[func] = count(); @p[probe] = count(); }`,
			`\n\n@\[vfs_write\]: 1\n@\[vfs_read\]: 3\n@p\[kprobe:vfs_write\]: 1\n@p\[kprobe:vfs_read\]: 3\n`},
		{"several returns", `kprobe:vfs_read,kprobe:vfs_write /pid == cpid && (arg2 == 1111 || arg2 == 777)/ { @in[tid] = 1; }
			kretprobe:vfs_read,kretprobe:vfs_write /@in[tid]/ { @[func, retval] = count(); delete(@in, tid); }`,
			`\n\n@\[vfs_write, 777\]: 1\n@\[vfs_read, 777\]: 3\n`},
		{"wildcard", `kprobe:vfs_r*d,kprobe:vfs_wri*e /pid == cpid && (arg2 == 1111 || arg2 == 777)/ { @[func] = count(); }`,
			`\n\n@\[vfs_write\]: 1\n@\[vfs_read\]: 3\n`},
		{"wildcard and probe", `kprobe:vfs_r*d ` + read + ` { @[probe] = count(); }`, `\n\n@\[kprobe:vfs_read\]: 3\n`},
		{"wildcard returns", reader + `kretprobe:vfs_r*d,kretprobe:vfs_write /@in[tid]/ { @[func] = sum(retval); delete(@in, tid); }`,
			`\n\n@\[vfs_read\]: 2331\n`},
		{"addresses", `kprobe:vfs_read ` + read + ` { printf("%s %s %s\n", ksym(kaddr("vfs_write")), ksym(kaddr("vfs_read") + 1), usym(0)); @[ksym(kaddr("vfs_read"))] = count(); }`,
			`(vfs_write vfs_read 0\n){3}\n\n@\[vfs_read\]: 3\n`},
		{"several of one function", `kprobe:vfs_read ` + read + ` { printf("a"); } kprobe:vfs_read ` + read + ` { printf("b"); }`, `ababab\n\n`},
		{"strings and stacks as keys", `kprobe:vfs_read ` + read + ` { @[kstack(1), comm, func] = count(); @l = len(kstack(2)); @v = kstack(1); }`,
			`\n\n@\[\n        vfs_read\+\d+\n, role-reads, vfs_read\]: 3\n@l: 2\n@v: \n        vfs_read\+\d+\n\n`},
		{"modes", `kprobe:vfs_read ` + read + ` { print(kstack(raw, 1)); print(kstack(perf, 1)); exit(); }`,
			`\nf[0-9a-f]{15}\n\n\n\tf[0-9a-f]{15} vfs_read\+\d+\n\n\n\n`},
		{"module named", `kprobe:vmlinux:vfs_read ` + read + ` { @[func] = count(); }`, `\n\n@\[vfs_read\]: 3\n`},
		{"user stack", `kprobe:vfs_read ` + read + ` { @[ustack(perf, 30)] = count(); }`, `(?s)\n\n@\[\n\t[0-9a-f]+ [^\n]*syscall[^\n]* \([^\n]*\)\n.* sonde/internal/cli\.roleReads\+\d+ \(.*\]: 3\n`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := runReads(t, 3, c.script)
			if got.stderr != "" || !regexp.MustCompile(`^(?:`+c.want+`)$`).MatchString(got.stdout) {
				t.Errorf("%s\nstatus %d, stderr %q, stdout %q;\nwant %q", c.script, got.status, got.stderr, got.stdout, c.want)
			}
		})
	}
}

// The multi link, single probes and sessions give the same.
func TestKernelKprobeLinks(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Kprobe)
	const script = `kprobe:vfs_read,kprobe:vfs_write /pid == cpid && (arg2 == 1111 || arg2 == 777)/ { @in[tid] = 1; @[func, arg2, kstack(1)] = count(); }
		kretprobe:vfs_read,kretprobe:vfs_write /@in[tid]/ { @r[func, retval] = count(); delete(@in, tid); }`
	offset := regexp.MustCompile(`\+\d+\n`) // where the probe is called from differs
	var first string
	for _, flags := range [][]string{nil, {"--no-feature", "kprobe_multi"}, {"--no-feature", "kprobe_session"}, {"--no-optimize"}} {
		got := runReads(t, 5, script, flags...)
		text := offset.ReplaceAllString(got.stdout, "\n")
		if first == "" {
			first = text
		}
		if got.stderr != "" || text != first || strings.Count(text, "]: 5\n") != 2 || strings.Count(text, "]: 1\n") != 2 {
			t.Errorf("%q: stderr %q, stdout %q; want %q", flags, got.stderr, text, first)
		}
	}
}

// kallsyms reads the functions of the running kernel, by address.
func kallsyms(t *testing.T) map[uint64][]string {
	t.Helper()
	text, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	all := map[uint64][]string{}
	for line := range strings.Lines(string(text)) {
		field := strings.Fields(line)
		addr, err := strconv.ParseUint(field[0], 16, 64)
		if err != nil {
			t.Fatal(line)
		}
		all[addr] = append(all[addr], field[2])
	}
	return all
}

// Every frame of a kernel stack is named as /proc/kallsyms has it.
func TestKernelStackNames(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Tracepoint)
	known := kallsyms(t)
	got := runReads(t, 3, `tracepoint:sched:sched_process_exit /pid == cpid/ { print(kstack(perf)); }`)
	frames := 0
	for line := range strings.Lines(got.stdout) {
		field := strings.Fields(line)
		if len(field) == 0 {
			continue
		}
		addr, err := strconv.ParseUint(field[0], 16, 64)
		name, digits, found := strings.Cut(field[len(field)-1], "+")
		offset, err2 := strconv.ParseUint(digits, 10, 64)
		if err != nil || err2 != nil || !found || len(field) != 2 {
			t.Fatalf("%q in %q", line, got.stdout)
		}
		if !containsName(known[addr-offset], name) {
			t.Errorf("%q: at %x is %q", line, addr-offset, known[addr-offset])
		}
		frames++
	}
	if frames < 4 {
		t.Errorf("%d frames in %q; %s", frames, got.stdout, got.stderr)
	}
}

func containsName(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// What cannot be probed is told, and left out where the script says so.
func TestKernelKprobesMissing(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Kprobe)
	for _, c := range []struct{ script, says string }{
		{`kprobe:no_such_function { }`, "the kernel has no function no_such_function"},
		{`kprobe:vfs_reed { }`, "did you mean vfs_read?"},
		{`kprobe:nosuch_* { }`, "no function matches nosuch_*"},
		{`kprobe:vfs_read+1 { }`, "no instruction begins at that offset"},
		{`kprobe:nosuch:vfs_read { }`, "vfs_read"},
		{`kretprobe:vfs_read+4 { }`, "a kretprobe has no offset"},
		{`kprobe:0xffffffff81000000 { }`, "--unsafe"},
		{`config = { max_probes = 3 } kprobe:vfs_* { }`, "max_probes"},
	} {
		got := runScriptFor(t, "sonde", "run", "-e", c.script)
		if got.status != 1 || got.stdout != "" || !strings.Contains(got.stderr, c.says) {
			t.Errorf("%s: status %d, %q, want %q", c.script, got.status, got.stderr, c.says)
		}
	}
	got := runReads(t, 3, `kprobe:no_such_function,kprobe:vfs_read /pid == cpid && arg2 == 1111/ { @ = count(); }`)
	if got.stdout != "\n\n@: 3\n" {
		t.Errorf("%+v", got)
	}
}

// A probe inside of a function sees its registers.
func TestKernelKprobeOffset(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Kprobe)
	probed := 0
	for offset := 4; offset <= 12; offset++ {
		got := runReads(t, 3, fmt.Sprintf(`kprobe:vfs_read+%d /pid == cpid/ { @[func, probe] = count(); }`, offset))
		switch {
		case strings.Contains(got.stderr, "no instruction begins"), strings.Contains(got.stderr, "cannot be probed"):
		case got.stderr == "" && regexp.MustCompile(fmt.Sprintf(`^\n\n@\[vfs_read, kprobe:vfs_read\+%d\]: \d+\n$`, offset)).MatchString(got.stdout):
			probed++
		default:
			t.Errorf("+%d: %+v", offset, got)
		}
	}
	if probed == 0 {
		t.Error("at no offset")
	}
}
