package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// cProgram is traced: known calls with known arguments, results and variables.
const cProgram = `
#include <stdlib.h>
#include <unistd.h>
int number = -5; char letter = 'A'; short small = -2; long large = 1L << 40; const char text[] = "some text"; const char *volatile pointer = text;
int counted;
struct point { int x, y; };
__attribute__((noinline)) long leaf(long a, struct point *p) { asm volatile("" ::: "memory"); return a * 10 + p->y; }
__attribute__((noinline)) long middle(long a, struct point *p) { long r = leaf(a, p); asm volatile(""); return r + 1; }
__attribute__((noinline)) long outer(long a) { struct point p = { 7, 8 }; asm volatile("" :: "r"(&p) : "memory"); long r = middle(a, &p); asm volatile(""); counted++; return r + 1; }
int main(int argc, char **argv) {
	long t = *pointer; // what was never touched is not in memory, and cannot be read
	for (int i = 0; i < atoi(argv[1]); i++) { t += outer(i); usleep(atoi(argv[2])); }
	return t == -1;
}
`

// compileC compiles a program with frame pointers.
func compileC(t *testing.T, compiler, source, name string, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	file, out := filepath.Join(dir, "source."+map[string]string{"cc": "c", "c++": "cc"}[compiler]), filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-o", out, file}, flags...)
	if text, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, text)
	}
	return out
}

// Programs of C: where their code is fixed and where it is not, with names and without.
func TestUserPrograms(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	for _, kind := range []string{"-pie", "-no-pie"} {
		path := compileC(t, "cc", cProgram, "program", kind, map[string]string{"-pie": "-fPIE", "-no-pie": "-fno-pie"}[kind])
		for _, c := range []struct{ script, want string }{
			{`uprobe:PATH:leaf { printf("%d %d %d %s\n", arg0, *(int32 *)arg1, *(int32 *)(arg1 + 4), func); }`, `0 7 8 leaf\n1 7 8 leaf\n\n\n`},
			{`struct point { int x; int y; } uprobe:PATH:leaf { $p = (struct point *)arg1; printf("%d %d\n", $p.x, $p->y); @ = *$p; }`, `7 8\n7 8\n\n\n@: \{ \.x = 7, \.y = 8 \}\n`},
			{`uretprobe:PATH:leaf { printf("%d %s %s\n", retval, func, usym(reg("ip"))); }`, `8 leaf middle\n18 leaf middle\n\n\n`},
			{`uretprobe:PATH:leaf,uretprobe:PATH:outer { @[func] = sum(retval); }`, `\n\n@\[leaf\]: 26\n@\[outer\]: 30\n`},
			{`uprobe:PATH:leaf { @[ustack(4)] = count(); }`, `\n\n@\[\n        leaf\+0\n        outer\+\d+\n        main\+\d+\n        __libc_\S+\+\d+\n\]: 2\n`},
			{`uretprobe:PATH:leaf { @[ustack(perf, 3)] = count(); }`,
				`\n\n@\[\n\t[0-9a-f]+ middle\+\d+ \(PATH\)\n\t[0-9a-f]+ outer\+\d+ \(PATH\)\n\t[0-9a-f]+ main\+\d+ \(PATH\)\n\]: 2\n`},
			{`uprobe:PATH:leaf { @[ustack(build_id, 2)] = count(); }`, `\n\n@\[\n[0-9a-f]{40} 0x[0-9a-f]+\n[0-9a-f]{40} 0x[0-9a-f]+\n\]: 2\n`},
			{`uprobe:PATH:outer { printf("%d %d %d %ld %s %s %d\n", *uaddr("number"), *uaddr("letter"), *uaddr("small"), *uaddr("large"), str(uaddr("text")), str(*uaddr("pointer")), *uaddr("counted")); }`,
				`-5 65 -2 1099511627776 some text some text 0\n-5 65 -2 1099511627776 some text some text 1\n\n\n`},
			{`uretprobe:PATH:outer { @[*uaddr("counted"), usym(uaddr("leaf"))] = 1; }`, `\n\n@\[1, leaf\]: 1\n@\[2, leaf\]: 1\n`},
			{`uprobe:PATH:outer+1 { @[probe, func] = count(); }`, `\n\n@\[uprobe:PATH:outer\+1, outer\]: 2\n`},
			{`uprobe:PATH:leaf,uprobe:PATH:nosuch* { @[func] = count(); }`, `\n\n@\[leaf\]: 2\n`},
			{`uprobe:libc:usleep /pid == cpid/ { @[func, ustack(1)] = count(); }`, `\n\n@\[usleep, \n        usleep\+0\n\]: 2\n`},
			{`uprobe:leaf { @ = count(); }`, `\n\n@: 2\n`},
			{`macro two(@m, key) { @m[key] = count(); ustack(1) } uprobe:PATH:leaf { @s[two(@c, arg0)] = count(); }`, `\n\n@c\[0\]: 1\n@c\[1\]: 1\n@s\[\n        leaf\+0\n\]: 2\n`},
		} {
			// Once with time to look at the process, once without.
			for _, pause := range []string{"30000", "0"} {
				got := runScriptFor(t, "sonde", "run", "-q", "-e", strings.ReplaceAll(c.script, "PATH", path), "-c", path+" 2 "+pause)
				want := strings.ReplaceAll(c.want, "PATH", regexp.QuoteMeta(path))
				if got.stderr != "" || !regexp.MustCompile(`^(?:`+want+`)$`).MatchString(got.stdout) {
					t.Errorf("%s, pause %s: %s\nstatus %d, stderr %q, stdout %q;\nwant %q", kind, pause, c.script, got.status, got.stderr, got.stdout, want)
				}
			}
		}
		for _, c := range []struct{ point, says string }{
			{"leaf+200", "is behind its end"}, {"outer+2", "no instruction begins at outer+2"}, {"0x1", "has no code"}, {"lead", "did you mean leaf?"},
		} {
			got := runScriptFor(t, "sonde", "run", "-e", "uprobe:"+path+":"+c.point+" { }")
			if got.status != 1 || !strings.Contains(got.stderr, c.says) {
				t.Errorf("%s: %+v", c.point, got)
			}
		}
	}
}

