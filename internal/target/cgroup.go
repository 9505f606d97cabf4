package target

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// CgroupPath returns the one path, of those in the text of /proc/PID/cgroup, that says most about where a process is: that
// of cgroup v2 (the line "0::"), unless it is the root, where hybrid hosts leave everything; then the longest of cgroup v1,
// the first of equals. It is "" when the text has no such line. A path that begins with "/.." lies outside of the reader's
// cgroup namespace. The mark that the kernel puts after the path of a deleted cgroup is taken off.
func CgroupPath(procCgroup []byte) string {
	var v1, v2 string
	for line := range cgroupLines(procCgroup) {
		switch {
		case line.v2:
			v2 = line.path
		case len(line.path) > len(v1):
			v1 = line.path
		}
	}
	if v2 == "" || v2 == "/" && len(v1) > 1 {
		return v1
	}
	return v2
}

type cgroupLine struct {
	path string
	v2   bool
}

// cgroupLines goes through "ID:CONTROLLERS:PATH" lines, cgroups(7). A path may hold colons.
func cgroupLines(text []byte) func(yield func(cgroupLine) bool) {
	return func(yield func(cgroupLine) bool) {
		for line := range strings.Lines(string(text)) {
			id, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
			controllers, p, ok := strings.Cut(rest, ":")
			if !ok || !strings.HasPrefix(p, "/") {
				continue
			}
			p = strings.TrimSuffix(p, " (deleted)")
			if !yield(cgroupLine{p, id == "0" && controllers == ""}) {
				return
			}
		}
	}
}

// cgroupMount is where a cgroup2 file system is mounted, and which of its cgroups is seen there.
type cgroupMount struct{ dir, top string }

// cgroup2 finds the cgroup2 mount that shows most of the tree.
func (h host) cgroup2() (cgroupMount, error) {
	table, err := h.read("/proc/self/mountinfo", 16<<20)
	if err != nil {
		return cgroupMount{}, err
	}
	best, found := cgroupMount{}, false
	for mount := range kernel.MountsOf(string(table), "cgroup2") {
		m := cgroupMount{dir: mount.Point, top: mount.Root}
		if !found || len(m.top) < len(best.top) {
			best, found = m, true
		}
	}
	if !found {
		return best, errors.New("no cgroup v2 file system is mounted; `mount -t cgroup2 none /sys/fs/cgroup/unified` (make the folder first)")
	}
	return best, nil
}

// cgroupDir returns the folder of the cgroup v2 that name means: a path in the cgroup2 mount, a path as in
// /proc/PID/cgroup, or one relative to the mount. flag begins the errors.
func (h host) cgroupDir(flag, name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("%s: empty; give a path below the cgroup2 mount", strings.TrimSpace(flag))
	}
	m, err := h.cgroup2()
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	if slices.Contains(strings.Split(name, "/"), "..") {
		return "", fmt.Errorf("%s: `..` leads out of this cgroup namespace; give a path below %s", flag, m.dir)
	}
	dir := path.Clean(name)
	if !beneath(dir, m.dir) {
		rel := path.Clean("/" + name)
		if !beneath(rel, m.top) && path.IsAbs(name) {
			return "", fmt.Errorf("%s: only %s and what is below it is mounted, at %s", flag, m.top, m.dir)
		}
		if path.IsAbs(name) {
			rel = strings.TrimPrefix(rel, strings.TrimSuffix(m.top, "/"))
		}
		dir = path.Join(m.dir, rel)
	}
	st, err := os.Stat(h.path(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR):
		if path.IsAbs(name) {
			if magic, err := h.fsType(h.path(name)); err == nil && magic == unix.CGROUP_SUPER_MAGIC {
				return "", fmt.Errorf("%s: a cgroup v1, and the kernel can check only v2; give a path below %s", flag, m.dir)
			}
		}
		return "", fmt.Errorf("%s: no such cgroup (%s); find its path in /proc/PID/cgroup, after `0::`", flag, dir)
	case err != nil:
		return "", fmt.Errorf("%s: %w", flag, err)
	case !st.IsDir():
		return "", fmt.Errorf("%s: a file of a cgroup; give the folder, %s", flag, path.Dir(dir))
	}
	if magic, err := h.fsType(h.path(dir)); err != nil || magic != unix.CGROUP2_SUPER_MAGIC {
		return "", fmt.Errorf("%s: %s is not a cgroup v2; give a path below %s", flag, dir, m.dir)
	}
	return dir, nil
}

// beneath says whether the clean path p is dir or lies below it.
func beneath(p, dir string) bool {
	return dir == "/" || p == dir || strings.HasPrefix(p, dir+"/")
}

// narrow returns the cgroups that are in one of dirs and in dir as well. Cgroups are a tree: of two, one holds the other, or
// they have nothing in common.
func narrow(dirs []string, dir string) (both []string) {
	for _, d := range dirs {
		switch {
		case beneath(dir, d):
			return []string{dir}
		case beneath(d, dir):
			both = append(both, d)
		}
	}
	return both
}
