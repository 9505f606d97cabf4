package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// needScripts skips where scripts cannot run at all.
func needScripts(t *testing.T) {
	t.Helper()
	needRoot(t)
	vmtest.Need(t, kernel.RingBuffer, kernel.RawTracepoint)
}

// runScriptFor runs a program to its end, with sonde, bpftrace and the roles in PATH.
func runScriptFor(t *testing.T, argv ...string) ran {
	t.Helper()
	return runAll(t, scriptCommand(t, argv...))
}

func scriptCommand(t *testing.T, argv ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sonde", classicName, "role-exit", "role-sleep"} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	path := argv[0]
	if !strings.Contains(path, "/") {
		path = filepath.Join(dir, path)
	}
	cmd := exec.Command(path, argv[1:]...)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	return cmd
}

// How a run ends: what it shows, what it says, its status, under both names.
func TestKernelScriptEnds(t *testing.T) {
	needScripts(t)
	const both = ""
	for _, c := range []struct {
		name, as, want, says string
		args                 []string
		status               int
	}{
		{name: "begin only", want: "a\n\n\n@x: 1\n", says: "Attached 1 probe\n",
			args: []string{"-e", `begin { printf("a\n"); @x = 1; }`}},
		{name: "exit in begin", want: "\n\n", says: "Attached 1 probe\n", status: 7,
			args: []string{"-e", `begin { exit(7); } software:cpu-clock:100000000 { printf("no\n"); }`}},
		{name: "end runs after exit", want: "end\n\n\n", says: "Attached 2 probes\n", status: 3,
			args: []string{"-e", `interval:ms:20 { exit(3); printf("no\n"); } end { printf("end\n"); }`}},
		{name: "quiet", want: "a\n\n\n", args: []string{"-q", "-e", `begin { printf("a\n"); }`}},
		{name: "the order of JSON", status: 2,
			want: `{"type": "attached_probes", "count": 2, "data": {"probes": 2}}` + "\n" + `{"type": "printf", "data": "a\n"}` + "\n" +
				`{"type": "map", "data": {"@x": 1}}` + "\n",
			args: []string{"-f", "json", "-e", `begin { printf("a\n"); @x = 1; } interval:ms:20 { exit(2); }`}},
		{name: "dry run", as: "sonde", says: "sonde: 3 probes can be attached\n",
			args: []string{"--dry-run", "-e", `begin { printf("a\n"); system("touch /no/such"); } interval:ms:1 { } end { }`, "--unsafe"}},
		{name: "dry run", as: classicName, args: []string{"--dry-run", "-e", `begin { printf("a\n"); } interval:ms:1 { }`}},
		{name: "status of the command", as: "sonde", want: "\n\n", says: "Attached 1 probe\n", status: 5,
			args: []string{"-c", "role-exit 5", "-e", `interval:s:9 { }`}},
		{name: "status of the command", as: classicName, want: "\n\n", says: "Attached 1 probe\n",
			args: []string{"-c", "role-exit 5", "-e", `interval:s:9 { }`}},
		{name: "exit ends the command", want: "\n\n", says: "Attached 1 probe\n",
			args: []string{"-c", "role-sleep", "-e", `interval:ms:20 { exit(); }`}},
		{name: "exit's code comes first", want: "\n\n", says: "Attached 1 probe\n", status: 9,
			args: []string{"-c", "role-sleep", "-e", `interval:ms:20 { exit(9); }`}},
		{name: "cpid", want: "1\n\n\n", says: "Attached 1 probe\n",
			args: []string{"-c", "role-exit 0", "-e", `begin { printf("%d\n", cpid > 1); }`}},
		{name: "parameters", want: "2 -5 x y\n\n\n", says: "Attached 1 probe\n",
			args: []string{"-e", `begin { printf("%d %d %s\n", $#, $1, str($2)); }`, "--", "-5", "x y"}},
		{name: "options", want: "7 ab\n\n\n", says: "Attached 1 probe\n",
			args: []string{"-e", `begin { printf("%d %s\n", getopt("n", 5), getopt("s", "x")); }`, "--", "--n=7", "--s=ab"}},
		{name: "help of options", want: "Options of stdin, to be given behind --:\n  --n=5                    how many\n",
			args: []string{"-e", `begin { print(getopt("n", 5, "how many")); }`, "--", "--help"}},
		{name: "a key that is not there", want: "0\n\n\n",
			says: "Attached 1 probe\nstdin:1:15-20: WARNING: the map has no such key; its value reads as 0 (map_lookup_elem returned 0)\n" +
				"begin { print(@x[1]); }\n              ~~~~~\n",
			args: []string{"-k", "-e", `begin { print(@x[1]); }`}},
		{name: "two -k as one", want: "a\n\n\n", says: "Attached 1 probe\n", args: []string{"-kk", "-e", `begin { printf("a\n"); }`}},
		{name: "no filtered probe", want: "a\n\n\n", says: "Attached 1 probe\n",
			args: []string{"--probe-filter", "nothing", "-e", `begin { printf("a\n"); } interval:ms:1 { printf("b\n"); }`}},
	} {
		for _, as := range []string{"sonde", classicName} {
			if c.as != both && c.as != as {
				continue
			}
			t.Run(as+"/"+c.name, func(t *testing.T) {
				argv := append([]string{as}, c.args...)
				if as == "sonde" {
					argv = append([]string{as, "run"}, c.args...)
				}
				got := runScriptFor(t, argv...)
				if got.status != c.status || got.stdout != c.want || got.stderr != c.says {
					t.Errorf("status %d, stdout %q, stderr %q;\nwant %d, %q, %q", got.status, got.stdout, got.stderr, c.status, c.want, c.says)
				}
			})
		}
	}
}

