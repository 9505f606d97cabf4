package target

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestMain is also what the processes run that tests start: a held COMMAND, or a stand-in for sonde that is to be killed.
func TestMain(m *testing.M) {
	if handled, status := LauncherMain(os.Args); handled {
		os.Exit(status)
	}
	if argv := os.Args[1:]; os.Getenv("TARGET_TEST") == "hold" {
		os.Unsetenv("TARGET_TEST")
		holdForever(argv)
	}
	os.Exit(m.Run())
}

// holdForever starts argv held, tells its process id on standard error, and never releases it.
func holdForever(argv []string) {
	signal.Ignore(syscall.SIGTERM)
	c, err := Start(argv, [3]*os.File{nil, os.Stdout, nil})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, c.Pid())
	for {
		time.Sleep(time.Hour)
	}
}

// fixture makes a folder that looks like a host. A content "-> X" makes a link to X, "dir" a folder.
func fixture(t *testing.T, files map[string]string) host {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, name)
		if content == "dir" {
			if err := os.MkdirAll(file, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(content) > 3 && content[:3] == "-> " {
			err = os.Symlink(content[3:], file)
		} else {
			err = os.WriteFile(file, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return host{root: root, fsType: fixtureFS(root)}
}

// fixtureFS tells file systems by their usual places.
func fixtureFS(root string) func(string) (int64, error) {
	return func(path string) (int64, error) {
		if _, err := os.Stat(path); err != nil {
			return 0, err
		}
		rel, _ := filepath.Rel(root, path)
		switch {
		case beneath(rel, "sys/fs/bpf"):
			return bpffsMagic, nil
		case beneath(rel, "sys/fs/cgroup/memory"):
			return 0x27e0eb, nil
		case beneath(rel, "sys/fs/cgroup"):
			return 0x63677270, nil
		}
		return 0x01021994, nil
	}
}

const (
	mountinfoV2 = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" +
		"31 22 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
	mountinfoHybrid = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" +
		"31 22 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n" +
		"32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
		"33 31 0:30 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw\n"
)