// Without names there are addresses; probes on them need the user's word.
func TestUserProgramStripped(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	path := compileC(t, "cc", cProgram, "program")
	text, err := exec.Command("nm", path).Output()
	if err != nil {
		t.Skip(err)
	}
	addr := regexp.MustCompile(`(?m)^0*([0-9a-f]+) T leaf$`).FindSubmatch(text)
	if out, err := exec.Command("strip", path).CombinedOutput(); err != nil || addr == nil {
		t.Skip(err, string(out))
	}
	script := fmt.Sprintf(`uprobe:%s:0x%s { printf("%%d\n", arg0); @[ustack(2)] = count(); }`, path, addr[1])
	got := runScriptFor(t, "sonde", "run", "-q", "-e", script, "-c", path+" 2 1000")
	if got.status != 1 || !strings.Contains(got.stderr, "is in no function of") {
		t.Errorf("%+v", got)
	}
	got = runScriptFor(t, "sonde", "run", "-q", "--unsafe", "-e", script, "-c", path+" 2 1000")
	if !regexp.MustCompile(`^0\n1\n\n\n@\[\n        0x[0-9a-f]+\n        0x[0-9a-f]+\n\]: 2\n$`).MatchString(got.stdout) {
		t.Errorf("%+v", got)
	}
	got = runScriptFor(t, "sonde", "run", "-e", "uprobe:"+path+":leaf { }")
	if got.status != 1 || !strings.Contains(got.stderr, "it may be stripped") {
		t.Errorf("%+v", got)
	}
}

const cxxProgram = `
#include <unistd.h>
namespace ns { struct Foo { int v; __attribute__((noinline)) int bar(int x); __attribute__((noinline)) int bar(const char *s); }; }
int ns::Foo::bar(int x) { asm volatile(""); return v + x; }
int ns::Foo::bar(const char *s) { asm volatile(""); return s[0]; }
int main() { ns::Foo f{3}; int t = 0; for (int i = 0; i < 2; i++) { t += f.bar(i) + f.bar("x"); usleep(20000); } return t == 0; }
`

