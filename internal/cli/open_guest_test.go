//go:build guest

package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/tool/open"
)

// openAll starts sonde open on the whole guest and returns once the probes are on.
func openAll(t *testing.T, args ...string) *process {
	t.Helper()
	p := begin(t, exec.Command(as(t, "sonde"), append([]string{"open", "--fields", "pid,uid,comm,full"}, args...)...))
	p.line(t)
	return p
}

// hooksHere are the hooks that this kernel must be able to do.
func hooksHere(t *testing.T) (hooks []string) {
	t.Helper()
	for _, h := range open.Hooks() {
		if h == open.HookFentry && attach.Try(kernel.Fentry).State == kernel.Absent {
			continue
		}
		hooks = append(hooks, string(h))
	}
	return hooks
}

func TestGuestOpenSystemWide(t *testing.T) {
	needOpen(t)
	file := filepath.Join(t.TempDir(), "stranger")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(file)), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, hook := range hooksHere(t) {
		p := openAll(t, "--hook", hook, "--path", file)
		for _, uid := range []uint32{0, 65534} {
			cmd := exec.Command("/bin/cat", file)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			w := p.until(t, file)
			if w[0] != fmt.Sprint(cmd.Process.Pid) || w[1] != fmt.Sprint(uid) || w[2] != "cat" {
				t.Errorf("--hook %s: %q, want process %d of user %d", hook, w, cmd.Process.Pid, uid)
			}
		}
		p.signal(t, unix.SIGINT)
		if got := p.wait(t); got != 0 || !strings.Contains(p.stderr(t), " 2 events, none lost;") {
			t.Errorf("--hook %s: status %d, stderr %q", hook, got, p.stderr(t))
		}
	}
}

// Every hook tells the same of the same opens, except for what it says it cannot show.
func TestGuestOpenHooks(t *testing.T) {
	needOpen(t)
	for _, hook := range hooksHere(t) {
		got := openJSONIn(t, openDir(t), "--hook", hook, "--", as(t, "role-files"))
		if hook == "lsm" {
			// It knows neither what was asked for nor how it ended, only what was reached.
			for _, name := range []string{"plain", "made", "sub/inside", "sub/second"} {
				if !slices.ContainsFunc(got.records, func(r openRecord) bool { return strings.HasSuffix(text(r.File), "/"+name) }) {
					t.Errorf("--hook lsm: no record of %s in %d; %s", name, len(got.records), got.stderr)
				}
			}
			continue
		}
		list := inFiles(got)
		for i := range list { // do_sys_openat2 is told of a flag that the kernel adds for every 64-bit program
			list[i].Flags = slices.DeleteFunc(list[i].Flags, func(f string) bool { return f == "O_LARGEFILE" })
		}
		have := asWant(t, list)
		if diff := cmp.Diff(filesWant, have); diff != "" || got.status != 0 || got.summary.Lost != 0 {
			t.Errorf("--hook %s: status %d, lost %d (-want +got):\n%s%s", hook, got.status, got.summary.Lost, diff, got.stderr)
		}
	}
}

func TestGuestOpenCgroup(t *testing.T) {
	needOpen(t)
	group := filepath.Join("/sys/fs/cgroup", "sonde-open")
	below := filepath.Join(group, "below")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, dir := range []string{below, group} {
			waitFor(t, "the group to be empty", func() bool { return os.Remove(dir) == nil })
		}
	}()
	flood := as(t, "role-flood")
	member, _ := nest(t, 0)
	outside, _ := nest(t, 0)
	defer member.stdin.Close()
	if err := os.WriteFile(filepath.Join(below, "cgroup.procs"), fmt.Append(nil, member.cmd.Process.Pid), 0); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/sonde-open", "/sonde-open/below", below} {
		p := begin(t, exec.Command(as(t, "sonde"), "open", "--fields", "pid,cgroup,path", "--path", "/etc/passwd", "-c", "1", "--cgroup", path))
		p.line(t)
		for _, who := range []*process{outside, member} {
			who.say(t, "spawn "+flood+" /etc/passwd 1")
			if line := who.line(t); line != "done" {
				t.Fatal(line)
			}
		}
		lines := p.rest(t)
		if len(lines) != 1 || !strings.HasSuffix(lines[0], "/sonde-open/below /etc/passwd") {
			t.Errorf("--cgroup %s: %q; %s", path, lines, p.stderr(t))
		}
	}
}
