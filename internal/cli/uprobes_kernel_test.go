package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// goRegisters are the first two that a function of Go gets its arguments in; the first is that of its result, too.
func goRegisters() [2]string {
	if runtime.GOARCH == "arm64" {
		return [2]string{"r0", "r1"}
	}
	return [2]string{"ax", "bx"}
}

// expand fills in a script: PATH is the program, LEAF and so on are its functions, R0 and R1 registers.
func expand(script, path string) string {
	r := goRegisters()
	return strings.NewReplacer("PATH", path, "R0", r[0], "R1", r[1], "LEAF", "sonde/internal/cli.calledLeaf",
		"MIDDLE", "sonde/internal/cli.calledMiddle", "OUTER", "sonde/internal/cli.calledOuter").Replace(script)
}

// callsProgram is a copy of the test binary, as role-calls: probes on it are not in sonde itself.
func callsProgram(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "role-calls")
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// What uprobes and uretprobes see of known calls.
func TestKernelUprobesOfC(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	program := filepath.Join(t.TempDir(), "program")
	writeProgram(t, program, userFunction{"alpha", "text of alpha", 0}, userFunction{"beta", "b", 17}, userFunction{"gamma", "", 400}, userFunction{"_ZN2ns3fooEi", "", 1})
	for _, c := range []struct {
		name, script, want string
	}{
		{"arguments", `uprobe:PATH:alpha { printf("%s %s %d %d\n", str(arg0), str(arg1), arg2 == reg("ip"), arg2 == uaddr("alpha")); }`, "text of alpha text of alpha 1 1\n\n\n"},
		{"return", `uretprobe:PATH:beta { printf("%d %s\n", retval, func); } uretprobe:PATH:alpha { printf("%s %s\n", str(retval), func); }`, "text of alpha alpha\n17 beta\n\n\n"},
		{"returns", `uretprobe:PATH:*a { @[func] = count(); @r[func] = retval > 1000 ? 0 : retval; }`, "\n\n@[alpha]: 1\n@[beta]: 1\n@[gamma]: 1\n@r[alpha]: 0\n@r[beta]: 17\n@r[gamma]: 400\n"},
		{"both", `uprobe:PATH:beta { @start[tid] = arg2; } uretprobe:PATH:beta /@start[tid]/ { printf("%s\n", usym(@start[tid])); delete(@start, tid); }`, "beta\n\n\n"},
		{"functions", `uprobe:PATH:alpha,uprobe:PATH:g* { @[func, probe] = count(); }`, "\n\n@[alpha, uprobe:PATH:alpha]: 1\n@[gamma, uprobe:PATH:gamma]: 1\n"},
		{"offset", `uprobe:PATH:alpha+OFF { @[func, probe] = count(); }`, "\n\n@[alpha, uprobe:PATH:alpha+OFF]: 1\n"},
		{"name of C++", `uprobe:PATH:cpp:"ns::foo(int)" { printf("%s %s\n", func, probe); } uprobe:PATH:cpp:"ns::f*" { @[ustack(1)] = count(); }`,
			"ns::foo(int) uprobe:PATH:cpp:_ZN2ns3fooEi\n\n\n@[\n        ns::foo(int)+0\n]: 1\n"},
		{"name of C++ as it is", `config = { cpp_demangle = false } uprobe:PATH:_ZN2ns3fooEi { printf("%s\n%s", func, ustack(1)); }`,
			"_ZN2ns3fooEi\n\n        _ZN2ns3fooEi+0\n\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			offset := "4" // behind push and mov
			fill := strings.NewReplacer("PATH", program, "OFF", offset)
			got := runScriptFor(t, "sonde", "run", "-q", "-e", fill.Replace(c.script), "-c", program)
			if want := fill.Replace(c.want); got.stderr != "" || got.stdout != want {
				t.Errorf("%s\nstatus %d, stderr %q, stdout %q;\nwant %q", c.script, got.status, got.stderr, got.stdout, want)
			}
		})
	}
}

