package print

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// OpenOutput opens the file of -o for writing: made with mode 0644 less the umask, emptied if it is there.
//
// sonde runs as root and people write to /tmp, so a symbolic link at the end of path is followed only if it belongs to
// root or to us, at every step; links among the directories before it are the kernel's to guard (protected_symlinks).
// A block device, a directory and a named pipe that nobody reads are refused. /dev/stdout, /dev/stderr and /dev/fd/N are
// what we have open already: they are neither reopened nor emptied.
//
// Errors are one line that names the path.
func OpenOutput(path string) (*Output, error) {
	f, err := openFile(path, uint32(os.Geteuid()))
	if err != nil {
		return nil, fmt.Errorf("cannot write to %q: %w", path, err)
	}
	o := NewOutput(f)
	o.owned = f
	return o, nil
}

const (
	openFlags = unix.O_WRONLY | unix.O_CREAT | unix.O_CLOEXEC | unix.O_NOCTTY |
		unix.O_NONBLOCK // a named pipe must not make us wait for its reader
	maxLinks = 40 // as in the kernel
)

func openFile(path string, euid uint32) (*os.File, error) {
	name := path
	flags := openFlags | unix.O_NOFOLLOW
	for range maxLinks {
		if n, ok := ownDescriptor(name); ok {
			fd, err := unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				return nil, fmt.Errorf("descriptor %d is not open: %w", n, err)
			}
			return os.NewFile(uintptr(fd), path), nil
		}
		fd, err := openRetry(name, flags)
		if err == nil {
			return checkFile(fd, path)
		}
		if !errors.Is(err, unix.ELOOP) || flags&unix.O_NOFOLLOW == 0 {
			return nil, explain(err)
		}
		target, magic, err := readLink(name, euid)
		if err != nil {
			return nil, err
		}
		if magic {
			flags &^= unix.O_NOFOLLOW
			continue
		}
		name = target
	}
	return nil, explain(unix.ELOOP)
}

func openRetry(name string, flags int) (fd int, err error) {
	for {
		fd, err = unix.Open(name, flags, 0o644)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// ownDescriptor reports whether name is one of our descriptors under the names that /dev has for them.
func ownDescriptor(name string) (int, bool) {
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/"} {
		if digits, ok := strings.CutPrefix(name, dir); ok {
			n, err := strconv.ParseUint(digits, 10, 31)
			return int(n), err == nil
		}
	}
	return 0, false
}

// readLink returns where the symbolic link leads. magic says that the path it reads as means nothing and only the kernel
// can follow it (/proc/PID/fd/N).
func readLink(name string, euid uint32) (target string, magic bool, err error) {
	fd, err := openRetry(name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return "", false, explain(err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", false, explain(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return name, false, nil // it was replaced just now: look again
	}
	if st.Uid != 0 && st.Uid != euid {
		return "", false, fmt.Errorf("%q is a symbolic link that belongs to user %d; name the file it leads to, or remove it",
			name, st.Uid)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return "", false, explain(err)
	}
	if fs.Type == unix.PROC_SUPER_MAGIC {
		return "", true, nil
	}
	buf := make([]byte, unix.PathMax+1)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", false, explain(err)
	}
	target = string(buf[:n])
	if !strings.HasPrefix(target, "/") {
		target = name[:strings.LastIndexByte(name, '/')+1] + target
	}
	return target, false, nil
}

// checkFile takes fd over. Only what may be overwritten is: so nothing was truncated at the opening.
func checkFile(fd int, path string) (*os.File, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil {
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFBLK:
			err = errors.New("it is a block device; name a file")
		case unix.S_IFREG:
			if st.Size > 0 {
				err = explain(unix.Ftruncate(fd, 0))
			}
		}
	}
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFIFO {
		// A pipe stays as it is: the runtime's poller waits for room in it.
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

var remedies = map[unix.Errno]string{
	unix.ENOENT:  "its directory does not exist; make it first",
	unix.ENOTDIR: "what it names as a directory is none",
	unix.EISDIR:  "it is a directory; name a file in it",
	unix.ENXIO:   "nobody reads from it; start the reader of the named pipe first",
	unix.ELOOP:   "too many symbolic links; name the file they lead to",
	unix.EROFS:   "its file system is read-only; name a file elsewhere",
	unix.EACCES:  "permission denied; name a file in a directory that you may write to",
	unix.EPERM:   "not permitted; name another file",
	unix.ETXTBSY: "it is a program that is running; name another file",
}

// explain puts what to do before the error, which stays in the chain.
func explain(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) && remedies[errno] != "" {
		return &explained{remedies[errno], errno}
	}
	return err
}

type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }
