//go:build guest

package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// rules is a rule file that denies some paths.
func denyFile(paths ...string) string {
	text := "rules:\n"
	for i, p := range paths {
		text += fmt.Sprintf("  - name: r%d\n    action: deny\n    files: %s\n", i+1, p)
	}
	return text
}

// replace puts a file in another's place as editors do.
func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// Rules follow their file: when it is replaced, written to, or at SIGHUP. One that is bad leaves the old ones in force.
func TestGuestEndsGuardReload(t *testing.T) {
	a, b := fileOf(t, "a", ""), fileOf(t, "b", "")
	rules := ruleFile(t, denyFile(a))
	p := guarding(t, "-f", rules)
	wantDo(t, "read", a, eacces)
	wantDo(t, "read", b, 0)

	replace(t, rules, denyFile(b))
	p.soon(t, "1 rule in force (generation 3)")
	wantDo(t, "read", a, 0)
	wantDo(t, "read", b, eacces)

	if err := os.WriteFile(rules, []byte(denyFile(a, b)), 0o644); err != nil {
		t.Fatal(err)
	}
	p.soon(t, "2 rules in force (generation 4)")
	wantDo(t, "read", a, eacces)
	wantDo(t, "read", b, eacces)

	replace(t, rules, "rules:\n  - action: deny\n    fils: /x\n")
	p.soon(t, "the rules of before stay in force")
	wantSays(t, p.stderr(t), rules+":3:5: ", "fils", "nothing of it is armed")
	wantDo(t, "read", a, eacces)

	p.signal(t, unix.SIGHUP)
	waitFor(t, "a second refusal", func() bool { return strings.Count(p.stderr(t), "stay in force") == 2 })
	wantDo(t, "read", b, eacces)

	replace(t, rules, denyFile(a))
	p.soon(t, "1 rule in force (generation 5)")
	wantDo(t, "read", b, 0)
	p.signal(t, unix.SIGHUP)
	p.soon(t, "SIGHUP: 1 rule in force (generation 6)")
	said := p.stop(t)
	wantSays(t, said, "rule r1: ", "rule r2: ", "none lost")
	wantDo(t, "read", a, 0)
}

