package open

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childEnv, in the environment of the test binary, makes it a process that opens files by order.
const childEnv = "SONDE_OPEN_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := obey(dir); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is a process of our own that opens files when it is told to.
type child struct {
	cmd *exec.Cmd
	in  *os.File
	out *bufio.Scanner
	dir string
}

// startChild starts one in a directory with the files and directories that the orders need.
func startChild(t *testing.T) *child {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"sub", "deep"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"file", "sub/inner", "handle", "script"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("sub/inner", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	in, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.Close()
	t.Cleanup(func() {
		w.Close()
		cmd.Wait()
		r.Close()
	})
	c := &child{cmd: cmd, in: w, out: bufio.NewScanner(r), dir: dir}
	c.out.Buffer(nil, 1<<20)
	c.answer(t)
	return c
}

func (c *child) answer(t *testing.T) string {
	t.Helper()
	if !c.out.Scan() {
		t.Fatalf("the child ended: %v", c.out.Err())
	}
	line := c.out.Text()
	if strings.HasPrefix(line, "error:") {
		t.Fatal(line)
	}
	return line
}

// do gives an order and waits until it is carried out; the answer is what it said.
func (c *child) do(t *testing.T, order string) string {
	t.Helper()
	if _, err := fmt.Fprintln(c.in, order); err != nil {
		t.Fatal(err)
	}
	return c.answer(t)
}

// obey carries out orders from standard input until it ends.
func obey(dir string) error {
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		name, arg, _ := strings.Cut(lines.Text(), " ")
		order, ok := orders[name]
		if !ok {
			return fmt.Errorf("no order %q", name)
		}
		said, err := order(dir, arg)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Println("done", said)
	}
	return lines.Err()
}

// raw makes a system call and closes what it opened; failed opens are no error.
func raw(nr uintptr, args ...uintptr) (string, error) {
	var a [6]uintptr
	copy(a[:], args)
	fd, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return fmt.Sprint(-int(errno)), nil
	}
	return fmt.Sprint(fd), unix.Close(int(fd))
}

func cstring(s string) uintptr {
	b, err := unix.BytePtrFromString(s)
	if err != nil {
		panic(err)
	}
	kept = append(kept, b)
	return uintptr(unsafe.Pointer(b))
}

var kept []*byte

const cwd = ^uintptr(99) // AT_FDCWD

var orders = map[string]func(dir, arg string) (string, error){
	"openat": func(_, path string) (string, error) {
		return raw(unix.SYS_OPENAT, cwd, cstring(path), unix.O_RDONLY|unix.O_CLOEXEC)
	},
	"create": func(_, path string) (string, error) {
		return raw(unix.SYS_OPENAT, cwd, cstring(path), unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0o640)
	},
	"openat2": func(_, path string) (string, error) {
		how := unix.OpenHow{Flags: unix.O_RDWR | unix.O_APPEND}
		return raw(unix.SYS_OPENAT2, cwd, cstring(path), uintptr(unsafe.Pointer(&how)), unix.SizeofOpenHow)
	},
	"dirfd": func(dir, path string) (string, error) {
		fd, err := unix.Open(dir+"/sub", unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return "", err
		}
		defer unix.Close(fd)
		said, err := raw(unix.SYS_OPENAT, uintptr(fd), cstring(path), unix.O_RDONLY)
		return fmt.Sprint(said, " ", fd), err
	},
	"tmpfile": func(dir, _ string) (string, error) {
		return raw(unix.SYS_OPENAT, cwd, cstring(dir), unix.O_TMPFILE|unix.O_RDWR, 0o600)
	},
	"handle": func(dir, path string) (string, error) {
		h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, path, 0)
		if errors.Is(err, unix.EOPNOTSUPP) {
			return "unsupported", nil
		}
		if err != nil {
			return "", err
		}
		at, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return "", err
		}
		defer unix.Close(at)
		fd, err := unix.OpenByHandleAt(at, h, unix.O_RDONLY)
		if err != nil {
			return "", err
		}
		return fmt.Sprint(fd), unix.Close(fd)
	},
	// A path of many short names: the kernel takes no more than 4,095 bytes at a time.
	"deep": func(dir, arg string) (string, error) { return deep(dir+"/deep", arg) },
	"memfd": func(string, string) (string, error) {
		fd, err := unix.MemfdCreate("x", 0)
		if err != nil {
			return "", err
		}
		defer unix.Close(fd)
		return raw(unix.SYS_OPENAT, cwd, cstring(fmt.Sprint("/proc/self/fd/", fd)), unix.O_RDONLY)
	},
	"deleted": func(dir, _ string) (string, error) {
		path := dir + "/gone"
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT, 0o600)
		if err != nil {
			return "", err
		}
		defer unix.Close(fd)
		if err := unix.Unlink(path); err != nil {
			return "", err
		}
		return raw(unix.SYS_OPENAT, cwd, cstring(fmt.Sprint("/proc/self/fd/", fd)), unix.O_RDONLY)
	},
	"fault": func(string, string) (string, error) { return raw(unix.SYS_OPENAT, cwd, 8, unix.O_RDONLY) },
	"exec": func(_, path string) (string, error) {
		return "", exec.Command(path).Run()
	},
	"thread": func(_, path string) (string, error) {
		tid := make(chan int)
		go func() {
			// Not unlocked: the thread ends with the goroutine.
			lockThread()
			raw(unix.SYS_OPENAT, cwd, cstring(path), unix.O_RDONLY)
			tid <- unix.Gettid()
		}()
		return fmt.Sprint(<-tid), nil
	},
	"mounts":   mounts,
	"io_uring": func(_, path string) (string, error) { return uringOpen(path) },
}