// What uprobes see of known calls, in a program of Go. Its functions that may have to grow the stack, all but the leaf,
// begin anew after that, or after they were asked to let others run.
func TestKernelUprobes(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	calls := callsProgram(t)
	const stack = `        LEAF\+0\n        OUTER\+\d+\n        sonde/internal/cli\.roleCalls\+\d+\n`
	for _, c := range []struct {
		name, script, want string // an expression for all of the output
	}{
		{"registers", `uprobe:PATH:LEAF { printf("%d %d %s %s\n", reg("R0"), reg("R1"), func, usym(reg("ip"))); }`, `0 8 LEAF LEAF\n1 8 LEAF LEAF\n2 8 LEAF LEAF\n\n\n`},
		{"predicate", `uprobe:PATH:LEAF /reg("R0") == 1/ { @ = count(); }`, `\n\n@: 1\n`},
		{"wildcard", `uprobe:PATH:*cli.called* { @[func] = count(); }`, `\n\n(@\[(LEAF|MIDDLE|OUTER)\]: [3-6]\n){3}`},
		{"wildcard and probe", `uprobe:PATH:*cli.called* { @[probe] = count(); }`, `\n\n(@\[uprobe:PATH:(LEAF|MIDDLE|OUTER)\]: [3-6]\n){3}`},
		{"several of one function", `uprobe:PATH:LEAF { printf("a"); } uprobe:PATH:LEAF { printf("b"); }`, `ababab\n\n`},
		{"in declared order", `uprobe:PATH:LEAF { printf("l"); } uprobe:PATH:OUTER { printf("o"); }`, `(o+l){3}\n\n`},
		{"stack as text", `uprobe:PATH:LEAF { printf("%s", ustack(3)); }`, `(\n` + stack + `){3}\n\n`},
		{"stack as key", `uprobe:PATH:LEAF { @[ustack(3)] = count(); }`, `\n\n@\[\n` + stack + `\]: 3\n`},
		{"stack and more as key", `uprobe:PATH:LEAF { @[comm, ustack(1), func, pid == cpid] = count(); }`, `\n\n@\[role-calls, \n        LEAF\+0\n, LEAF, true\]: 3\n`},
		{"stack as value", `uprobe:PATH:LEAF { @ = ustack(3); @t[1] = (1, ustack(1)); @l = len(ustack(2)); }`, `\n\n@: \n` + stack + `\n@l: 2\n@t\[1\]: \(1, \n        LEAF\+0\n\)\n`},
		{"stack of perf", `uprobe:PATH:LEAF { @[ustack(perf, 2)] = count(); }`, `\n\n@\[\n\t[0-9a-f]+ LEAF\+0 \(FILE\)\n\t[0-9a-f]+ OUTER\+\d+ \(FILE\)\n\]: 3\n`},
		{"raw stack", `uprobe:PATH:LEAF { @[ustack(raw, 2)] = count(); }`, `\n\n@\[\n[0-9a-f]+\n[0-9a-f]+\n\]: 3\n`},
		{"stack modes by config", `config = { stack_mode = raw } uprobe:PATH:LEAF { @[ustack(1), ustack(bpftrace, 1)] = count(); }`, `\n\n@\[\n[0-9a-f]+\n, \n        LEAF\+0\n\]: 3\n`},
		{"address of a symbol", `uprobe:PATH:LEAF { @[usym(uaddr("MIDDLE")), func] = count(); @same = uaddr("LEAF") == reg("ip"); }`, `\n\n@\[MIDDLE, LEAF\]: 3\n@same: true\n`},
		{"addresses at several", `uprobe:PATH:LEAF,uprobe:PATH:OUTER { @[usym(uaddr("MIDDLE")), func] = count(); }`, `\n\n(@\[MIDDLE, (LEAF|OUTER)\]: [3-6]\n){2}`},
		{"symbols of others", `uprobe:PATH:LEAF { @[usym(0), usym(1)] = count(); }`, `\n\n@\[0, 0x1\]: 3\n`},
		{"kernel stack", `uprobe:PATH:LEAF { @k = len(kstack) >= 0; print(pid == cpid); }`, `(true\n){3}\n\n@k: true\n`},
	} {
		t.Run(c.name, func(t *testing.T) {
			// 150 ms after the first call it is still there.
			got := runScriptFor(t, "sonde", "run", "-q", "-e", expand(c.script, calls), "-c", calls+" 3 50")
			want := strings.ReplaceAll(expand(c.want, regexp.QuoteMeta(calls)), "FILE", regexp.QuoteMeta(realFile(t, calls)))
			want = strings.ReplaceAll(want, "/cli.called", `/cli\.called`)
			if got.stderr != "" || !regexp.MustCompile(`^(?:`+want+`)$`).MatchString(got.stdout) {
				t.Errorf("%s\nstatus %d, stderr %q, stdout %q;\nwant %q", c.script, got.status, got.stderr, got.stdout, want)
			}
		})
	}
}

