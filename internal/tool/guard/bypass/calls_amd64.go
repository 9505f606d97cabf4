package bypass

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const exitMachine = 62 // EM_X86_64

// exitCode is exit_group(77).
var exitCode = []byte{0xbf, ranStatus, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05}

// classicOpen is open(2) itself; the C library and Go take openat(2).
func classicOpen(path string, flags int) (int, error) {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	fd, _, errno := unix.Syscall(unix.SYS_OPEN, uintptr(unsafe.Pointer(p)), uintptr(flags), 0)
	runtime.KeepAlive(p)
	return done(fd, errno)
}

// classicCreat is creat(2).
func classicCreat(path string) (int, error) {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	fd, _, errno := unix.Syscall(unix.SYS_CREAT, uintptr(unsafe.Pointer(p)), 0o700, 0)
	runtime.KeepAlive(p)
	return done(fd, errno)
}

// open32 is open(2) as 32-bit programs call it. Where the kernel does not run such programs the call is a fault, of which
// the process dies.
func open32(path string, flags int) (int, error) {
	low, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_32BIT)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Munmap(low) }() // it is there, so that it can be unmapped
	if copy(low[:len(low)-1], path) < len(path) {
		return -1, unix.ENAMETOOLONG
	}
	const open = 5
	ret := int32(int80(open, uintptr(unsafe.Pointer(&low[0])), uintptr(flags), 0))
	if ret < 0 {
		return -1, unix.Errno(-ret)
	}
	return int(ret), nil
}

// int80 makes a system call by the gate of 32-bit programs.
func int80(nr, a, b, c uintptr) uintptr
