package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// traceFor starts sonde exec with these flags, one record a line: its arguments. It returns once the probes are on.
func traceFor(t *testing.T, args ...string) *process {
	t.Helper()
	p := begin(t, exec.Command(as(t, "sonde"), append([]string{"exec", "--fields", "args"}, args...)...))
	if head := p.line(t); head != "ARGS" {
		t.Fatalf("the heading is %q", head)
	}
	return p
}

// nest starts generations of processes and returns the first, and the process id of the last, which executes what it is told.
func nest(t *testing.T, generations int) (p *process, last int) {
	t.Helper()
	p = begin(t, exec.Command(as(t, "role-nest"), fmt.Sprint(generations)))
	last, err := strconv.Atoi(strings.TrimPrefix(p.line(t), "ready "))
	if err != nil {
		t.Fatal(err)
	}
	return p, last
}

// spawn has the last of a nest execute true with one argument, and waits for it.
func (p *process) spawn(t *testing.T, word string) {
	t.Helper()
	p.say(t, "spawn "+truePath(t)+" "+word)
	if line := p.line(t); line != "done" {
		t.Fatalf("it says %q", line)
	}
}

func TestKernelFollowTwoAtOnce(t *testing.T) {
	needExec(t)
	sonde, storm := as(t, "sonde"), as(t, "role-storm")
	const n = 60
	var runs []*process
	for range 2 {
		runs = append(runs, begin(t, exec.Command(sonde, "exec", "-f", "json", "--", storm, truePath(t), fmt.Sprint(n))))
	}
	for _, p := range runs {
		records := parseRecords(t, []byte(strings.Join(p.rest(t), "\n")))
		if got := p.wait(t); got != 0 || len(records) != n+2 {
			t.Fatalf("status %d, %d lines, want %d; %s", got, len(records), n+2, p.stderr(t))
		}
		for i, r := range records[1 : n+1] {
			if w := r.argv(); r.PPID != records[0].PID || len(w) != 2 || w[1] != fmt.Sprint(i) {
				t.Fatalf("record %d is none of its own: %v", i, &r)
			}
		}
	}
}

func TestKernelFollowDuration(t *testing.T) {
	needExec(t)
	for _, d := range []string{"0.2", "200ms"} {
		p := traceFor(t, "-d", d, "-p", fmt.Sprint(idle(t).cmd.Process.Pid))
		if got := p.wait(t); got != 0 || accounts(p.stderr(t)) != 1 || !strings.HasPrefix(p.stderr(t), "sonde: 0 events, none lost; ") {
			t.Errorf("-d %s: status %d, stderr %q", d, got, p.stderr(t))
		}
	}
}

func TestKernelFollowCount(t *testing.T) {
	needExec(t)
	for _, n := range []int{1, 3, 41} {
		got := traceJSON(t, "-c", fmt.Sprint(n), "--", as(t, "role-storm"), truePath(t), "40")
		if got.status != 0 || len(got.records) != n || got.summary.Events != uint64(n) {
			t.Errorf("-c %d: status %d, %d records, summary %v", n, got.status, len(got.records), &got.summary)
		}
	}
	// Only what is shown counts.
	got := traceJSON(t, "-c", "2", "-l", ` 3[0-9]$`, "--", as(t, "role-storm"), truePath(t), "40")
	if len(got.records) != 2 || got.records[1].argv()[1] != "31" {
		t.Errorf("-c 2 -l: %s", got.dump())
	}
}

func TestKernelFollowNoWait(t *testing.T) {
	needExec(t)
	out := filepath.Join(t.TempDir(), "records")
	script := `"$0" </dev/null >/dev/null 2>&1 & echo $!; exit 5`
	p := begin(t, exec.Command(as(t, "sonde"), "exec", "--no-wait", "-o", out, "--", "/bin/sh", "-c", script, as(t, "role-sleep")))
	pid, err := strconv.Atoi(p.line(t))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Kill(pid, unix.SIGKILL)
	if got := p.wait(t); got != 5 || accounts(p.stderr(t)) != 1 {
		t.Errorf("status %d, stderr %q", got, p.stderr(t))
	}
	if err := unix.Kill(pid, 0); err != nil {
		t.Errorf("the descendant: %v", err)
	}
}

