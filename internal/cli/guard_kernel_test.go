package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sonde/internal/attach"
	"sonde/internal/kernel"
)

// Where a kernel cannot deny, a rule that denies is refused in one line that says why; nothing is armed, COMMAND never runs, and
// nothing stays behind.
func TestKernelGuardRefused(t *testing.T) {
	needRoot(t)
	for _, f := range []kernel.Feature{kernel.LSM, kernel.FmodRet} {
		if attach.Try(f).State == kernel.Present {
			t.Skipf("this kernel can deny (%s)", f)
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sonde := as(t, "sonde")
	started := filepath.Join(dir, "started")
	for _, args := range [][]string{
		{"deny", path},
		{"deny", path, "--", "touch", started},
		{"--mechanism", "lsm", "log", path},
		{"--mechanism", "fmod_ret", "deny+kill", path},
		{"--mechanism", "override", "deny", path},
		{"--persist=refused", "deny", path},
	} {
		got := runAll(t, exec.Command(sonde, append([]string{"guard"}, args...)...))
		got.refusal(t, exitFailure, "sonde: ")
		if strings.Contains(got.stderr, "bug of sonde") {
			t.Errorf("%q: %s", args, got.stderr)
		}
	}
	if _, err := os.Stat(started); err == nil {
		t.Error("COMMAND has run")
	}
	if got := runAll(t, exec.Command(sonde, "guard", "status", "refused")); got.status != exitFailure {
		t.Errorf("something stayed behind: %+v", got)
	}
	if f, err := os.Open(path); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
}

// Without hooks and kprobes there are the returns of system calls: opens are told, and who makes them is killed, late.
func TestKernelGuardByReturns(t *testing.T) {
	needRoot(t)
	if attach.Try(kernel.Kprobe).State == kernel.Present {
		t.Skip("this kernel has kprobes")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "block_test.c")
	if err := os.WriteFile(path, []byte("contents\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sonde := as(t, "sonde")
	records := filepath.Join(dir, "records")
	for _, tc := range []struct {
		args, outcome string
		status        int
		printed       string
	}{
		{"log " + path, "logged", 0, "contents\n"},
		{"kill block_test.c", "late", 128 + 9, ""},
		{"--allow-weaker deny " + path, "late", 128 + 9, ""},
		{"--dry-run kill " + path, "dry-run", 0, "contents\n"},
	} {
		args := append([]string{"guard", "--format", "json", "-o", records}, strings.Fields(tc.args)...)
		got := runAll(t, exec.Command(sonde, append(args, "--", "cat", path)...))
		if got.status != tc.status || got.stdout != tc.printed {
			t.Errorf("%s: %+v", tc.args, got)
		}
		text, err := os.ReadFile(records)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"outcome":"` + tc.outcome + `"`, `"path":"` + path + `"`, `"file":"` + path + `"`, `"access":["read"]`, `"mechanism":"kill"`} {
			if strings.Count(string(text), want) != 1 {
				t.Errorf("%s: want %s once in\n%s", tc.args, want, text)
			}
		}
	}
}
