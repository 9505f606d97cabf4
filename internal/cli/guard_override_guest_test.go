//go:build guest

package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/bypass"
	"sonde/internal/tool/guard/rule"
	"sonde/internal/vmtest"
)

// By the caller's string: said to be bypassable, and it is; rules, exceptions and records are as with the others. Persistent, it
// outlives sonde.
func TestGuestGuardOverride(t *testing.T) {
	vmtest.Need(t, whatItNeeds(guard.Override))
	path, other := fileOf(t, "secret", "secret\n"), fileOf(t, "block_test.c", "int main;\n")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	rules := ruleFile(t, "rules:\n"+
		"  - name: root-deletes\n    action: log\n    access: [delete]\n    files: "+path+"\n"+
		"  - name: secret\n    action: deny\n    errno: EPERM\n    files: "+path+"\n    except: {comm: sh}\n"+
		"  - name: block\n    action: kill\n    files: block_test.c\n"+
		"  - name: both\n    action: deny+kill\n    access: [truncate]\n    files: "+filepath.Dir(path)+"/\n")
	p := guarding(t, "--mechanism", "override", "--persist=written", "-f", rules)
	wantSays(t, p.stderr(t), "4 rules in force by override (bypassable); not covered: every other way to the file")
	if got, want := strings.Contains(p.stderr(t), "and 32-bit programs"), byModifying(guard.Override) != nil; got != want {
		t.Errorf("32-bit programs are not covered: said %v, is so %v", got, want)
	}
	wantRecord := func(words ...string) {
		t.Helper()
		if got := strings.Fields(p.line(t)); strings.Join(got, " ") != strings.Join(words, " ") {
			t.Errorf("the record is %q, want %q", got, words)
		}
	}
	wantDo(t, "read", path, eperm)
	wantRecord("secret", "deny", "read", "override", "denied", path)
	wantDo(t, "chmod", path, eperm)
	wantRecord("secret", "deny", "metadata", "override", "denied", path)
	wantDo(t, "read", link, 0)
	wantDo(t, "read", other, wasKilled)
	wantRecord("block", "kill", "read", "override", "killed", other)
	if got := runAll(t, exec.Command("/bin/sh", "-c", "read line < "+path+" && echo $line")); got.status != 0 || got.stdout != "secret\n" {
		t.Errorf("whom it makes an exception for: %+v", got)
	}
	near := filepath.Join(filepath.Dir(path), "near")
	wantDo(t, "create", near, 0)
	wantDo(t, "truncate", near, wasKilled)
	wantRecord("both", "deny+kill", "truncate", "override", "denied", near)
	// Its programs find each other without sonde.
	p.signal(t, unix.SIGKILL)
	<-p.done
	wantDo(t, "read", path, eperm)
	wantDo(t, "delete", path, 0)
	wantDo(t, "create", path, eperm)
	got := guardToEnd(t, "status", "-f", "json", "written")
	wantSays(t, got.stdout, `"override"`)
	if got := guardToEnd(t, "stop", "written"); got.status != 0 {
		t.Errorf("%+v", got)
	}
	wantDo(t, "create", path, 0)
}

// The keys that are about the caller's path are filled, and those about the file reached are not.
func TestGuestGuardOverrideJSON(t *testing.T) {
	vmtest.Need(t, whatItNeeds(guard.Override))
	path := fileOf(t, "secret", "")
	out := filepath.Join(t.TempDir(), "records")
	t.Chdir(filepath.Dir(path))
	got := guardToEnd(t, "--mechanism", "override", "--dry-run", "-f", "json", "-o", out, "deny", path, "--", as(t, "role-do"), "read", "./secret")
	if got.status != 0 {
		t.Fatalf("%+v", got)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(data), "\n")
	var r struct {
		Path, File, Mechanism, Outcome string
		Ino, Dev, Ret                  *uint64
		DirFD                          *int
	}
	if err := json.Unmarshal([]byte(first), &r); err != nil {
		t.Fatal(err)
	}
	if r.Path != "./secret" || r.File != filepath.Dir(path)+"/./secret" || r.Mechanism != "override" || r.Outcome != "dry-run" ||
		r.Ino != nil || r.Dev != nil || r.Ret != nil || r.DirFD == nil || *r.DirFD != unix.AT_FDCWD {
		t.Errorf("%s", first)
	}
	wantSays(t, rest, `"matches":1`, `"dry_run":1`, `"events":1`)
}

// The calls of 32-bit programs, which only kprobes reach, are decided about. Without the helper that override by kprobes calls in the
// end, which no stock kernel of Debian has, they go on.
func TestGuestOverride32(t *testing.T) {
	vmtest.Need(t, kernel.Kprobe)
	spec, err := guard.Spec(guard.Options{Mechanism: guard.Override})
	if err != nil {
		t.Fatal(err)
	}
	outcome := bypass.Refused
	if attach.Try(kernel.OverrideReturn).State != kernel.Present {
		outcome = bypass.Reached
		if err := spec.Collection.Variables["guard_overrides"].Set(uint32(0)); err != nil {
			t.Fatal(err)
		}
	}
	spec.Probes = slices.DeleteFunc(spec.Probes, func(p prog.Probe) bool {
		return p.Kind == prog.Kprobe && !strings.HasPrefix(p.Name, "__ia32_compat_sys_open")
	})
	session, err := attach.Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	g := &guardSession{mechanism: guard.Override, spec: spec, session: session}
	defer g.close()
	if err := session.Attach(); err != nil {
		t.Fatal(err)
	}
	stage, err := bypass.NewStage(bypass.Places()[0].Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Close()
	for name, want := range map[string]struct {
		denied  uint64
		outcome bypass.Outcome
	}{"32-bit open": {1, outcome}, "open": {0, bypass.Reached}} {
		var counts guard.Counts
		r, err := stage.Try(t.Context(), bypass.Find(name), bypass.File, func(m bypass.Meant) (func() error, error) {
			loaded, disarm, err := g.armDecoy(m, rule.AllAccess)
			if err != nil {
				return nil, err
			}
			return func() error {
				if c, err := loaded.Counts(g.session); err == nil {
					counts = c[0]
				}
				return disarm()
			}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Outcome != want.outcome || counts.Denied != want.denied {
			t.Errorf("%s: %v, %v; want %v, %d denials", name, r, counts, want.outcome, want.denied)
		}
	}
}
