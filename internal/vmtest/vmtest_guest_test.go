//go:build guest

package vmtest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Without these the tests of other packages would test something else than they mean.
func TestGuestIsAGuest(t *testing.T) {
	if Guest() == "" {
		t.Fatal("a test with the tag guest runs outside a guest")
	}
	if os.Getuid() != 0 {
		t.Errorf("uid %d", os.Getuid())
	}
	cmdline, err := os.ReadFile("/proc/1/cmdline")
	if err != nil || !strings.HasPrefix(string(cmdline), "/init") {
		t.Errorf("process 1 is %q, %v", cmdline, err)
	}
	// Process 1's limit is what the test started with: where it is unlimited, a program that forgets to raise it on a
	// kernel that needs it would go unnoticed.
	var limit unix.Rlimit
	if err := unix.Prlimit(1, unix.RLIMIT_MEMLOCK, nil, &limit); err != nil || limit.Cur == unix.RLIM_INFINITY {
		t.Errorf("RLIMIT_MEMLOCK %+v, %v", limit, err)
	}
}

func TestGuestMounts(t *testing.T) {
	for path, magic := range map[string]int64{
		"/proc":                unix.PROC_SUPER_MAGIC,
		"/sys":                 unix.SYSFS_MAGIC,
		"/sys/kernel/tracing":  unix.TRACEFS_MAGIC,
		"/sys/kernel/debug":    unix.DEBUGFS_MAGIC,
		"/sys/kernel/security": unix.SECURITYFS_MAGIC,
		"/sys/fs/bpf":          unix.BPF_FS_MAGIC,
		"/sys/fs/cgroup":       unix.CGROUP2_SUPER_MAGIC,
		"/tmp":                 unix.TMPFS_MAGIC,
		"/run":                 unix.TMPFS_MAGIC,
		"/dev/shm":             unix.TMPFS_MAGIC,
	} {
		var fs unix.Statfs_t
		if err := unix.Statfs(path, &fs); err != nil || int64(fs.Type) != magic {
			t.Errorf("%s: type %#x, want %#x, %v", path, fs.Type, magic, err)
		}
	}
}

func TestGuestUserland(t *testing.T) {
	marker, err := os.ReadFile(filepath.Join("testdata", "marker.txt"))
	if err != nil || string(marker) != "copied with the test binary\n" {
		t.Errorf("testdata: %q %v", marker, err)
	}
	out, err := exec.Command("sh", "-c", "echo a | cat && true && /usr/bin/env sh -c 'ls /bin/true /dev/null /dev/stdin'").CombinedOutput()
	if want := "a\n/bin/true\n/dev/null\n/dev/stdin\n"; err != nil || string(out) != want {
		t.Errorf("got %q %v, want %q", out, err, want)
	}
	if out, err := exec.Command("su", "-s", "/bin/sh", "nobody", "-c", "id -u").CombinedOutput(); err != nil || string(out) != "65534\n" {
		t.Errorf("as nobody: %q %v", out, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("no loopback: %v", err)
	}
	listener.Close()
	at := t.TempDir()
	if err := unix.Mount("overlay", at, "overlay", 0, "lowerdir=/bin:/etc"); err != nil {
		t.Fatalf("overlay: %v", err)
	}
	if err := unix.Unmount(at, 0); err != nil {
		t.Error(err)
	}
}

// $SONDE_BIN is set only where sonde was built; then it runs here.
func TestGuestSonde(t *testing.T) {
	if out, err := exec.Command(Sonde(t), "--version").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