// Without --no-wait the run goes on until the last descendant has ended, orphan or not.
func TestKernelFollowOrphan(t *testing.T) {
	needExec(t)
	got := traceJSON(t, "--", as(t, "role-orphan"), truePath(t))
	r := got.only(t, "the orphan", func(r *record) bool { return slices.Equal(r.argv(), []string{"true", "orphan"}) })
	if r.PPID == got.records[0].PID || got.status != 0 {
		t.Errorf("status %d; the parent, %d, had not ended", got.status, r.PPID)
	}
}

func TestKernelFollowStatus(t *testing.T) {
	needExec(t)
	for _, c := range []struct {
		script string
		want   int
	}{
		{"exit 0", 0},
		{"exit 1", 1},
		{"exit 255", 255},
		{"kill -KILL $$", 137},
		{"kill -TERM $$", 143},
		{"kill -SEGV $$", 139},
	} {
		if got := traceJSON(t, "--", "/bin/sh", "-c", c.script); got.status != c.want || len(got.records) != 1 {
			t.Errorf("%s: status %d, want %d; %d records; %s", c.script, got.status, c.want, len(got.records), got.stderr)
		}
	}
	// What can only be found out by executing it.
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content string
		want    int
	}{
		"interpreter": {"#!/no/such/interpreter\n", 127},
		"binary":      {"\x7fELF\x00\x00garbage", 126},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.content), 0o755); err != nil {
			t.Fatal(err)
		}
		got := runAll(t, exec.Command(as(t, "sonde"), "exec", "-o", "/dev/null", "--", path))
		got.refusal(t, c.want, "COMMAND "+strconv.Quote(path))
	}
}

// A tree that runs already: its members exec, and so do their children, and the run ends with it.
func TestKernelFollowTree(t *testing.T) {
	needExec(t)
	root, _ := nest(t, 2)
	other, _ := nest(t, 0)
	p := traceFor(t, "--tree", fmt.Sprint(root.cmd.Process.Pid))
	other.spawn(t, "stranger")
	root.spawn(t, "grandchild")
	root.say(t, "exec "+truePath(t)+" became")
	want := []string{truePath(t) + " grandchild", truePath(t) + " became"}
	if diff := cmp.Diff(want, p.rest(t)); diff != "" {
		t.Error("records (-want +got):\n", diff)
	}
	if got := p.wait(t); got != 0 || accounts(p.stderr(t)) != 1 {
		t.Errorf("status %d, stderr %q", got, p.stderr(t))
	}
}

// Two trees, one inside the other, are counted once.
func TestKernelFollowNestedTrees(t *testing.T) {
	needExec(t)
	root, last := nest(t, 1)
	p := traceFor(t, "--tree", fmt.Sprintf("%d,%d", root.cmd.Process.Pid, last))
	root.spawn(t, "x")
	root.stdin.Close()
	if got, lines := p.wait(t), p.rest(t); got != 0 || len(lines) != 1 {
		t.Errorf("status %d, %q, stderr %q", got, lines, p.stderr(t))
	}
}

func TestKernelFollowPID(t *testing.T) {
	needExec(t)
	one, _ := nest(t, 0)
	two, _ := nest(t, 0)
	other, _ := nest(t, 0)
	p := traceFor(t, "-c", "2", "-p", fmt.Sprintf("%d,%d", one.cmd.Process.Pid, two.cmd.Process.Pid))
	one.spawn(t, "child") // not the process itself
	other.say(t, "exec "+truePath(t)+" other")
	other.rest(t)
	one.say(t, "exec "+truePath(t)+" one")
	one.rest(t)
	two.say(t, "exec "+truePath(t)+" two")
	if diff := cmp.Diff([]string{truePath(t) + " one", truePath(t) + " two"}, p.rest(t)); diff != "" {
		t.Error("records (-want +got):\n", diff)
	}
	if got := p.wait(t); got != 0 {
		t.Errorf("status %d, stderr %q", got, p.stderr(t))
	}
}

