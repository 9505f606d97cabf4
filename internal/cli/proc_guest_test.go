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

// The whole guest is traced: strangers, other users, the kernel's own helpers, cores.
func TestGuestProcSystemWide(t *testing.T) {
	needExec(t)
	const file = "/proc/sys/kernel/core_pattern"
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("core"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(file, old, 0)
	p := begin(t, exec.Command(as(t, "sonde"), "proc", "--args", "--forks", "--fields", "event,pid,ppid,uid,detail"))
	p.line(t)

	role := as(t, "role-end")
	for _, c := range []struct {
		cmd  *exec.Cmd
		uid  string
		want string
	}{
		{exec.Command(role, "status", "77"), "0", "[77] " + role + " status 77"},
		{exec.Command("su", "-s", "/bin/sh", "nobody", "-c", "exit 78"), "65534", "[78] sh -c exit 78"},
		{exec.Command("/bin/sh", "-c", "ulimit -c unlimited; kill -ABRT $$"), "0", "[SIGABRT, core dumped] /bin/sh -c ulimit -c unlimited; kill -ABRT $$"},
	} {
		c.cmd.Dir = t.TempDir()
		if err := c.cmd.Run(); err == nil {
			t.Fatalf("%q ended well", c.cmd.Args)
		}
		pid := fmt.Sprint(c.cmd.Process.Pid)
		var events []string
		for {
			w := strings.Fields(p.line(t))
			if w[1] != pid {
				continue
			}
			if events = append(events, w[0]); w[0] != "EXIT" {
				continue
			}
			if got := strings.Join(w[4:], " "); w[3] != c.uid || !strings.Contains(got, c.want) && !strings.HasPrefix(got, "[78] ") {
				t.Errorf("%q: want user %s and %q", w, c.uid, c.want)
			}
			break
		}
		if got := strings.Join(events, " "); got != "FORK EXEC EXIT" && got != "FORK EXEC EXEC EXIT" {
			t.Errorf("%q: %s", c.cmd.Args, got)
		}
	}
	p.signal(t, unix.SIGINT)
	if got := p.wait(t); got != 0 || accounts(p.stderr(t)) != 1 || !strings.Contains(p.stderr(t), ", none lost;") {
		t.Errorf("status %d, stderr %q", got, p.stderr(t))
	}
}

// Processes that many make at once, on all CPUs, are all told of, with whatever hooks this kernel is given.
func TestGuestProcStorm(t *testing.T) {
	needExec(t)
	file := filepath.Join(t.TempDir(), "lives")
	p := begin(t, exec.Command(as(t, "sonde"), "proc", "-o", file, "--fields", "event,pid,detail", "--forks"))
	// With -o there is no heading to wait for on standard output: it is in the file.
	waitFor(t, "the heading", func() bool {
		b, err := os.ReadFile(file)
		return err == nil && len(b) > 0
	})
	const shells, each = 4, 100
	var all []*exec.Cmd
	for range shells {
		c := exec.Command("/bin/sh", "-c", fmt.Sprintf("i=0; while [ $i -lt %d ]; do (exit 44); i=$((i+1)); done", each))
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	p.signal(t, unix.SIGINT)
	if got := p.wait(t); got != 0 {
		t.Errorf("status %d, stderr %s", got, p.stderr(t))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ends := 0
	forked := make(map[string]bool)
	missing := 0
	for line := range strings.Lines(string(data)) {
		w := strings.Fields(line)
		switch {
		case w[0] == "FORK":
			forked[w[1]] = true
		case w[0] == "EXIT" && w[len(w)-1] == "[44]":
			ends++
			if !forked[w[1]] {
				missing++
			}
		}
	}
	if ends != shells*each || missing != 0 || !strings.Contains(p.stderr(t), ", none lost;") {
		t.Errorf("%d ends, want %d; %d without their fork; stderr %s", ends, shells*each, missing, p.stderr(t))
	}
}
