package cli

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Programs that open files.
func init() {
	roles["files"] = roleFiles
	roles["flood"] = roleFlood
	roles["unique"] = roleUnique
	roles["threads"] = roleThreads
}

// roleFiles opens files of its working directory in many ways, and does not mind how that ends.
func roleFiles([]string) int {
	dir, err := unix.Open("sub", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return fail(err)
	}
	for _, c := range []struct {
		dir   int
		path  string
		flags int
		mode  uint32
	}{
		{unix.AT_FDCWD, "plain", unix.O_RDONLY, 0},
		{unix.AT_FDCWD, "plain", unix.O_WRONLY | unix.O_APPEND, 0},
		{unix.AT_FDCWD, "made", unix.O_RDWR | unix.O_CREAT | unix.O_EXCL, 0o640},
		{unix.AT_FDCWD, "missing", unix.O_RDONLY, 0},
		{unix.AT_FDCWD, "plain/below", unix.O_RDONLY, 0},
		{dir, "../link", unix.O_RDONLY, 0},
		{dir, "inside", unix.O_RDONLY | unix.O_TRUNC, 0},
		{unix.AT_FDCWD, "", unix.O_RDONLY, 0},
		{unix.AT_FDCWD, ".", unix.O_WRONLY | unix.O_TMPFILE, 0o600},
	} {
		// Errors are part of what is looked at.
		_, _ = unix.Openat(c.dir, c.path, c.flags, c.mode)
	}
	how := unix.OpenHow{Flags: unix.O_WRONLY | unix.O_CREAT, Mode: 0o600, Resolve: unix.RESOLVE_IN_ROOT}
	_, _ = unix.Openat2(dir, "/second", &how)
	return 0
}

// roleFlood opens the first path and closes it, N times, as fast as it can: flood PATH N.
func roleFlood(args []string) int {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fail(err)
	}
	for range n {
		fd, err := unix.Open(args[0], unix.O_RDONLY, 0)
		if err != nil {
			return fail(err)
		}
		unix.Close(fd)
	}
	return 0
}

// roleUnique opens a few files some times, and so does a child: unique [child].
func roleUnique(args []string) int {
	for range 3 {
		for _, path := range []string{"plain", "./plain", "sub/inside", "missing"} {
			if fd, err := unix.Open(path, unix.O_RDONLY, 0); err == nil {
				unix.Close(fd)
			}
		}
	}
	if len(args) > 0 {
		return 0
	}
	pid, err := syscall.ForkExec(os.Args[0], []string{os.Args[0], "child"}, &syscall.ProcAttr{Env: os.Environ()})
	if err != nil {
		return fail(err)
	}
	if err := reap(pid); err != nil {
		return fail(err)
	}
	return 0
}

// roleThreads opens PATH.0 in one thread and PATH.1 in another, when it is told to, and says which threads they are.
func roleThreads(args []string) int {
	var tids [2]chan int
	goOn := make(chan struct{})
	done := make(chan struct{})
	for i := range tids {
		tids[i] = make(chan int, 1)
		go func() {
			runtime.LockOSThread()
			tids[i] <- unix.Gettid()
			<-goOn
			if fd, err := unix.Open(fmt.Sprint(args[0], ".", i), unix.O_RDONLY, 0); err == nil {
				unix.Close(fd)
			}
			done <- struct{}{}
		}()
	}
	fmt.Println(<-tids[0], <-tids[1])
	var b [1]byte
	os.Stdin.Read(b[:])
	close(goOn)
	<-done
	<-done
	return 0
}
