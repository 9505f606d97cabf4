package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// TracefsDir returns a directory that is the root of a tracefs. The answer, also a failed one, is kept for the life of the process.
//
// It is told by the file system's magic number, never by a path's name: /sys/kernel/tracing, then any tracefs of
// /proc/self/mountinfo. Where it is mounted nowhere, it is mounted for this process alone: a detached mount (fsopen(2),
// fsmount(2), kernel 5.2, needs CAP_SYS_ADMIN) that no other process sees in its mount table. It is reached through the file
// descriptor that holds it, as /proc/self/fd/N; that descriptor stays open until the process ends, however it ends, and
// then the kernel drops the mount, so nothing is left behind. Child processes do not inherit it.
//
// /sys/kernel/debug/tracing comes last, because looking at it can make the kernel (or an automounter) mount file systems that stay.
func TracefsDir() (dir string, err error) { return tracefsOnce() }

var tracefsOnce = sync.OnceValues(func() (string, error) {
	if dir := findTracefs("/"); dir != "" {
		return dir, nil
	}
	dir, err := mountTracefs()
	if err == nil {
		return dir, nil
	}
	if debug := "/sys/kernel/debug/tracing"; isTracefs(debug) {
		return debug, nil
	}
	return "", fmt.Errorf("%w and cannot be mounted privately: %w; %s", ErrTracefsUnmounted, err, tracefsRemedy)
})

// ErrTracefsUnmounted is wrapped by TracefsDir's error. With it comes the reason why the private mount failed:
// unix.EPERM without CAP_SYS_ADMIN, unix.ENODEV where the kernel has no tracefs.
var ErrTracefsUnmounted = errors.New("tracefs is not mounted")

const tracefsRemedy = "run with CAP_SYS_ADMIN, or `mount -t tracefs nodev /sys/kernel/tracing`"

// findTracefs looks where no look changes anything. Paths in the mount table are taken below root.
func findTracefs(root string) string {
	if dir := filepath.Join(root, "sys/kernel/tracing"); isTracefs(dir) {
		return dir
	}
	table, err := readSmall(filepath.Join(root, "proc/self/mountinfo"), 4<<20)
	if err != nil {
		return ""
	}
	for _, dir := range tracefsMounts(table) {
		if isTracefs(dir) {
			return dir
		}
	}
	return ""
}

// isTracefs is a variable so that the search can be tested without mounts.
var isTracefs = func(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.TRACEFS_MAGIC
}

// tracefsMounts returns the mount points of all whole tracefs of a mountinfo text, in its order.
func tracefsMounts(table string) (dirs []string) {
	for m := range MountsOf(table, "tracefs") {
		if m.Root == "/" { // else it is a bind mount of one of its folders
			dirs = append(dirs, m.Point)
		}
	}
	return dirs
}

// mountTracefs mounts tracefs where nobody but this process can see it, and returns its root. The mount is read-only: probes
// are made by perf_event_open(2) and bpf(2), never by writing to tracefs.
func mountTracefs() (string, error) {
	ctx, err := unix.Fsopen("tracefs", unix.FSOPEN_CLOEXEC)
	switch {
	case errors.Is(err, unix.ENODEV):
		return "", fmt.Errorf("this kernel has none (CONFIG_TRACING): %w", err)
	case err != nil:
		return "", fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(ctx)
	if err := unix.FsconfigCreate(ctx); err != nil {
		return "", fmt.Errorf("fsconfig: %w", err)
	}
	const attrs = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	mnt, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, attrs)
	if err != nil {
		return "", fmt.Errorf("fsmount: %w", err)
	}
	dir := "/proc/self/fd/" + strconv.Itoa(mnt)
	if !isTracefs(dir) { // /proc may be missing, or be that of another pid namespace
		unix.Close(mnt)
		return "", fmt.Errorf("%s does not lead to the mount; is /proc mounted?", dir)
	}
	return dir, nil
}

// CheckTracefs returns nil where tracefs is there and this process may read it. The error wraps fs.ErrPermission where it
// may not: only root may, on most systems.
func CheckTracefs() error {
	dir, err := TracefsDir()
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(dir, "events"))
	if err != nil {
		return fmt.Errorf("tracefs: %w", err)
	}
	return f.Close()
}

// TracepointID returns the number by which perf_event_open(2) knows the tracepoint group:name. The error wraps
// fs.ErrNotExist where this kernel does not have the tracepoint.
func TracepointID(group, name string) (uint64, error) {
	dir, err := TracefsDir()
	if err != nil {
		return 0, err
	}
	return tracepointID(dir, group, name)
}

func tracepointID(dir, group, name string) (uint64, error) {
	if !eventWord(group) || !eventWord(name) {
		return 0, fmt.Errorf("tracepoint %q:%q: a name has only letters, digits, '_', '-' and '.'", group, name)
	}
	text, err := readSmall(filepath.Join(dir, "events", group, name, "id"), 32)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("tracepoint %s:%s: this kernel does not have it: %w", group, name, fs.ErrNotExist)
	case errors.Is(err, os.ErrPermission):
		return 0, fmt.Errorf("tracepoint %s:%s: %w; run as root or with CAP_DAC_READ_SEARCH", group, name, err)
	case err != nil:
		return 0, fmt.Errorf("tracepoint %s:%s: %w", group, name, err)
	}
	id, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("tracepoint %s:%s: its id is not a number: %q", group, name, text)
	}
	return id, nil
}

// eventWord says whether s can be the name of a folder of tracefs's events and nothing else: it never leads out of it.
func eventWord(s string) bool {
	if s == "" || s[0] == '.' {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
		default:
			return false
		}
	}
	return true
}
