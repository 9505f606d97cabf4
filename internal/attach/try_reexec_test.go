package attach

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

const (
	unprivilegedEnv = "SONDE_TEST_UNPRIVILEGED"
	memlockEnv      = "SONDE_TEST_MEMLOCK"
)

// TestKernelTryUnprivileged runs itself as nobody, who can try little but must be told why.
func TestKernelTryUnprivileged(t *testing.T) {
	if os.Getenv(unprivilegedEnv) != "" {
		_ = json.NewEncoder(os.Stdout).Encode(TryAll())
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestKernelTryUnprivileged$")
	cmd.Env = append(os.Environ(), unprivilegedEnv+"=1")
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var found []kernel.Finding
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	if len(found) != len(trials) {
		t.Fatalf("%d findings for %d features", len(found), len(trials))
	}
	for _, f := range found {
		tr := trials[slices.IndexFunc(trials, func(tr trial) bool { return tr.feature == f.Feature })]
		switch {
		case f.Feature == kernel.BTF:
			if f.State != kernel.Present {
				t.Errorf("anybody can read BTF: %+v", f)
			}
		case f.State == kernel.Present:
			t.Errorf("%s needs privileges", f.Feature)
		case f.State == kernel.Untried:
			if !strings.Contains(f.Reason, "missing") || !strings.Contains(f.Remedy, "run as root") {
				t.Errorf("it does not say which capability is missing: %+v", f)
			}
			for _, c := range tr.needs {
				if !strings.Contains(f.Reason, c.String()) {
					t.Errorf("%s is missing too: %+v", c, f)
				}
			}
		case f.Feature != kernel.Kprobe && f.Feature != kernel.Uprobe:
			// Of these alone anybody can see that the kernel lacks them.
			t.Errorf("it was not tried, so nobody knows: %+v", f)
		}
	}
}

// TestKernelRaiseMemlock runs itself with a limit that is too low for anything, which only kernels before 5.11 mind.
func TestKernelRaiseMemlock(t *testing.T) {
	if os.Getenv(memlockEnv) != "" {
		raiseMemlockChild(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestKernelRaiseMemlock$", "-test.v")
	cmd.Env = append(os.Environ(), memlockEnv+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func raiseMemlockChild(t *testing.T) {
	low := unix.Rlimit{Cur: 4096, Max: 8192}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &low); err != nil {
		t.Fatal(err)
	}
	if err := RaiseMemlock(); err != nil {
		t.Fatal(err)
	}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &now); err != nil {
		t.Fatal(err)
	}
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	switch want := os.Getenv("SONDE_GUEST_KERNEL"); {
	case want == "5.10":
		if now != unlimited {
			t.Errorf("the limit is %+v, want none", now)
		}
	case now != low && now != unlimited:
		t.Errorf("the limit is %+v: neither as it was nor lifted", now)
	}
	if f := Try(kernel.RingBuffer); f.State != kernel.Present {
		t.Errorf("a map cannot be made: %+v", f)
	}
	if err := RaiseMemlock(); err != nil {
		t.Errorf("called again: %v", err)
	}
}

// kernelConfig returns /proc/config.gz, or "" where the kernel does not show it.
func kernelConfig(t *testing.T) string {
	t.Helper()
	f, err := os.Open("/proc/config.gz")
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(io.LimitReader(z, 4<<20))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
