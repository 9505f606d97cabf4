package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mounts in the order they are made. Kernels without one of the optional file systems go without it.
var mounts = []struct {
	kind, at, options string
	optional          bool
}{
	{kind: "proc", at: "/proc"},
	{kind: "sysfs", at: "/sys"},
	{kind: "devtmpfs", at: "/dev"},
	{kind: "devpts", at: "/dev/pts", options: "mode=620,ptmxmode=666"},
	{kind: "tmpfs", at: "/dev/shm", options: "mode=1777"},
	{kind: "tmpfs", at: "/tmp", options: "mode=1777"},
	{kind: "tmpfs", at: "/run", options: "mode=755"},
	{kind: "debugfs", at: "/sys/kernel/debug", optional: true},
	{kind: "tracefs", at: "/sys/kernel/tracing"},
	{kind: "securityfs", at: "/sys/kernel/security", optional: true},
	{kind: "bpf", at: "/sys/fs/bpf"},
	{kind: "cgroup2", at: "/sys/fs/cgroup"},
}

func mountAll() error {
	// The kernel makes the root of an initramfs writable for all.
	if err := os.Chmod("/", 0o755); err != nil {
		return err
	}
	for _, m := range mounts {
		// In sysfs directories cannot be made; those that are there are there.
		if err := os.MkdirAll(m.at, 0o755); err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, m.options); err != nil && !m.optional {
			return fmt.Errorf("mounting %s on %s: %w", m.kind, m.at, err)
		}
	}
	for name, target := range map[string]string{
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "fd/0", "/dev/stdout": "fd/1", "/dev/stderr": "fd/2",
	} {
		if err := os.Symlink(target, name); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// loadModules loads the modules in dir in the order that the file "order" in it names.
func loadModules(dir string) error {
	order, err := os.ReadFile(filepath.Join(dir, "order"))
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(order)) {
		f, err := os.Open(filepath.Join(dir, name+".ko"))
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("loading module %s: %w", name, err)
		}
	}
	return nil
}

// identity gives the guest its host name, a loopback interface that is up, and the limits that a login has.
func identity(hostname string) error {
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bringing up lo: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1024, Max: 512 << 10}); err != nil {
		return fmt.Errorf("raising the limit on open files: %w", err)
	}
	// The command line, the console and this process know nothing of job control or of a umask.
	unix.Umask(0o022)
	return nil
}
