package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Programs that do to files what a guard may forbid.
func init() {
	roles["do"] = roleDo
	roles["opens"] = roleOpens
	roles["steady"] = roleSteady
	roles["hold"] = roleHold
}

// fileDeeds are what may be done to a file.
var fileDeeds = map[string]func(path string) error{
	"read":     func(p string) error { return opened(p, unix.O_RDONLY) },
	"write":    func(p string) error { return opened(p, unix.O_WRONLY) },
	"empty":    func(p string) error { return opened(p, unix.O_WRONLY|unix.O_TRUNC) },
	"create":   func(p string) error { return opened(p, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL) },
	"truncate": func(p string) error { return unix.Truncate(p, 1) },
	"delete":   func(p string) error { return unix.Unlink(p) },
	"rename":   func(p string) error { return unix.Rename(p, p+".renamed") },
	"over":     func(p string) error { return unix.Rename(p+".new", p) },
	"link":     func(p string) error { return unix.Link(p, p+".link") },
	"mkdir":    func(p string) error { return unix.Mkdir(p, 0o700) },
	"chmod":    func(p string) error { return unix.Chmod(p, 0o600) },
	"exec":     func(p string) error { return syscall.Exec(p, []string{p}, nil) },
}

func opened(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// roleDo does one thing to a file and ends with the number of the error, 0 for none: do DEED PATH.
func roleDo(args []string) int {
	var errno unix.Errno
	switch err := fileDeeds[args[0]](args[1]); {
	case err == nil:
		return 0
	case errors.As(err, &errno):
		return int(errno)
	default:
		return fail(err)
	}
}

// roleOpens opens a file N times as fast as it can and tells how many opens succeeded: opens PATH N.
func roleOpens(args []string) int {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fail(err)
	}
	got := 0
	for range n {
		if opened(args[0], unix.O_RDONLY) == nil {
			got++
		}
	}
	fmt.Println(got)
	return 0
}

// roleSteady opens a file as fast as it can until its standard input ends. To each line it answers how many opens there have
// been, and how many of them succeeded: steady PATH.
func roleSteady(args []string) int {
	var tried, got atomic.Uint64
	go func() {
		for {
			if opened(args[0], unix.O_RDONLY) == nil {
				got.Add(1)
			}
			tried.Add(1)
		}
	}()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(tried.Load(), got.Load())
	}
	return 0
}

// roleHold keeps a file open until its standard input ends; to each line it answers with what it reads: hold PATH.
func roleHold(args []string) int {
	f, err := os.Open(args[0])
	if err != nil {
		return fail(err)
	}
	fmt.Println("held")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		text := make([]byte, 64)
		n, err := f.ReadAt(text, 0)
		if n == 0 && err != nil {
			fmt.Println("error", err)
			continue
		}
		fmt.Println("text", strings.TrimSpace(string(text[:n])))
	}
	return 0
}

// credentials are those of a user without groups.
func credentials(uid int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid), NoSetGroups: false}}
}