// A signal ends a run in order: the end probes run, the maps are shown, the status is 0.
func TestKernelScriptSignals(t *testing.T) {
	needScripts(t)
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		p := begin(t, scriptCommand(t, "sonde", "run", "-e",
			`begin { printf("ready\n"); @x = 1; } interval:s:9 { } end { printf("end\n"); }`))
		if got := p.line(t); got != "ready" {
			t.Fatalf("%v: %q", sig, got)
		}
		p.signal(t, sig)
		if got := p.wait(t); got != 0 {
			t.Errorf("%v: status %d", sig, got)
		}
		if got := strings.Join(p.rest(t), "|"); got != "end||||@x: 1" && got != "end|||@x: 1" {
			t.Errorf("%v: %q", sig, got)
		}
	}
}

// A hangup that the caller ignores stays ignored.
func TestKernelScriptIgnoredHangup(t *testing.T) {
	needScripts(t)
	cmd := scriptCommand(t, "sonde", "run", "-q", "-e", `begin { printf("ready\n"); } interval:ms:300 { printf("on\n"); exit(); }`)
	cmd = exec.Command("/bin/sh", append([]string{"-c", `trap "" HUP; exec "$@"`, "sh"}, cmd.Args...)...)
	cmd.Args[3] = as(t, "sonde")
	p := begin(t, cmd)
	p.line(t)
	p.signal(t, unix.SIGHUP)
	if got := p.line(t); got != "on" {
		t.Errorf("%q", got)
	}
	if got := p.wait(t); got != 0 {
		t.Errorf("status %d", got)
	}
}

// -p ends with its process.
func TestKernelScriptEndsWithProcess(t *testing.T) {
	needScripts(t)
	traced := idle(t)
	p := begin(t, scriptCommand(t, "sonde", "run", "-p", fmt.Sprint(traced.cmd.Process.Pid), "-e", `begin { printf("ready\n"); } interval:s:9 { }`))
	p.line(t)
	traced.signal(t, unix.SIGKILL)
	if got := p.wait(t); got != 0 {
		t.Errorf("status %d; %s", got, p.stderr(t))
	}
}

// --tree is about a command and what it starts, and nothing else; with -p also about what the process had started before.
func TestKernelScriptTree(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Tracepoint)
	const script = `tracepoint:sched:sched_process_exec { printf("%s\n", str(args.filename)); } begin { printf("ready\n"); }`
	truth := truePath(t)
	got := runScriptFor(t, "sonde", "run", "--tree", "-c", fmt.Sprintf("/bin/sh -c '%s; %s x; exit 4'", truth, truth), "-e", script)
	if want := "ready\n/bin/sh\n" + truth + "\n" + truth + "\n\n\n"; got.stdout != want && got.stdout != strings.Replace(want, "/bin/sh", shellPath(t), 1) || got.status != 4 {
		t.Errorf("status %d, %q, %s; want %q", got.status, got.stdout, got.stderr, want)
	}

	// role-nest 1 has a child that executes what it is told to.
	nest := begin(t, exec.Command(as(t, "role-nest"), "1"))
	nest.line(t)
	p := begin(t, scriptCommand(t, "sonde", "run", "--tree", "-p", fmt.Sprint(nest.cmd.Process.Pid), "-e", script))
	p.line(t)
	if out, err := exec.Command(truth).CombinedOutput(); err != nil { // it is not of the tree
		t.Fatal(err, string(out))
	}
	nest.say(t, "spawn "+truth)
	if got := p.line(t); got != truth {
		t.Errorf("%q", got)
	}
	nest.signal(t, unix.SIGKILL)
	p.signal(t, unix.SIGINT)
	p.wait(t)
	if got := strings.Join(p.rest(t), "|"); got != "|" {
		t.Errorf("%q", got)
	}
}

func shellPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A signal to sonde itself is a probe.
func TestKernelScriptSelf(t *testing.T) {
	needScripts(t)
	p := begin(t, scriptCommand(t, "sonde", "run", "-e", `begin { printf("ready\n"); } self:signal:SIGUSR1 { printf("usr1\n"); @++; }`))
	p.line(t)
	for range 2 {
		p.signal(t, unix.SIGUSR1)
		if got := p.line(t); got != "usr1" {
			t.Errorf("%q", got)
		}
	}
	p.signal(t, unix.SIGINT)
	if got := strings.Join(p.rest(t), "|"); got != "||@: 2" {
		t.Errorf("%q", got)
	}
}

// An iterator's script ends by itself.
func TestKernelScriptIter(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.BTF)
	traced := idle(t)
	got := runScriptFor(t, "sonde", "run", "-q", "-e", fmt.Sprintf(`iter:task /ctx.task.pid == %d/ { printf("%%s\n", ctx.task.comm); }`, traced.cmd.Process.Pid))
	if got.status != 0 || got.stdout != "role-nest\n\n\n" {
		t.Errorf("%+v", got)
	}
}

// What does not get through the ring is told of.
func TestKernelScriptLost(t *testing.T) {
	needScripts(t)
	// Two hundred records of some 800 bytes; the least ring has 128 KiB.
	const body = `unroll(100) { printf("%s\n"%s); @n++; }`
	one := fmt.Sprintf(body, strings.Repeat("%lx", 100), strings.Repeat(", nsecs", 100))
	got := runScriptFor(t, "sonde", "run", "--buffer", "64K", "-e", "begin { "+one+one+" }")
	lost, sent := 0, 0
	if _, err := fmt.Sscanf(got.stderr, "Attached 1 probe\nLost %d events\n", &lost); err != nil {
		t.Fatalf("%v in %q", err, got.stderr)
	}
	if _, err := fmt.Sscanf(got.stdout[max(0, strings.LastIndex(got.stdout, "@n")):], "@n: %d", &sent); err != nil {
		t.Fatalf("%v in %q", err, got.stdout[max(0, len(got.stdout)-100):])
	}
	if printed := strings.Count(got.stdout, "\n") - 3; lost == 0 || printed+lost != sent || sent != 200 {
		t.Errorf("%d printed and %d lost of %d", printed, lost, sent)
	}
}

// A reader that goes ends the run without a word; a full disk is told.
func TestKernelScriptUnread(t *testing.T) {
	needScripts(t)
	sonde := as(t, "sonde")
	got := runAll(t, exec.Command("/bin/sh", "-c", `{ "$0" run -q -e 'interval:ms:5 { printf("a\n"); }'; echo "status $?" >&2; } | head -n 1`, sonde))
	if got.stdout != "a\n" || got.stderr != "status 0\n" {
		t.Errorf("%+v", got)
	}
	got = runAll(t, exec.Command("/bin/sh", "-c", `"$0" run -q -e 'begin { printf("a\n"); }' >/dev/full`, sonde))
	if got.status != 1 || got.stderr != "sonde: writing the output: no space left on device (2 records were not written)\n" {
		t.Errorf("%+v", got)
	}
	// The command goes on and its status is passed on.
	got = runAll(t, exec.Command("/bin/sh", "-c", `{ "$0" run -q -c 'sh -c "sleep 0.3; echo done >&2; exit 3"' -e 'interval:ms:5 { printf("a\n"); }'; echo "status $?" >&2; } | head -n 1`, sonde))
	if got.stderr != "done\nstatus 3\n" {
		t.Errorf("%+v", got)
	}
}

