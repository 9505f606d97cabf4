package target

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// host is the machine that flags are resolved against: the live one, or a folder that looks like one.
type host struct {
	root string // put before every path; empty for the live host
	// fsType returns the magic number of the file system that path lies on. It takes the path as it is on disk.
	fsType func(path string) (int64, error)
}

var live = host{fsType: func(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	return int64(st.Type), nil
}}

// path is where an absolute path of that host lies on disk.
func (h host) path(p string) string { return h.root + p }

// read returns the content of a file of the host; more than limit bytes is an error. The size that stat tells is not
// asked: /proc does not know it.
func (h host) read(p string, limit int64) ([]byte, error) {
	f, err := os.Open(h.path(p))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: longer than %d bytes", p, limit)
	}
	return data, nil
}

// namespace returns the inode of a namespace of a process ("self" or a number): kind is "pid", "mnt", ...
func (h host) namespace(pid, kind string) (uint64, error) {
	link, err := os.Readlink(h.path("/proc/" + pid + "/ns/" + kind))
	if err != nil {
		return 0, err
	}
	num, begins := strings.CutPrefix(link, kind+":[")
	num, ends := strings.CutSuffix(num, "]")
	if !begins || !ends {
		return 0, fmt.Errorf("/proc/%s/ns/%s: not a namespace: %q", pid, kind, link)
	}
	return strconv.ParseUint(num, 10, 64)
}

// initialPIDNamespace is the inode of the first pid namespace, the same on every kernel (PROC_PID_INIT_INO).
const initialPIDNamespace = 0xEFFFFFFC

// ownPIDs says whether the process ids that this process sees are those that the kernel's programs see.
func (h host) ownPIDs() bool {
	ns, err := h.namespace("self", "pid")
	return err != nil || ns == initialPIDNamespace
}