func realFile(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A process that has ended within microseconds: of the file that is probed everything is named.
func TestKernelUprobesOfTheDead(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	calls := callsProgram(t)
	for _, script := range []string{
		`uprobe:PATH:LEAF { @[func, ustack(3)] = count(); }`,
		`uprobe:PATH:LEAF,uprobe:PATH:OUTER /func != 1/ { if (reg("R1") == 8) { @[func, ustack(3)] = count(); } }`,
	} {
		if strings.Contains(script, ",uprobe") && !has(t, kernel.AttachCookie) {
			continue
		}
		script = strings.Replace(script, "/func != 1/ ", "", 1)
		got := runScriptFor(t, "sonde", "run", "-q", "-e", expand(script, calls), "-c", calls+" 3 0")
		if !strings.Contains(got.stdout, expand("@[LEAF, \n        LEAF+0\n        OUTER+", calls)) || strings.Contains(got.stdout, "0x") {
			t.Errorf("%s: %q, %s", script, got.stdout, got.stderr)
		}
	}
}

func has(t *testing.T, f kernel.Feature) bool {
	t.Helper()
	return liveKernel().Has(f)
}

// After an exec the same process is another program.
func TestKernelUprobesAcrossExec(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe, kernel.BTF)
	calls := callsProgram(t)
	got := runScriptFor(t, "sonde", "run", "-q", "-e", expand(`uprobe:PATH:LEAF { @[func, ustack(2)] = count(); }`, calls),
		"-c", calls+" 2 20 role-calls 3 20")
	if want := regexp.MustCompile(expand(`^\n\n@\[LEAF, \n        LEAF\+0\n        OUTER\+\d+\n\]: 5\n$`, "")); !want.MatchString(got.stdout) {
		t.Errorf("%q, %s; want %q", got.stdout, got.stderr, want)
	}
}

// -p: the path may be left out, other processes are not seen, and the run ends with the process.
func TestKernelUprobesOfProcess(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	traced := idle(t)
	pid := traced.cmd.Process.Pid
	script := expand(`uprobe:LEAF { printf("other\n"); } uprobe:main.main { } uprobe:PATH:LEAF { @ = count(); } interval:ms:300 { printf("over\n"); exit(); }`, callsProgram(t))
	p := begin(t, scriptCommand(t, "sonde", "run", "-q", "-p", strconv.Itoa(pid), "-e", strings.Replace(script, "uprobe:main.main { }", "", 1)))
	if out := runAll(t, scriptCommand(t, callsProgram(t), "3", "0")); out.status != 0 {
		t.Fatal(out)
	}
	if got := strings.Join(p.rest(t), "|"); got != "over||" {
		t.Errorf("%q; %s", got, p.stderr(t))
	}
}