// mounts opens files below mounts of a mount namespace of its own: a file of a tmpfs, a file mounted over another one, one
// in a chroot, and one of the tmpfs when that is not mounted any more.
func mounts(dir, _ string) (string, error) {
	failed := make(chan error)
	go func() {
		// Not unlocked: the thread ends with the goroutine, and its namespace with it.
		lockThread()
		failed <- func() error {
			at := dir + "/deep"
			for _, step := range []func() error{
				func() error { return unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS) },
				func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
				func() error { return unix.Mount("none", at, "tmpfs", 0, "") },
				func() error { return os.WriteFile(at+"/of-tmpfs", nil, 0o600) },
				func() error { return unix.Mount(at+"/of-tmpfs", dir+"/handle", "", unix.MS_BIND, "") },
				func() error { return openOnly(dir + "/handle") },
			} {
				if err := step(); err != nil {
					return err
				}
			}
			fd, err := unix.Open(at+"/of-tmpfs", unix.O_RDONLY, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
				return err
			}
			if err := openOnly(fmt.Sprint("/proc/thread-self/fd/", fd)); err != nil {
				return err
			}
			if err := unix.Chroot(dir); err != nil {
				return err
			}
			return openOnly("/sub/inner")
		}()
	}()
	return "", <-failed
}

func openOnly(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// deep makes nested directories of one letter below dir, and opens "file" in the innermost by a path of so many bytes.
func deep(dir, arg string) (string, error) {
	var size int
	if _, err := fmt.Sscan(arg, &size); err != nil {
		return "", err
	}
	if err := unix.Chdir(dir); err != nil {
		return "", err
	}
	levels := (size - len(dir) - len("/f")) / 2
	for range levels {
		if err := unix.Mkdir("d", 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return "", err
		}
		if err := unix.Chdir("d"); err != nil {
			return "", err
		}
	}
	fd, err := unix.Open("f", unix.O_CREAT|unix.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	unix.Close(fd)
	path := dir + strings.Repeat("/d", levels)
	path += strings.Repeat("/", size-len(path)-1) + "f"
	said, err := raw(unix.SYS_OPENAT, cwd, cstring(path), unix.O_RDONLY)
	return fmt.Sprint(said, " ", levels), err
}

// The parts of io_uring's interface that one open needs.
type uringParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq, cq                                                                 [10]uint32
}

// uringOpen opens a file through io_uring: no system call of the open family is made.
func uringOpen(path string) (string, error) {
	const enterGetEvents, opOpenat, sqeSize = 1, 18, 64
	var p uringParams
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return "unsupported", nil
	}
	defer unix.Close(int(fd))
	ring := func(offset int64, size uint32) ([]byte, error) {
		return unix.Mmap(int(fd), offset, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	sq, err := ring(0, p.sq[6]+p.sqEntries*4) // sq_off.array
	if err != nil {
		return "", err
	}
	cq, err := ring(0x8000000, p.cq[5]+p.cqEntries*16) // cq_off.cqes
	if err != nil {
		return "", err
	}
	sqes, err := ring(0x10000000, p.sqEntries*sqeSize)
	if err != nil {
		return "", err
	}
	le := binary.NativeEndian
	sqes[0] = opOpenat
	le.PutUint32(sqes[4:], ^uint32(99))
	le.PutUint64(sqes[16:], uint64(cstring(path)))
	le.PutUint32(sqes[28:], unix.O_RDONLY)
	le.PutUint32(sq[p.sq[6]:], 0)
	le.PutUint32(sq[p.sq[1]:], le.Uint32(sq[p.sq[1]:])+1) // the tail
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, fd, 1, 1, enterGetEvents, 0, 0); errno != 0 {
		return "", errno
	}
	ret := int32(le.Uint32(cq[p.cq[5]+8:]))
	if ret >= 0 {
		unix.Close(int(ret))
	}
	return fmt.Sprint(ret), nil
}