// -o writes to a file that is there, not through links of others; what is said stays on standard error.
func TestKernelScriptOutputFile(t *testing.T) {
	needScripts(t)
	file := filepath.Join(t.TempDir(), "out")
	got := runScriptFor(t, "sonde", "run", "-o", file, "-B", "full", "-e", `begin { printf("a\n"); @ = 1; }`)
	text, err := os.ReadFile(file)
	if err != nil || string(text) != "a\n\n\n@: 1\n" || got.stdout != "" || got.stderr != "Attached 1 probe\n" {
		t.Errorf("%v, %q, %+v", err, text, got)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(link, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	got = runScriptFor(t, "sonde", "run", "-o", link, "-e", `begin { printf("b\n"); }`)
	if got.status != 1 || !strings.Contains(got.stderr, "symbolic link that belongs to user 65534") {
		t.Errorf("%+v", got)
	}
}

// Scripts with a first line of their own are programs.
func TestKernelScriptShebang(t *testing.T) {
	needScripts(t)
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sonde", classicName} {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, first := range map[string]string{
		"drop-in": "#!" + filepath.Join(bin, classicName),
		"env":     "#!/usr/bin/env -S sonde run",
	} {
		t.Run(name, func(t *testing.T) {
			if name == "env" && exec.Command("env", "-S", "true").Run() != nil {
				t.Skip("env has no -S")
			}
			file := filepath.Join(t.TempDir(), "script.bt")
			text := first + "\nbegin { printf(\"%d %s %d\\n\", $1, str($2), getopt(\"n\", 1)); }\n"
			if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(file, "-q", "3", "x", "--", "--n=8")
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
			if got := runAll(t, cmd); got.status != 0 || got.stdout != "3 x 8\n\n\n" || got.stderr != "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// On a terminal nothing of what is traced commands it, and messages have colour; elsewhere all bytes are as they are.
func TestKernelScriptTerminal(t *testing.T) {
	needScripts(t)
	const script = `begin { @["\033[2J"] = 1; print(("\033[2J", 1)); }`
	sonde := as(t, "sonde")
	if got := strings.Join(onTerminal(t, 80, "A=", sonde, "run", "-q", "-e", script), "|"); got != `(\x1b[2J, 1)|||@[\x1b[2J]: 1` {
		t.Errorf("%q", got)
	}
	if got := runAll(t, exec.Command(sonde, "run", "-q", "-e", script)); got.stdout != "(\x1b[2J, 1)\n\n\n@[\x1b[2J]: 1\n" {
		t.Errorf("%q", got.stdout)
	}
}

// -v says how probes are attached and what the run has cost.
func TestKernelScriptVerbose(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Tracepoint)
	cmd := scriptCommand(t, "sonde", "run", "-v", "-p", fmt.Sprint(os.Getpid()), "-e",
		`tracepoint:syscalls:sys_enter_getppid { printf("a\n"); exit(); } interval:ms:1 { }`)
	p := begin(t, cmd)
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		unix.Getppid()
		select {
		case <-p.done:
			deadline = time.Now()
		case <-time.After(10 * time.Millisecond):
		}
	}
	p.wait(t)
	text := p.stderr(t)
	wants := []string{"Attached 2 probes\n", " events, none lost; ", " here\n"}
	if !attach.PreemptsRawTracepoints() { // there it stays a tracepoint
		wants = append(wants, "sonde: tracepoint:syscalls:sys_enter_getppid: ")
	}
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
}

// Lists as the kernel has them.
func TestKernelScriptList(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Tracepoint, kernel.BTF)
	for _, c := range []struct {
		args  []string
		wants []string
	}{
		{[]string{"sonde", "list", "-v", "tracepoint:sched:sched_switch"}, []string{"tracepoint:sched:sched_switch\n    char prev_comm[16]\n    pid_t prev_pid\n"}},
		{[]string{"sonde", "list", "-v", "rawtracepoint:sched_switch"}, []string{"rawtracepoint:vmlinux:sched_switch\n    bool preempt\n    struct task_struct * prev\n"}},
		{[]string{"sonde", "list", "-v", "fentry:vmlinux:vfs_read"}, []string{"fentry:vmlinux:vfs_read\n    struct file * file\n", "    ssize_t retval\n"}},
		{[]string{"sonde", "list", "vfs_read"}, []string{"fentry:vmlinux:vfs_read\n"}},
		{[]string{"sonde", "list", "-v", "struct list_head"}, []string{"struct list_head {\n\tstruct list_head *next;\n\tstruct list_head *prev;\n};\n"}},
		{[]string{classicName, "-lv", "-e", "tracepoint:sched:sched_switch { } interval:s:1 { }"}, []string{"tracepoint:sched:sched_switch\n    char prev_comm[16]\n", "\ninterval:s:1\n"}},
	} {
		got := runScriptFor(t, c.args...)
		for _, w := range c.wants {
			if got.status != 0 || !strings.Contains(got.stdout, w) {
				t.Errorf("%q: status %d, no %q in %q; %s", c.args, got.status, w, got.stdout, got.stderr)
			}
		}
	}
	got := runScriptFor(t, "sonde", "list", "tracepoint:sched:sched_swich")
	got.refusal(t, 1, "did you mean tracepoint:sched:sched_switch?")
}