// A program that is deleted while it runs is named.
func TestKernelUprobesOfDeleted(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	copied := callsProgram(t)
	p := begin(t, scriptCommand(t, "sonde", "run", "-q", "-e", expand(`uprobe:PATH:LEAF { printf("x\n"); @[ustack(2)] = count(); }`, copied), "-c", copied+" 3 100"))
	p.line(t)
	if err := os.Remove(copied); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(p.rest(t), "\n") + "\n"
	if want := regexp.MustCompile(expand(`^x\nx\n\n\n@\[\n        LEAF\+0\n        OUTER\+\d+\n\]: 3\n$`, "")); !want.MatchString(got) {
		t.Errorf("%q; %s", got, p.stderr(t))
	}
}

// Many functions at once: by one link where the kernel has it, else each; the counts are the same.
func TestKernelUprobesMany(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	program := filepath.Join(t.TempDir(), "program")
	var functions []userFunction
	for i := range 2000 {
		functions = append(functions, userFunction{fmt.Sprintf("f%d", i), "", uint16(i + 1)})
	}
	writeProgram(t, program, functions...)
	const script = `config = { max_probes = 3000 } uprobe:PATH:f* { @[func] = count(); @n = count(); @stacks[ustack(1)] = count(); }`
	var first string
	for _, c := range []struct {
		pattern, without string
		want             int
	}{{"f*", "", 2000}, {"f12*", "", 111}, {"f12*", "uprobe_multi", 111}} {
		if c.want == 2000 && !has(t, kernel.UprobeMulti) {
			continue // it takes long to close them
		}
		args := []string{"sonde", "run", "-q", "-e", strings.NewReplacer("PATH", program, "f*", c.pattern).Replace(script), "-c", program}
		if c.without != "" {
			args = append(args, "--no-feature", c.without)
		}
		got := runScriptFor(t, args...)
		if !strings.Contains(got.stdout, fmt.Sprintf("@n: %d\n", c.want)) || strings.Count(got.stdout, "]: 1\n") != 2*c.want || strings.Contains(got.stdout, "0x") {
			t.Errorf("%+v: %q; %s", c, got.stdout, got.stderr)
		}
		if c.want != 111 {
			continue
		}
		if first == "" {
			first = got.stdout
		}
		if got.stdout != first {
			t.Errorf("%+v: %q, want %q", c, got.stdout, first)
		}
	}
}

// What cannot be probed is told.
func TestKernelUprobesMissing(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	calls := callsProgram(t)
	for _, c := range []struct{ script, says string }{
		{`uprobe:/no/such/file:f { }`, "there is no program or library /no/such/file"},
		{`uprobe:nosuchprogram:f { }`, "no such program in $PATH"},
		{`uprobe:PATH:no_such { }`, "has no function no_such"},
		{`uprobe:PATH:no_such* { }`, "has no function no_such*"},
		{`uprobe:PATH:LEAF+100000 { }`, "is behind its end"},
		{`uprobe:PATH:0x1 { }`, "has no code at address 0x1"},
		{`uretprobe:PATH:LEAF+1 { }`, "a uretprobe has no offset"},
		{`uprobe:LEAF { }`, "needs the path"},
		{`uprobe:PATH:LEAF { print(uaddr("no_such")); }`, "has no symbol no_such"},
		{`uprobe:PATH:LEAF { print(reg("nosuch")); }`, "no register nosuch"},
		{`uprobe:PATH:x:LEAF { }`, "only cpp: can stand between"},
	} {
		got := runScriptFor(t, "sonde", "run", "-e", expand(c.script, calls))
		if got.status != 1 || got.stdout != "" || !strings.Contains(got.stderr, c.says) {
			t.Errorf("%s: status %d, %q, want %q", c.script, got.status, got.stderr, c.says)
		}
	}
	got := runScriptFor(t, "sonde", "run", "-q", "-e", expand(`config = { missing_probes = ignore } uprobe:PATH:no_such { @++; } uprobe:PATH:LEAF { @ = count(); }`, calls), "-c", calls+" 2 0")
	if strings.Contains(fmt.Sprint(got), "no_such") {
		t.Errorf("%+v", got)
	}
}
