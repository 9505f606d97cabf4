//go:build guest

package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// 10,000 rules, each about a file of its own, and one in the middle that is asked for.
func TestGuestEndsGuardManyRules(t *testing.T) {
	path := fileOf(t, "secret", "")
	var b strings.Builder
	b.WriteString("rules:\n")
	for i := range 10_000 {
		name := fmt.Sprintf("/tmp/nowhere-%d", i)
		if i == 5000 {
			name = path
		}
		fmt.Fprintf(&b, "  - {name: n%d, action: deny, files: [%s]}\n", i, name)
	}
	p := guarding(t, "-f", ruleFile(t, b.String()))
	wantDo(t, "read", path, eacces)
	if line := p.line(t); !strings.HasPrefix(line, "n5000 ") {
		t.Errorf("the record is %q", line)
	}
	wantDo(t, "create", "/tmp/nowhere-9999", eacces)
	wantDo(t, "create", "/tmp/nowhere-10000", 0)
	os.Remove("/tmp/nowhere-10000")
	said := p.stop(t)
	wantSays(t, said, "10000 rules in force", "rule n5000: once matched; 1 denied", "rule n9999: ", "rules that matched nothing")
}

// In a storm of denials every one is counted, and every record comes or is counted as lost.
func TestGuestEndsGuardStorm(t *testing.T) {
	needGuard(t)
	path := fileOf(t, "secret", "")
	out := filepath.Join(t.TempDir(), "out")
	const n = 100_000
	got := guardToEnd(t, "-f", "json", "--fields", "rule,outcome", "-o", out, "deny", path, "--", as(t, "role-opens"), path, fmt.Sprint(n))
	if got.status != 0 || strings.TrimSpace(got.stdout) != "0" {
		t.Fatalf("%+v", got)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, lost, denied, unsent := 0, -1, 0, 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r struct {
			Type, Outcome        string
			Denied, Unsent, Lost int
			Reasons              map[string]int `json:"lost_by_reason"`
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		switch r.Type {
		case "guard":
			records++
			if r.Outcome != "denied" {
				t.Fatalf("%s", lines.Text())
			}
		case "guard_rule":
			denied, unsent = r.Denied, r.Unsent
		case "summary":
			lost = r.Lost
			if r.Reasons["unexplained"] != 0 {
				t.Errorf("%s", lines.Text())
			}
		}
	}
	if denied != n || records+lost != n || lost != unsent {
		t.Errorf("%d denied, %d records, %d lost, %d not sent; there were %d", denied, records, lost, unsent, n)
	}
	t.Logf("%d records, %d lost", records, lost)
}

// A file that is opened to be emptied is as it was after deny+kill; after kill alone it is empty, for the kill comes late.
func TestGuestEndsGuardTruncation(t *testing.T) {
	path := fileOf(t, "data", "123456")
	text := func() string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	p := guarding(t, "deny+kill", "--write", path)
	wantDo(t, "empty", path, wasKilled)
	if line := p.line(t); !strings.Contains(line, "denied") {
		t.Errorf("the record is %q", line)
	}
	p.stop(t)
	if text() != "123456" {
		t.Errorf("deny+kill left %q", text())
	}
	p = guarding(t, "kill", "--write", path)
	wantDo(t, "empty", path, wasKilled)
	if line := p.line(t); !strings.Contains(line, "killed") {
		t.Errorf("the record is %q", line)
	}
	p.stop(t)
	if text() != "" {
		t.Errorf("kill left %q, which would be new", text())
	}
}

// Who has the file already is told; --revoke kills those, and nobody else.
func TestGuestEndsGuardRevoke(t *testing.T) {
	path := fileOf(t, "secret", "text\n")
	holder := begin(t, exec.Command(as(t, "role-hold"), path))
	holder.line(t)
	bystander := begin(t, exec.Command(as(t, "role-hold"), "/proc/self/status"))
	bystander.line(t)
	p := guarding(t, "deny", "--read", path)
	wantSays(t, p.stderr(t), fmt.Sprintf("(process %d) has %s open as descriptor", holder.cmd.Process.Pid, path))
	holder.say(t, "read")
	if line := holder.line(t); line != "text text" {
		t.Errorf("a descriptor from before: %q", line)
	}
	p.stop(t)
	p = guarding(t, "--revoke", "deny", "--read", path)
	if got := holder.wait(t); got != wasKilled {
		t.Errorf("the holder ended with %d", got)
	}
	bystander.say(t, "read")
	bystander.line(t)
	wantSays(t, p.stderr(t), "killed role-hold")
	p.stop(t)
}

// A dry run tells what would be, and denies nothing.
func TestGuestEndsGuardDryRun(t *testing.T) {
	path := fileOf(t, "secret", "")
	p := guarding(t, "--dry-run", "deny", path)
	wantDo(t, "read", path, 0)
	if line := p.line(t); !strings.Contains(line, "dry-run") {
		t.Errorf("the record is %q", line)
	}
	wantSays(t, p.stop(t), "a dry run of 1 rule", "1 in a dry run")
}

// Where nobody reads the records any more, COMMAND is guarded all the same.
func TestGuestEndsGuardUnread(t *testing.T) {
	needGuard(t)
	path := fileOf(t, "secret", "")
	script := fmt.Sprintf("%s guard deny %s -- /bin/sh -c '%s read %s; sleep 1; %s read %s; exit $?' | true; exit 0",
		as(t, "sonde"), path, as(t, "role-do"), path, as(t, "role-do"), path)
	got := runAll(t, exec.Command("/bin/sh", "-c", script))
	wantSays(t, got.stderr, "rule rule-1: 2 times matched; 2 denied")
}

// By kill alone a rule that denies is refused, unless the user is content with less.
func TestGuestEndsGuardWeaker(t *testing.T) {
	needGuard(t)
	path := fileOf(t, "secret", "text")
	got := guardToEnd(t, "--mechanism", "kill", "deny", path)
	if got.status != exitFailure || !strings.Contains(got.stderr, "--allow-weaker") {
		t.Errorf("%+v", got)
	}
	p := guarding(t, "--mechanism", "kill", "--allow-weaker", "deny", path)
	wantDo(t, "read", path, wasKilled)
	if line := p.line(t); !strings.Contains(line, " late ") {
		t.Errorf("the record is %q", line)
	}
	wantSays(t, p.stop(t), "by kill (late)")
	if unix.Access(path, unix.R_OK) != nil {
		t.Error("it is not readable afterwards")
	}
}
