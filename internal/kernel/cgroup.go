package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroupID returns the number of a cgroup v2, which is the inode number of its folder. The path is one of the whole file system
// tree, or one below the mount point of cgroup2.
func cgroupID(root, path string) (uint64, error) {
	if path == "" || strings.ContainsRune(path, 0) {
		return 0, fmt.Errorf("cgroup %q: not a path", path)
	}
	var tried []string
	if filepath.IsAbs(path) {
		tried = append(tried, filepath.Join(root, path))
	}
	if table, err := readSmall(filepath.Join(root, "proc/self/mountinfo"), 4<<20); err == nil {
		for m := range MountsOf(table, "cgroup2") {
			tried = append(tried, filepath.Join(root, m.Point, path))
		}
	}
	for _, dir := range tried {
		if id, err := cgroupInode(dir); err == nil {
			return id, nil
		} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNoCgroup) {
			return 0, fmt.Errorf("cgroup %s: %w", path, err)
		}
	}
	return 0, fmt.Errorf("cgroup %s: there is no such folder of a cgroup v2: %w", path, fs.ErrNotExist)
}

var errNoCgroup = errors.New("not in a cgroup v2")

// cgroupInode is a variable so that the search can be tested without cgroups.
var cgroupInode = func(dir string) (uint64, error) {
	var on unix.Statfs_t
	if err := unix.Statfs(dir, &on); err != nil {
		return 0, err
	}
	if on.Type != unix.CGROUP2_SUPER_MAGIC {
		return 0, errNoCgroup
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return 0, errNoCgroup
	}
	return st.Ino, nil
}
