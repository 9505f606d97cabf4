//go:build boot

// These tests boot real guests on this machine, so they run where guests run: the runner sets the tag boot.
package vmtest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/vmtest/fetch"
	"sonde/internal/vmtest/wire"
)

// rig is what every boot of these tests shares.
func rig(t *testing.T, timeout time.Duration, scripts ...string) (Config, []*bytes.Buffer) {
	t.Helper()
	cache, err := fetch.Open("", false, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	// What a boot leaves in the temporary directory is found here.
	t.Setenv("TMPDIR", t.TempDir())
	payload := filepath.Join(t.TempDir(), "payload.cpio")
	if err := Payload(t.Context(), payload, nil); err != nil {
		t.Fatal(err)
	}
	c := Config{Cache: cache, Kernel: "6.1", Archives: []string{payload}, Timeout: timeout}
	var outputs []*bytes.Buffer
	for _, script := range scripts {
		out := &bytes.Buffer{}
		outputs = append(outputs, out)
		c.Jobs = append(c.Jobs, Job{wire.Job{Args: []string{"/bin/sh", "-c", script}, Dir: "/tmp", Env: []string{"FROM=host"}}, out})
	}
	return c, outputs
}

func boot(ctx context.Context, t *testing.T, c Config) (Result, error) {
	t.Helper()
	result, err := Boot(ctx, c)
	left, globErr := filepath.Glob(filepath.Join(os.TempDir(), "sonde-guest-*"))
	if globErr != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, globErr)
	}
	return result, err
}

func TestBootBringsBackOutputAndStatus(t *testing.T) {
	c, outputs := rig(t, 3*time.Minute,
		`echo "$FROM $(pwd) $(id -u)"; echo to stderr >&2; printf 'no end \001\377'`,
		`exit 3`,
		`kill -9 $$`,
		`dd if=/dev/zero bs=1M count=4 2>/dev/null`,
		`sleep 100000 & echo started; touch /tmp/left`,
		`ps | grep -c 'sleep 10000[0]'; ls /tmp`,
	)
	c.Jobs = append(c.Jobs, Job{wire.Job{Args: []string{"/no/such/program"}}, outputs[1]})
	result, err := boot(t.Context(), t, c)
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]wire.Exit{0: {}, 1: {Code: 3}, 2: {Signal: 9}, 3: {}, 4: {}, 5: {}, 6: {Code: 127}}
	if diff := cmp.Diff(want, result.Exits); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(result.Release, "6.1.") {
		t.Errorf("release %q", result.Release)
	}
	for i, want := range map[int]string{
		0: "host /tmp 0\nto stderr\nno end \x01\xff",
		1: "guest: cannot start /no/such/program: no such file or directory\n",
		2: "",
		3: string(make([]byte, 4<<20)),
		4: "started\n",
		5: "0\nleft\n", // processes end with their job, files stay
	} {
		if got := outputs[i].String(); got != want {
			t.Errorf("job %d: got %.200q (%d bytes), want %.200q (%d bytes)", i, got, len(got), want, len(want))
		}
	}
}

func TestBootGuestPanics(t *testing.T) {
	c, _ := rig(t, 3*time.Minute, "exit 5", "echo c > /proc/sysrq-trigger")
	result, err := boot(t.Context(), t, c)
	var broken *GuestError
	if !errors.As(err, &broken) {
		t.Fatalf("got %v, want a GuestError", err)
	}
	if broken.Reason != "ended without reporting, while running /bin/sh" || !strings.Contains(broken.Console, "Kernel panic") {
		t.Errorf("reason %q, console:\n%s", broken.Reason, broken.Console)
	}
	if diff := cmp.Diff(map[int]wire.Exit{0: {Code: 5}}, result.Exits); diff != "" {
		t.Errorf("the job before the panic: %s", diff)
	}
}

func TestBootGuestSwitchedOff(t *testing.T) {
	c, _ := rig(t, 3*time.Minute, "poweroff -f")
	_, err := boot(t.Context(), t, c)
	if err == nil || err.Error() != "guest 6.1: ended without reporting, while running /bin/sh" {
		t.Errorf("got %v", err)
	}
}

// signal calls back when it is first written to.
type signal struct{ call func() }

func (s signal) Write(p []byte) (int, error) { s.call(); return len(p), nil }

func TestBootTimeoutKillsQemu(t *testing.T) {
	c, _ := rig(t, 12*time.Second, "exec sleep 100000")
	_, err := boot(t.Context(), t, c)
	if err == nil || !strings.Contains(err.Error(), "guest 6.1: no end after 12s, ") || !strings.HasSuffix(err.Error(), "qemu was killed") {
		t.Errorf("got %v", err)
	}
}

func TestBootStops(t *testing.T) {
	c, _ := rig(t, 3*time.Minute, "echo here; exec sleep 100000")
	ctx, cancel := context.WithCancel(t.Context())
	c.Jobs[0].Output = signal{cancel}
	_, err := boot(ctx, t, c)
	if err == nil || err.Error() != "guest 6.1: stopped while running /bin/sh" {
		t.Errorf("got %v", err)
	}
}

func TestBootWithoutInit(t *testing.T) {
	c, _ := rig(t, 3*time.Minute, "true")
	c.Archives = nil
	_, err := boot(t.Context(), t, c)
	var broken *GuestError
	if !errors.As(err, &broken) || !strings.Contains(broken.Console, "VFS: ") {
		t.Fatalf("got %v, want a GuestError with the kernel's complaint", err)
	}
}
