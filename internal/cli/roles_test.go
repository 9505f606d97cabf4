package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// roles are programs to be traced; each returns its exit status. They run in the test binary under another name.
var roles = map[string]func(args []string) int{
	"exit":       roleExit,
	"memfd":      roleMemfd,
	"thread":     roleThread,
	"race":       roleRace,
	"storm":      roleStorm,
	"parallel":   roleParallel,
	"failures":   roleFailures,
	"unresident": roleUnresident,
	"words":      roleWords,
	"sleep":      roleSleep,
	"orphan":     roleOrphan,
	"raw":        roleRaw,
	"contained":  roleContained,
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "role:", err)
	return 99
}

// roleExit ends with the status it is told.
func roleExit(args []string) int {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return fail(err)
	}
	return n
}

// roleMemfd copies a program into a memfd and executes it by descriptor, as fexecve(3) does.
func roleMemfd(args []string) int {
	runtime.LockOSThread()
	fd, err := unix.MemfdCreate("payload", unix.MFD_CLOEXEC)
	if err != nil {
		return fail(err)
	}
	program, err := os.ReadFile(args[0])
	if err != nil {
		return fail(err)
	}
	if _, err := unix.Write(fd, program); err != nil {
		return fail(err)
	}
	return fail(execveat(fd, "", append([]string{"true"}, args[1:]...), unix.AT_EMPTY_PATH))
}

func execveat(dir int, path string, argv []string, flags int) error {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	words, err := syscall.SlicePtrFromStrings(argv)
	if err != nil {
		return err
	}
	env, err := syscall.SlicePtrFromStrings(os.Environ())
	if err != nil {
		return err
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(dir), uintptr(unsafe.Pointer(p)),
		uintptr(unsafe.Pointer(&words[0])), uintptr(unsafe.Pointer(&env[0])), uintptr(flags), 0)
	return errno
}

// roleThread executes from a thread that is not the leader.
func roleThread(args []string) int {
	errs := make(chan error)
	runtime.LockOSThread() // the main goroutine keeps the leader
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			errs <- fmt.Errorf("the new thread is the leader")
			return
		}
		errs <- syscall.Exec(args[0], args, os.Environ())
	}()
	return fail(<-errs)
}

// roleRace has two threads of one process execute at once, N times in children of its own.
func roleRace(args []string) int {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fail(err)
	}
	self := filepath.Join(filepath.Dir(os.Args[0]), "role-race")
	for i := range n {
		cmd := exec.Command(self, args[0], "-1", strconv.Itoa(i))
		if n < 0 {
			break
		}
		if err := cmd.Run(); err != nil {
			return fail(err)
		}
	}
	if n >= 0 {
		return 0
	}
	var start sync.WaitGroup
	start.Add(2)
	errs := make(chan error)
	for _, side := range []string{"left", "right"} {
		go func() {
			runtime.LockOSThread()
			start.Done()
			start.Wait()
			words := []string{"true", side, args[2], side, strings.Repeat(side, 50), side}
			errs <- syscall.Exec(args[0], words, os.Environ())
		}()
	}
	for err := range errs {
		// The loser is told EAGAIN if it is told anything: the winner kills it.
		if err != syscall.EAGAIN {
			return fail(err)
		}
	}
	return 0
}

// spawn is fork and exec, without the runtime's own bookkeeping of children.
func spawn(path string, argv []string) (int, error) {
	return syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: []string{}, Files: []uintptr{0, 1, 2}})
}

func reap(pid int) error {
	var ws syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &ws, 0, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return err
		case ws.ExitStatus() != 0:
			return fmt.Errorf("process %d: status %d", pid, ws.ExitStatus())
		}
		return nil
	}
}

// roleStorm executes a program N times, one after the other: storm PATH N.
func roleStorm(args []string) int {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fail(err)
	}
	for i := range n {
		pid, err := spawn(args[0], []string{"true", strconv.Itoa(i)})
		if err != nil {
			return fail(err)
		}
		if err := reap(pid); err != nil {
			return fail(err)
		}
	}
	return 0
}

