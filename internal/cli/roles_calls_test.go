package cli

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	maps.Copy(roles, map[string]func([]string) int{"calls": roleCalls, "reads": roleReads})
}

// The functions that uprobes of tests are on. Programs of Go keep frame pointers; what a function gets is in registers
// that are not those of C.

//go:noinline
func calledLeaf(a, b int) int { return a*10 + b }

//go:noinline
func calledMiddle(a int) int { return calledLeaf(a, 8) + 1 }

//go:noinline
func calledOuter(a int) int { return calledMiddle(a) + 1 }

// roleCalls calls calledOuter so many times, with so many milliseconds between.
func roleCalls(args []string) int {
	times, err := strconv.Atoi(args[0])
	if err != nil {
		return fail(err)
	}
	pause, err := strconv.Atoi(args[1])
	if err != nil {
		return fail(err)
	}
	for i := range times {
		_ = calledOuter(i)
		time.Sleep(time.Duration(pause) * time.Millisecond)
	}
	if len(args) > 2 {
		if err := unix.Exec("/proc/self/exe", args[2:], os.Environ()); err != nil {
			return fail(fmt.Errorf("exec: %w", err))
		}
	}
	return 0
}

// Sizes that tell the calls of roleReads from others.
const (
	readSize  = 1111
	wroteSize = 777
)

// roleReads writes a file of wroteSize bytes, and so many times reads readSize bytes of it. Then it waits a little.
func roleReads(args []string) int {
	times, err := strconv.Atoi(args[0])
	if err != nil {
		return fail(err)
	}
	f, err := os.CreateTemp("", "reads")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(make([]byte, wroteSize)); err != nil {
		return fail(err)
	}
	fd := int(f.Fd())
	for range times {
		if _, err := unix.Seek(fd, 0, 0); err != nil {
			return fail(err)
		}
		if _, err := unix.Read(fd, make([]byte, readSize)); err != nil {
			return fail(err)
		}
	}
	time.Sleep(200 * time.Millisecond) // who wants to name its addresses has to find it alive
	return 0
}