func TestKernelFollowPPID(t *testing.T) {
	needExec(t)
	one, last := nest(t, 1)
	other, _ := nest(t, 0)
	p := traceFor(t, "-c", "2", "-P", fmt.Sprint(last))
	other.spawn(t, "stranger")
	one.spawn(t, "first")
	one.spawn(t, "second")
	if diff := cmp.Diff([]string{truePath(t) + " first", truePath(t) + " second"}, p.rest(t)); diff != "" {
		t.Error("records (-want +got):\n", diff)
	}
	// The parent's own exec is none of a child.
	p = traceFor(t, "-c", "1", "-P", fmt.Sprint(one.cmd.Process.Pid))
	one.spawn(t, "grandchild")
	one.say(t, "exec "+truePath(t)+" child")
	if diff := cmp.Diff([]string{truePath(t) + " child"}, p.rest(t)); diff != "" {
		t.Error("records (-want +got):\n", diff)
	}
}

func TestKernelFollowUser(t *testing.T) {
	needExec(t)
	for user, want := range map[string][]string{
		"0":      {"", "root"},
		"root":   {"", "root"},
		"65534":  {"other"},
		"nobody": {"other"},
		"1":      nil,
	} {
		got := traceJSON(t, "-u", user, "--", as(t, "role-as"), "65534", truePath(t))
		if got.status != 0 || len(got.records) != len(want) {
			t.Errorf("-u %s: status %d, %d records, want %d\n%s", user, got.status, len(got.records), len(want), got.dump())
			continue
		}
		for i, w := range want {
			uid := 0
			if w == "other" {
				uid = 65534
			}
			if r := got.records[i]; r.UID != uid || w != "" && r.argv()[1] != w {
				t.Errorf("-u %s: record %d: %v", user, i, &r)
			}
		}
	}
}

func TestKernelFollowPatterns(t *testing.T) {
	needExec(t)
	script := `"$0" one; "$0" two words; "$1" 0`
	command := []string{"--", "/bin/sh", "-c", script, truePath(t), as(t, "role-exit")}
	for _, c := range []struct {
		flags []string
		want  []string // the last word of each
	}{
		{[]string{"-n", "^tru"}, []string{"one", "words"}},
		{[]string{"-n", "^(sh|role-exit)$"}, []string{command[len(command)-1], "0"}},
		{[]string{"-n", "^rue"}, nil},
		{[]string{"-l", "two words$"}, []string{"words"}},
		{[]string{"-l", "^" + truePath(t) + " (one|three)$"}, []string{"one"}},
		{[]string{"-n", "true", "-l", "one"}, []string{"one"}},
		{[]string{"-l", "(?i)TWO"}, []string{command[len(command)-1], "words"}[1:]},
	} {
		got := traceJSON(t, append(c.flags, command...)...)
		var last []string
		for _, r := range got.records {
			if w := r.argv(); r.Comm != "sh" || !slices.Contains(c.flags, "-l") {
				last = append(last, w[len(w)-1])
			}
		}
		if diff := cmp.Diff(c.want, last); diff != "" || got.status != 0 {
			t.Errorf("%q: status %d (-want +got):\n%s", c.flags, got.status, diff)
		}
	}
}

// A COMMAND keeps what it was given: its standard input, working directory and environment, and no descriptor of ours.
func TestKernelFollowInheritance(t *testing.T) {
	needExec(t)
	dir := t.TempDir()
	command := []string{"/bin/sh", "-c", `read x; echo "$x $PWD $VAR"; ls /proc/self/fd; grep ^Sig[BIC] /proc/self/status`}
	run := func(argv []string) ran {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = strings.NewReader("input\n")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "VAR=value", "PWD="+dir)
		return runAll(t, cmd)
	}
	direct := run(command)
	got := run(append([]string{as(t, "sonde"), "exec", "-o", "/dev/null", "--"}, command...))
	if !strings.HasPrefix(direct.stdout, "input "+dir+" value\n") || got.stdout != direct.stdout || got.status != direct.status {
		t.Errorf("%+v, without sonde %+v", got, direct)
	}
}