// A rule follows its path: to a file that comes to be there, and to one that is renamed over it.
func TestGuestGuardFollowsPaths(t *testing.T) {
	needGuard(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "later")
	deep := filepath.Join(dir, "not", "yet")
	p := guarding(t, "deny", "--read", path, deep)
	wantSays(t, p.stderr(t), "is not there")
	if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantDo(t, "read", path, eacces)
	replace(t, path, "other")
	wantDo(t, "read", path, eacces)
	if err := os.Mkdir(filepath.Dir(deep), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(deep, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the deep path to be armed", func() bool { return do(t, "read", deep) == eacces })
	p.stop(t)
}

// While rules are being replaced there is no moment without them.
func TestGuestGuardNoGap(t *testing.T) {
	path := fileOf(t, "secret", "")
	rules := ruleFile(t, denyFile(path))
	p := guardingQuietly(t, "-f", rules)
	tight := begin(t, exec.Command(as(t, "role-steady"), path))
	for n := 3; n < 10; n++ {
		replace(t, rules, denyFile(path, fmt.Sprintf("/nowhere/%d", n)))
		p.soon(t, fmt.Sprintf("(generation %d)", n))
	}
	tight.say(t, "how many?")
	var tried, got int
	if _, err := fmt.Sscan(tight.line(t), &tried, &got); err != nil {
		t.Fatal(err)
	}
	if got != 0 || tried < 1000 {
		t.Errorf("%d of %d opens came through", got, tried)
	}
	tight.stdin.Close()
	tight.wait(t)
	p.stop(t)
}

// --for is kept by the kernel, also without sonde; sonde ends when it is over.
func TestGuestEndsGuardFor(t *testing.T) {
	path := fileOf(t, "secret", "")
	p := guarding(t, "--for", "3s", "deny", path)
	wantDo(t, "read", path, eacces)
	if status := p.wait(t); status != 0 {
		t.Errorf("status %d", status)
	}
	wantSays(t, p.stderr(t), "for 3s", "disarmed after 3s")
	wantDo(t, "read", path, 0)
}

// Beyond --max-denies it is only logged; every match is counted.
func TestGuestEndsGuardMaxDenies(t *testing.T) {
	path := fileOf(t, "secret", "")
	p := guardingQuietly(t, "--max-denies", "10/s", "deny", path)
	got := runAll(t, exec.Command(as(t, "role-opens"), path, "2000"))
	through := atoi(t, strings.TrimSpace(got.stdout))
	said := p.stop(t)
	if through == 0 || through > 1990 {
		t.Errorf("%d of 2000 opens came through with 10 denials a second", through)
	}
	wantSays(t, said, "2000 times", fmt.Sprintf("%d denied", 2000-through), fmt.Sprintf("%d rate-limited", through))
}

// Nothing of a guard outlives a sonde that was killed, unless that was asked for.
func TestGuestEndsGuardKilled(t *testing.T) {
	path := fileOf(t, "secret", "")
	p := guarding(t, "deny", path)
	wantDo(t, "read", path, eacces)
	p.signal(t, unix.SIGKILL)
	p.wait(t)
	waitFor(t, "the kernel to take it down", func() bool { return do(t, "read", path) == 0 })
}

func TestGuestEndsGuardPersist(t *testing.T) {
	path := fileOf(t, "secret", "")
	sonde := as(t, "sonde")
	status := func(args ...string) ran {
		return runAll(t, exec.Command(sonde, append([]string{"guard", "status"}, args...)...))
	}
	p := guarding(t, "--persist=web", "deny", path)
	wantSays(t, p.stderr(t), "persistent as web")
	wantDo(t, "read", path, eacces)
	if got := guardToEnd(t, "--persist=web", "deny", path); got.status != exitFailure || !strings.Contains(got.stderr, `a guard "web" already`) {
		t.Errorf("a second of the same name: %+v", got)
	}
	p.signal(t, unix.SIGKILL)
	p.wait(t)
	wantDo(t, "read", path, eacces)
	wantDo(t, "read", path, eacces)
	got := status()
	wantSays(t, got.stdout, "web: armed by", "deny "+path, "3 denied")
	if strings.Contains(got.stdout, "being shown") {
		t.Errorf("a dead sonde shows records: %s", got.stdout)
	}
	got = status("-f", "json", "web")
	wantSays(t, got.stdout, `"type":"guard_status"`, `"name":"web"`, `"state":"armed"`, `"watched":false`, `"denied":3`)
	if got := runAll(t, exec.Command(sonde, "guard", "stop", "web")); got.status != 0 {
		t.Errorf("stop: %+v", got)
	}
	wantDo(t, "read", path, 0)
	wantSays(t, status().stdout, "no persistent guard")

	// Stopped while its sonde still runs: disarmed at once, and that sonde ends.
	p = guarding(t, "--persist", "--for", "1h", "deny", path)
	wantSays(t, status().stdout, "default: armed by", "more", "being shown")
	if got := runAll(t, exec.Command(sonde, "guard", "stop")); got.status != 0 {
		t.Errorf("stop: %+v", got)
	}
	wantDo(t, "read", path, 0)
	if got := p.wait(t); got != 0 {
		t.Errorf("status %d: %s", got, p.stderr(t))
	}
	wantSays(t, p.stderr(t), "default was stopped")

	// SIGTERM leaves it, Ctrl-C ends it.
	p = guarding(t, "--persist", "deny", path)
	p.signal(t, unix.SIGTERM)
	p.wait(t)
	wantSays(t, p.stderr(t), "stays in force")
	wantDo(t, "read", path, eacces)
	if got := runAll(t, exec.Command(sonde, "guard", "stop", "--all")); got.status != 0 {
		t.Errorf("stop: %+v", got)
	}
	p = guarding(t, "--persist", "deny", path)
	p.stop(t)
	wantDo(t, "read", path, 0)
	wantSays(t, status().stdout, "no persistent guard")

	// --for is over without anybody's help.
	p = guarding(t, "--persist", "--for", "4s", "deny", path)
	p.signal(t, unix.SIGKILL)
	p.wait(t)
	waitFor(t, "the deadline", func() bool { return do(t, "read", path) == 0 })
	wantSays(t, status().stdout, "default: expired")
	if got := runAll(t, exec.Command(sonde, "guard", "stop", "default")); got.status != 0 {
		t.Errorf("stop: %+v", got)
	}
}

// What is attached by kprobes outlives sonde where the kernel can keep it, and is refused where it cannot.
func TestGuestEndsGuardPersistKprobes(t *testing.T) {
	vmtest.Need(t, kernel.Kprobe)
	path := fileOf(t, "secret", "")
	if !attach.Trials().Has(kernel.AttachCookie) { // it came with the links of perf events
		got := guardToEnd(t, "--mechanism", "kill", "--persist", "kill", path)
		if got.status != exitFailure || !strings.Contains(got.stderr, "cannot keep what this mechanism is attached by") {
			t.Errorf("%+v", got)
		}
		return
	}
	p := guarding(t, "--mechanism", "kill", "--persist", "kill", path)
	p.signal(t, unix.SIGKILL)
	p.wait(t)
	wantDo(t, "read", path, wasKilled)
	if got := guardToEnd(t, "stop"); got.status != 0 {
		t.Errorf("%+v", got)
	}
	wantDo(t, "read", path, 0)
}

// Two guards are independent where the mechanism lets them be; where it does not, the second one says so.
func TestGuestEndsGuardTwo(t *testing.T) {
	a, b := fileOf(t, "a", ""), fileOf(t, "b", "")
	first := guarding(t, "deny", a)
	second := begin(t, exec.Command(as(t, "sonde"), "guard", "--fields", guardShown, "deny", b))
	select {
	case head, ok := <-second.lines:
		if !ok {
			status := second.wait(t)
			if status != exitFailure || !strings.Contains(second.stderr(t), "cannot put a program on this function now") {
				t.Errorf("status %d: %s", status, second.stderr(t))
			}
			break
		}
		if !strings.HasPrefix(head, "RULE") {
			t.Errorf("the first line is %q", head)
		}
		wantDo(t, "read", b, eacces)
		second.stop(t)
		wantDo(t, "read", b, 0)
	case <-time.After(120 * time.Second):
		t.Fatal("no word of the second")
	}
	wantDo(t, "read", a, eacces)
	first.stop(t)
}
