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
