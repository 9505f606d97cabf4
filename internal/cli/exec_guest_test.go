//go:build guest

package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// traceAll starts sonde exec on the whole guest and returns once the probes are on.
func traceAll(t *testing.T, args ...string) *process {
	t.Helper()
	p := begin(t, exec.Command(as(t, "sonde"), append([]string{"exec", "--fields", "pid,uid,exectime_ns,flags,args"}, args...)...))
	p.line(t)
	return p
}

// until reads lines until one ends so, and returns its words.
func (p *process) until(t *testing.T, end string) []string {
	t.Helper()
	for {
		if line := p.line(t); strings.HasSuffix(line, end) {
			return strings.Fields(line)
		}
	}
}

func TestGuestSystemWide(t *testing.T) {
	needExec(t)
	p := traceAll(t)
	for _, cmd := range []*exec.Cmd{
		exec.Command(truePath(t), "stranger 0"),
		exec.Command("/bin/sh", "-c", truePath(t)+` "stranger 1" & wait`),
		exec.Command("su", "-s", "/bin/sh", "nobody", "-c", truePath(t)+` "stranger 65534"`),
	} {
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	}
	for i, uid := range []string{"0", "0", "65534"} {
		w := p.until(t, fmt.Sprint(truePath(t), " stranger ", []string{"0", "1", "65534"}[i]))
		if w[1] != uid || w[2] == "-" {
			t.Errorf("%q: want user %s, with its time", w, uid)
		}
	}
	p.signal(t, unix.SIGINT)
	if got := p.wait(t); got != 0 || accounts(p.stderr(t)) != 1 || !strings.Contains(p.stderr(t), ", none lost;") {
		t.Errorf("status %d, stderr %q", got, p.stderr(t))
	}
}

// What the kernel itself executes does not enter by a system call: it is shown, without a time.
func TestGuestKernelHelper(t *testing.T) {
	needExec(t)
	const file = "/proc/sys/kernel/core_pattern"
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("|/bin/true helper of %p"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(file, old, 0)
	p := traceAll(t)
	crash := exec.Command("/bin/sh", "-c", "kill -SEGV $$")
	if err := crash.Run(); err == nil {
		t.Fatal("it did not crash")
	}
	w := p.until(t, fmt.Sprint("/bin/true helper of ", crash.Process.Pid))
	if w[1] != "0" || w[2] != "-" || w[3] != "untimed" {
		t.Errorf("%q: want no time, and the flag untimed", w)
	}
}

func TestGuestCgroup(t *testing.T) {
	needExec(t)
	group := filepath.Join("/sys/fs/cgroup", "sonde-test")
	below := filepath.Join(group, "below")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, dir := range []string{below, group} {
			waitFor(t, "the group to be empty", func() bool { return os.Remove(dir) == nil })
		}
	}()
	member, _ := nest(t, 0)
	outside, _ := nest(t, 0)
	defer member.stdin.Close()
	if err := os.WriteFile(filepath.Join(below, "cgroup.procs"), fmt.Append(nil, member.cmd.Process.Pid), 0); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/sonde-test", "/sonde-test/below", below} {
		p := traceFor(t, "-c", "1", "--cgroup", path)
		outside.spawn(t, "outside")
		member.spawn(t, "inside")
		if lines := p.rest(t); len(lines) != 1 || lines[0] != truePath(t)+" inside" {
			t.Errorf("--cgroup %s: %q", path, lines)
		}
	}
}