// roleParallel executes a program N times, many at once, each with WORDS arguments: parallel PATH N WORDS.
func roleParallel(args []string) int {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fail(err)
	}
	words, err := strconv.Atoi(args[2])
	if err != nil {
		return fail(err)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 100)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			argv := []string{"true", strconv.Itoa(i)}
			for w := range words - 2 {
				argv = append(argv, fmt.Sprintf("w%d", w))
			}
			pid, err := spawn(args[0], argv)
			if err == nil {
				err = reap(pid)
			}
			if err != nil {
				os.Exit(fail(err))
			}
		})
	}
	wg.Wait()
	return 0
}

// roleFailures tries one exec after the other that cannot succeed: failures TRUE NOTEXEC GARBAGE.
func roleFailures(args []string) int {
	runtime.LockOSThread()
	for _, try := range []struct {
		path string
		argv []string
		want syscall.Errno
	}{
		{"/nonexistent/program", []string{"nothing", "", "b"}, syscall.ENOENT},
		{args[1], []string{"notexec"}, syscall.EACCES},
		{args[2], []string{"garbage", "x"}, syscall.ENOEXEC},
		{args[0], []string{"big", strings.Repeat("x", 200<<10)}, syscall.E2BIG},
	} {
		if err := syscall.Exec(try.path, try.argv, nil); err != try.want {
			return fail(fmt.Errorf("%s: %v, want %v", try.path, err, try.want))
		}
	}
	return 0
}

// roleUnresident fails an exec with an argument in a page of a file that was never touched: unresident FILE. The kernel
// must not touch it either, so it is the name that is too long: that is found before anything else is looked at.
func roleUnresident(args []string) int {
	runtime.LockOSThread()
	f, err := os.Open(args[0])
	if err != nil {
		return fail(err)
	}
	page, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return fail(err)
	}
	here, _ := unix.BytePtrFromString("here")
	path, _ := unix.BytePtrFromString("/" + strings.Repeat("long", 2000))
	argv := [4]uintptr{uintptr(unsafe.Pointer(here)), uintptr(unsafe.Pointer(&page[0])), uintptr(unsafe.Pointer(here)), 0}
	unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv)), 0)
	runtime.KeepAlive(here)
	return 0
}

// roleWords executes PATH with N words of LENGTH bytes: words PATH N LENGTH. Words of length 0 are empty.
func roleWords(args []string) int {
	runtime.LockOSThread()
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fail(err)
	}
	length, err := strconv.Atoi(args[2])
	if err != nil {
		return fail(err)
	}
	argv := []string{"true"}
	for i := range n {
		argv = append(argv, strings.Repeat(string(rune('a'+i%26)), length))
	}
	return fail(syscall.Exec(args[0], argv, nil))
}

// roleRaw executes PATH with its other arguments, unquoted from Go syntax: bytes that no shell would pass.
func roleRaw(args []string) int {
	runtime.LockOSThread()
	var argv []string
	for _, a := range args[1:] {
		s, err := strconv.Unquote(`"` + a + `"`)
		if err != nil {
			return fail(err)
		}
		argv = append(argv, s)
	}
	return fail(syscall.Exec(args[0], argv, nil))
}

// roleSleep sleeps until it is killed.
func roleSleep([]string) int {
	for {
		unix.Pause()
	}
}

// roleOrphan leaves a child behind that executes PATH a while after it has itself ended: orphan PATH.
func roleOrphan(args []string) int {
	if len(args) == 2 {
		var b [1]byte
		os.Stdin.Read(b[:]) // until the parent is gone
		return fail(syscall.Exec(args[0], []string{"true", "orphan"}, nil))
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	_, err = os.StartProcess(filepath.Join(filepath.Dir(os.Args[0]), "role-orphan"), []string{os.Args[0], args[0], "child"},
		&os.ProcAttr{Files: []*os.File{r, nil, os.Stderr}})
	if err != nil {
		return fail(err)
	}
	runtime.KeepAlive(w) // the end of this process closes it
	return 0
}
