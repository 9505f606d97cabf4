package kernel

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestCgroupPaths(t *testing.T) {
	root := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(root, "proc/self"), 0o755))
	must(os.MkdirAll(filepath.Join(root, "sys/fs/cgroup/a/b"), 0o755))
	must(os.WriteFile(filepath.Join(root, "proc/self/mountinfo"),
		[]byte("30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"), 0o644))
	inode := func(dir string) uint64 {
		info, err := os.Stat(filepath.Join(root, "sys/fs/cgroup", dir))
		must(err)
		return info.Sys().(*syscall.Stat_t).Ino
	}
	for _, row := range []struct {
		id      uint64
		pattern string
		want    string
	}{
		{inode("a/b"), "", "unified:/a/b"},
		{inode("."), "", "unified:/"},
		{inode("a"), "uni*", "unified:/a"},
		{inode("a"), "cpu", ""},
		{1 << 60, "", ""},
	} {
		if got := cgroupPaths(root, row.id, row.pattern); got != row.want {
			t.Errorf("%d %q: %q, want %q", row.id, row.pattern, got, row.want)
		}
	}
}
