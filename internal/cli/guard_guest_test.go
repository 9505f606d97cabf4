//go:build guest

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// Statuses of role-do besides 0.
const (
	eperm      = int(unix.EPERM)
	enoent     = int(unix.ENOENT)
	eacces     = int(unix.EACCES)
	wasKilled  = 128 + int(unix.SIGKILL)
	guardShown = "rule,action,access,mechanism,outcome,file"
)

// guardStart is how long a guard may take until it is in force: in emulated machines verifying its programs takes its time.
const guardStart = 4 * time.Minute

// guardToEnd runs sonde guard to its end.
func guardToEnd(t *testing.T, args ...string) ran {
	t.Helper()
	cmd := exec.Command(as(t, "sonde"), append([]string{"guard"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(guardStart, func() { cmd.Process.Signal(unix.SIGQUIT) })
	_ = cmd.Wait() // ProcessState tells
	if !timer.Stop() {
		t.Errorf("%q had to be ended", cmd.Args)
	}
	return ran{status(cmd.ProcessState), stdout.String(), stderr.String()}
}

// needGuard skips where nothing can deny.
func needGuard(t *testing.T) {
	t.Helper()
	needRoot(t)
	vmtest.Need(t, kernel.BTF, kernel.RingBuffer, kernel.FmodRet)
}

// guarding starts sonde guard and returns when it is in force.
func guarding(t *testing.T, args ...string) *process {
	t.Helper()
	needGuard(t)
	p := begin(t, exec.Command(as(t, "sonde"), append([]string{"guard", "--fields", guardShown}, args...)...))
	select {
	case head := <-p.lines:
		if !strings.HasPrefix(head, "RULE") {
			t.Fatalf("the first line is %q; stderr: %s", head, p.stderr(t))
		}
	case <-time.After(guardStart):
		p.signal(t, unix.SIGQUIT)
		<-p.done
		t.Fatalf("not in force after %v: %s", guardStart, p.stderr(t))
	}
	return p
}

// guardingQuietly is guarding with the records in a file, for there may be very many.
func guardingQuietly(t *testing.T, args ...string) *process {
	t.Helper()
	needGuard(t)
	p := begin(t, exec.Command(as(t, "sonde"), append([]string{"guard", "-o", filepath.Join(t.TempDir(), "out"), "--fields", "rule"}, args...)...))
	for until := time.Now().Add(guardStart); !strings.Contains(p.stderr(t), " in force by "); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not in force after %v: %s", guardStart, p.stderr(t))
		}
	}
	return p
}

// do has a process of its own do something to a file, and returns its status.
func do(t *testing.T, deed, path string) int {
	t.Helper()
	cmd := exec.Command(as(t, "role-do"), deed, path)
	return runAll(t, cmd).status
}

// wantDo checks the status of a deed.
func wantDo(t *testing.T, deed, path string, want int) {
	t.Helper()
	if got := do(t, deed, path); got != want {
		t.Errorf("%s %s: status %d, want %d", deed, path, got, want)
	}
}

// fileOf makes a file in a directory of its own.
func fileOf(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// stop ends it by Ctrl-C and returns what it has to say.
func (p *process) stop(t *testing.T) string {
	t.Helper()
	p.signal(t, os.Interrupt)
	if status := p.wait(t); status != 0 {
		t.Errorf("status %d; stderr: %s", status, p.stderr(t))
	}
	return p.stderr(t)
}

func wantSays(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not say %q", text, w)
		}
	}
}

func TestGuestGuardDeny(t *testing.T) {
	path := fileOf(t, "secret", "secret\n")
	p := guarding(t, "deny", path)
	wantDo(t, "read", path, eacces)
	if w := strings.Fields(p.line(t)); len(w) != 6 || w[0] != "rule-1" || w[1] != "deny" || w[2] != "read" || w[4] != "denied" || w[5] != path {
		t.Errorf("the record is %q", w)
	}
	for _, deed := range []string{"write", "empty", "truncate", "delete", "rename", "link", "chmod", "exec"} {
		wantDo(t, deed, path, eacces)
		if line := p.line(t); !strings.Contains(line, "denied") {
			t.Errorf("%s: the record is %q", deed, line)
		}
	}
	wantDo(t, "create", path+".other", 0)
	// Disarmed at once: nothing of it is left when sonde has ended, and nothing is denied from the signal on.
	said := p.stop(t)
	wantDo(t, "read", path, 0)
	wantSays(t, said, "1 rule in force by", "not covered", "rule rule-1: ", "denied", "none lost")
	if b, err := os.ReadFile(path); err != nil || string(b) != "secret\n" {
		t.Errorf("the file has become %q, %v", b, err)
	}
}