// Names of C++, with their parameters and without.
func TestUserProgramNames(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	path := compileC(t, "c++", cxxProgram, "program")
	const number, text = "_ZN2ns3Foo3barEi", "_ZN2ns3Foo3barEPKc"
	for _, c := range []struct{ script, want string }{
		{`uprobe:PATH:cpp:"ns::Foo::bar(int)" { @[func, probe, ustack(1)] = count(); }`, "\n\n@[ns::Foo::bar(int), uprobe:PATH:cpp:" + number + ", \n        ns::Foo::bar(int)+0\n]: 2\n"},
		{`uprobe:PATH:cpp:"ns::Foo::bar" { @[func] = count(); }`, "\n\n@[ns::Foo::bar(char const*)]: 2\n@[ns::Foo::bar(int)]: 2\n"},
		{`uprobe:PATH:cpp:"*bar(char*" { @[probe] = count(); }`, "\n\n@[uprobe:PATH:cpp:" + text + "]: 2\n"},
		{`uprobe:PATH:` + number + ` { @[func] = count(); }`, "\n\n@[ns::Foo::bar(int)]: 2\n"},
		{`config = { cpp_demangle = false } uprobe:PATH:cpp:"ns::Foo::bar(int)" { @[func, ustack(1)] = count(); }`, "\n\n@[" + number + ", \n        " + number + "+0\n]: 2\n"},
	} {
		got := runScriptFor(t, "sonde", "run", "-q", "-e", strings.ReplaceAll(c.script, "PATH", path), "-c", path)
		want := strings.ReplaceAll(c.want, "PATH", path)
		sorted := func(s string) string { return s }
		if strings.Count(want, "@[") == 2 { // whose addresses are in which order is for the compiler
			sorted = func(s string) string {
				lines := strings.Split(s, "\n")
				if len(lines) > 3 && lines[2] > lines[3] {
					lines[2], lines[3] = lines[3], lines[2]
				}
				return strings.Join(lines, "\n")
			}
		}
		if got.stderr != "" || sorted(got.stdout) != sorted(want) {
			t.Errorf("%s\nstatus %d, stderr %q, stdout %q;\nwant %q", c.script, got.status, got.stderr, got.stdout, want)
		}
	}
}

// Code that a program makes while it runs is named by what it writes to /tmp/perf-PID.map.
func TestUserProgramMakesCode(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	path := compileC(t, "cc", `
#define _GNU_SOURCE
#include <sys/mman.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
__attribute__((noinline)) int inner(int a) { asm volatile(""); return a + 1; }
__attribute__((noinline)) int called(int a) { int r = inner(a); asm volatile(""); return r + 1; }
int main(void) {
#ifdef __x86_64__
	unsigned char *p = mmap(0, 4096, PROT_READ|PROT_WRITE|PROT_EXEC, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);
	unsigned char code[] = {0x55,0x48,0x89,0xe5,0x48,0xb8,0,0,0,0,0,0,0,0,0xff,0xd0,0x5d,0xc3};
	uint64_t t = (uint64_t)called; memcpy(code + 6, &t, 8); memcpy(p + 64, code, sizeof code);
	char path[64]; snprintf(path, 64, "/tmp/perf-%d.map", getpid());
	FILE *f = fopen(path, "w"); fprintf(f, "%lx %x made_function\n", (unsigned long)p + 64, (int)sizeof code); fclose(f);
	for (int i = 0; i < 3; i++) { ((int(*)(int))(p + 64))(i); usleep(30000); }
	unlink(path);
	return 0;
#else
	return 77;
#endif
}`, "program")
	got := runScriptFor(t, "sonde", "run", "-e", "uprobe:"+path+":inner { @[ustack(3)] = count(); }", "-c", path)
	if got.status == 77 {
		t.Skip("for amd64 only")
	}
	if !regexp.MustCompile(`^\n\n@\[\n        inner\+0\n        made_function\+16\n        main\+\d+\n\]: 3\n$`).MatchString(got.stdout) {
		t.Errorf("%+v", got)
	}
}

// Names of others' programs: in another root, as a process in it sees it.
func TestUserProgramInAnotherRoot(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Uprobe)
	path := compileC(t, "cc", cProgram, "program", "-static")
	root := filepath.Dir(path)
	script := []string{"-e", `uprobe:/program:leaf { @[func, ustack(3)] = count(); } uprobe:outer { @o = count(); } interval:ms:400 { exit(); }`}
	traced := exec.Command("chroot", root, "/program", "200", "20000")
	if err := traced.Start(); err != nil {
		t.Skip(err)
	}
	defer traced.Wait()
	defer traced.Process.Kill()
	got := runScriptFor(t, append([]string{"sonde", "run", "-q", "-p", fmt.Sprint(traced.Process.Pid)}, script...)...)
	if !regexp.MustCompile(`^\n\n@\[leaf, \n        leaf\+0\n        outer\+\d+\n        main\+\d+\n\]: \d+\n@o: \d+\n$`).MatchString(got.stdout) {
		t.Errorf("%+v", got)
	}
}