// The three lines that the documentation begins with.
func TestGuestGuardOneLiners(t *testing.T) {
	t.Run("deny", func(t *testing.T) {
		p := guarding(t, "deny", "/etc/shadow")
		if _, err := os.Stat("/etc/shadow"); err != nil {
			wantDo(t, "create", "/etc/shadow", eacces)
		} else {
			wantDo(t, "read", "/etc/shadow", eacces)
		}
		p.line(t)
		p.stop(t)
	})
	t.Run("kill", func(t *testing.T) {
		path := fileOf(t, "block_test.c", "int main;\n")
		p := guarding(t, "kill", "block_test.c")
		wantDo(t, "read", path, wasKilled)
		if line := p.line(t); !strings.Contains(line, "kill") || !strings.Contains(line, "block_test.c") {
			t.Errorf("the record is %q", line)
		}
		wantDo(t, "read", filepath.Join(filepath.Dir(path), "."), 0)
		p.stop(t)
		wantDo(t, "read", path, 0)
	})
	t.Run("installer", func(t *testing.T) {
		needGuard(t)
		etc := t.TempDir()
		path := filepath.Join(etc, "sub", "conf")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		installer := filepath.Join(t.TempDir(), "installer")
		script := fmt.Sprintf("#!/bin/sh\n%s create %s; echo create $?\n%s read %s; echo read $?\nexit 7\n",
			as(t, "role-do"), path, as(t, "role-do"), filepath.Dir(path))
		if err := os.WriteFile(installer, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Chdir(filepath.Dir(installer))
		got := guardToEnd(t, "-o", filepath.Join(t.TempDir(), "out"), "deny", "--write", etc, "--", "./installer")
		if got.status != 7 || got.stdout != fmt.Sprintf("create %d\nread 0\n", eacces) {
			t.Errorf("%+v", got)
		}
		wantDo(t, "create", path, 0)
	})
}

// The keys of JSON records, and that each rule's counters come before the summary.
func TestGuestEndsGuardJSON(t *testing.T) {
	needGuard(t)
	path := fileOf(t, "secret", "")
	out := filepath.Join(t.TempDir(), "records")
	got := guardToEnd(t, "-f", "json", "-o", out, "deny", path, "--", as(t, "role-do"), "read", path)
	if got.status != eacces {
		t.Fatalf("%+v", got)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) != 3 {
		t.Fatalf("%q; stderr: %s", lines, got.stderr)
	}
	wantKeys := "type time pid tid uid comm pcomm path file dev ino dirfd flags mode ret errno duration_ns cgroup_id cgroup container " +
		"access rule action mechanism outcome"
	if keys := guardKeys(t, lines[0]); keys != wantKeys {
		t.Errorf("the keys are %s", keys)
	}
	var r struct {
		Type, File, Rule, Action, Mechanism, Outcome, Errno string
		Access                                              []string
		PID                                                 int
		Ret                                                 int
	}
	if err := json.Unmarshal([]byte(lines[0]), &r); err != nil {
		t.Fatal(err)
	}
	if r.Type != "guard" || r.File != path || r.Rule != "rule-1" || r.Action != "deny" || r.Outcome != "denied" || r.Errno != "EACCES" ||
		!slices.Equal(r.Access, []string{"read"}) || !slices.Contains([]string{"lsm", "fmod_ret"}, r.Mechanism) {
		t.Errorf("%+v", r)
	}
	wantSays(t, lines[1], `"type":"guard_rule"`, `"rule":"rule-1"`, `"matches":1`, `"denied":1`)
	wantSays(t, lines[2], `"type":"summary"`, `"events":1`, `"lost":0`)
}

// guardKeys lists the keys of a JSON object in their order.
func guardKeys(t *testing.T, line string) string {
	t.Helper()
	var keys []string
	d := json.NewDecoder(strings.NewReader(line))
	for depth, wantKey := 0, false; ; {
		token, err := d.Token()
		if err != nil {
			break
		}
		switch token {
		case json.Delim('{'):
			depth++
			wantKey = true
			continue
		case json.Delim('['):
			depth++
			continue
		case json.Delim('}'), json.Delim(']'):
			depth--
			wantKey = depth == 1
			continue
		}
		if depth == 1 {
			if wantKey {
				keys = append(keys, token.(string))
			}
			wantKey = !wantKey
		}
	}
	return strings.Join(keys, " ")
}

func ruleFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Rules that are about some processes only.
func TestGuestGuardWho(t *testing.T) {
	path := fileOf(t, "secret", "")
	sonde, me := as(t, "sonde"), as(t, "role-do")
	self, err := filepath.EvalSymlinks(me)
	if err != nil {
		t.Fatal(err)
	}
	as := func(uid int, file string) *exec.Cmd {
		cmd := exec.Command(me, "read", file)
		cmd.SysProcAttr = credentials(uid)
		return cmd
	}
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path)), filepath.Dir(me), filepath.Dir(filepath.Dir(me))} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name, who    string
		root, nobody int // what comes of it for whom
	}{
		{"uid", "    who: {uid: 65534}\n", 0, eacces},
		{"except uid", "    except: {uid: 65534}\n", eacces, 0},
		{"exe", "    who: {exe: " + self + "}\n", eacces, eacces},
		{"another exe", "    who: {exe: /bin/busybox}\n", 0, 0},
		{"except exe", "    except: {exe: " + self + "}\n", 0, 0},
		{"comm", "    who: {comm: role-do}\n", eacces, eacces},
		{"another comm", "    who: {comm: role-d}\n", 0, 0},
		{"first of all that is said", "    who: {comm: role-do, uid: 0}\n", eacces, 0},
	}
	// A rule and a file each: to begin a guard takes seconds where it is emulated.
	all := "rules:\n"
	for i, c := range cases {
		file := fmt.Sprintf("%s-%d", path, i)
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		all += fmt.Sprintf("  - name: r%d\n    action: deny\n    files: %s\n%s", i, file, c.who)
	}
	p := guarding(t, "-f", ruleFile(t, all))
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file := fmt.Sprintf("%s-%d", path, i)
			if got := runAll(t, as(0, file)); got.status != c.root {
				t.Errorf("root: %+v, want %d", got, c.root)
			}
			if got := runAll(t, as(65534, file)); got.status != c.nobody {
				t.Errorf("nobody: %+v, want %d", got, c.nobody)
			}
		})
	}
	p.stop(t)
	t.Run("cgroup", func(t *testing.T) {
		group := "/sys/fs/cgroup/sonde-guard-test"
		below, other := group+"/below/that", group+"-other"
		for _, dir := range []string{below, other} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		defer func() {
			for _, dir := range []string{below, filepath.Dir(below), group, other} {
				waitFor(t, "the group to be empty", func() bool { return os.Remove(dir) == nil })
			}
		}()
		p := guarding(t, "-f", ruleFile(t, "rules:\n  - action: deny\n    files: "+path+"\n    who: {cgroup: /sonde-guard-test}\n"))
		wantDo(t, "read", path, 0)
		for dir, want := range map[string]int{group: eacces, below: eacces, other: 0} {
			script := fmt.Sprintf("echo $$ > %s/cgroup.procs && exec %s read %s", dir, me, path)
			if got := runAll(t, exec.Command("/bin/sh", "-c", script)); got.status != want {
				t.Errorf("in %s: %+v, want %d", dir, got, want)
			}
		}
		p.stop(t)
	})
	t.Run("tree", func(t *testing.T) {
		rules := ruleFile(t, "rules:\n  - action: deny\n    files: "+path+"\n    who: {tree: command}\n")
		needGuard(t)
		deed := fmt.Sprintf("%s read %s; echo $?", me, path)
		p := begin(t, exec.Command(sonde, "guard", "-o", filepath.Join(t.TempDir(), "out"), "-f", rules, "--",
			"/bin/sh", "-c", deed+"; ("+deed+"); true < "+path+"; echo $?; read line; exit 5"))
		for _, whose := range []string{"its child", "its grandchild", "itself"} {
			select {
			case line := <-p.lines:
				if n := atoi(t, strings.TrimSpace(line)); n != eacces && (whose != "itself" || n == 0) {
					t.Errorf("%s: status %d", whose, n)
				}
			case <-time.After(guardStart):
				t.Fatalf("nothing is heard of %s: %s", whose, p.stderr(t))
			}
		}
		wantDo(t, "read", path, 0) // by a process that is no descendant
		if _, err := p.stdin.WriteString("\n"); err != nil {
			t.Fatal(err)
		}
		if got := p.wait(t); got != 5 {
			t.Errorf("status %d, stderr: %s", got, p.stderr(t))
		}
		if got := guardToEnd(t, "-f", rules); got.status != exitUsage || !strings.Contains(got.stderr, "COMMAND") {
			t.Errorf("without COMMAND: %+v", got)
		}
	})
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// soon waits for what a process says on standard error.
func (p *process) soon(t *testing.T, words string) {
	t.Helper()
	for range 1000 {
		if strings.Contains(p.stderr(t), words) {
			return
		}
		time.Sleep(30 * time.Millisecond)
	}
	t.Fatalf("it never says %q: %s", words, p.stderr(t))
}
