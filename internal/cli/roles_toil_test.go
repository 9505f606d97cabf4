package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"sonde/internal/vmtest/wire"
)

func init() {
	maps.Copy(roles, map[string]func([]string) int{"toil": roleToil, "eat": roleEat})
}

// toils are work of one kind each, for scripts to see. Each takes milliseconds.
var toils = map[string]func() error{
	"files":   toilFiles,
	"opens":   toilOpens,
	"execs":   toilExecs,
	"sleeps":  toilSleeps,
	"kills":   toilKills,
	"setuids": toilSetuids,
	"tcp":     toilTCP,
	"unix":    toilUnix,
	"spin":    toilSpin,
	"memory":  toilMemory,
	"wait":    toilWait,
	// Of the whole system, for guests.
	"syncs":      toilSyncs,
	"disk":       toilDisk,
	"unanswered": toilUnanswered,
}

// roleToil does so many rounds of work: toil ROUNDS KIND...
func roleToil(args []string) int {
	rounds, err := strconv.Atoi(args[0])
	if err != nil {
		return fail(err)
	}
	for range rounds {
		for _, kind := range args[1:] {
			if err := toils[kind](); err != nil {
				return fail(fmt.Errorf("%s: %w", kind, err))
			}
		}
	}
	return 0
}

// toilFiles makes, writes, reads, maps, looks at and removes a file.
func toilFiles() error {
	dir, err := os.MkdirTemp("", "toil")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		return err
	}
	defer f.Close()
	page := make([]byte, 4096)
	fd := int(f.Fd())
	for range 4 {
		if _, err := unix.Write(fd, page[:1000]); err != nil {
			return err
		}
	}
	path, err := unix.BytePtrFromString(f.Name())
	if err != nil {
		return err
	}
	var stat unix.Stat_t
	var statx unix.Statx_t
	var statfs unix.Statfs_t
	_, readErr := unix.Pread(fd, page, 0)
	if _, err := unix.Seek(fd, 0, io.SeekStart); err != nil {
		return err
	}
	for {
		n, err := unix.Read(fd, page[:1500])
		if n == 0 || err != nil {
			readErr = errors.Join(readErr, err)
			break
		}
	}
	shared, mapErr := unix.Mmap(fd, 0, len(page), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if mapErr == nil {
		mapErr = errors.Join(unix.Msync(shared, unix.MS_SYNC), unix.Munmap(shared))
	}
	for _, nr := range oldStats {
		unix.Syscall(nr, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&stat)), 0)
	}
	return errors.Join(
		readErr, mapErr, unix.Fsync(fd), unix.Fdatasync(fd), unix.SyncFileRange(fd, 0, 0, 0),
		unix.Fstatat(unix.AT_FDCWD, f.Name(), &stat, 0), unix.Statx(unix.AT_FDCWD, f.Name(), 0, unix.STATX_SIZE, &statx), unix.Statfs(dir, &statfs),
		os.Rename(f.Name(), f.Name()+"2"),
	)
}

// toilOpens opens a file that is there and one that is not.
func toilOpens() error {
	for range 3 {
		f, err := os.Open("/etc/passwd")
		if err != nil {
			return err
		}
		f.Close()
		if _, err := os.Open("/nonexistent/file"); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%v, want ENOENT", err)
		}
	}
	return nil
}

func toilExecs() error {
	return exec.Command("/bin/true", "an argument", "another").Run()
}

func toilSleeps() error {
	nap := unix.NsecToTimespec(int64(2 * time.Millisecond))
	if err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &nap, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	if err := unix.Nanosleep(&nap, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	return nil
}

// toilKills sends signals that do nothing.
func toilKills() error {
	return errors.Join(unix.Kill(os.Getpid(), 0), unix.Tgkill(os.Getpid(), os.Getpid(), 0))
}

// toilSetuids changes the user of a thread, which then ends.
func toilSetuids() error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		for _, call := range [][4]uintptr{{unix.SYS_SETFSUID, 1}, {unix.SYS_SETRESUID, 65534, 65534, 65534}, {unix.SYS_SETUID, 65534}} {
			if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				done <- errno
				return
			}
		}
		done <- nil
	}()
	return <-done
}

// toilTCP has connections that end in the ordinary way and one that is reset.
func toilTCP() error {
	for i, address := range []string{"127.0.0.1:0", "[::1]:0", "127.0.0.1:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		answered := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err == nil {
				_, err = c.Write([]byte("an answer"))
				var b [1]byte
				c.Read(b[:]) // until the other side ends it, in whatever way
				c.Close()
			}
			answered <- err
		}()
		c, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			_, err = io.ReadFull(c, make([]byte, 9))
			if i == 2 {
				c.(*net.TCPConn).SetLinger(0)
			}
			c.Close()
			err = errors.Join(err, <-answered)
		}
		l.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// toilUnix talks to itself through sockets of both kinds.
func toilUnix() error {
	for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
		pair, err := unix.Socketpair(unix.AF_UNIX, kind, 0)
		if err != nil {
			return err
		}
		_, err = unix.Write(pair[0], []byte("a unix message"))
		if err == nil {
			_, err = unix.Read(pair[1], make([]byte, 100))
		}
		unix.Close(pair[0])
		unix.Close(pair[1])
		if err != nil {
			return err
		}
	}
	return nil
}

// toilSpin keeps a CPU busy.
func toilSpin() error {
	for end := time.Now().Add(30 * time.Millisecond); time.Now().Before(end); {
		_ = unix.Getpid()
	}
	return nil
}

// toilMemory touches pages that were not there.
func toilMemory() error {
	const size = 256 << 10
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	for i := 0; i < size; i += 4096 {
		m[i] = 1
	}
	return unix.Munmap(m)
}

// toilWait lets a second pass.
func toilWait() error {
	time.Sleep(1200 * time.Millisecond)
	return nil
}

// toilSyncs has a page written to the disk by the kernel's own threads.
func toilSyncs() error {
	disk, err := os.OpenFile(wire.Disk, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer disk.Close()
	if _, err := disk.WriteAt(make([]byte, 4096), 0); err != nil {
		return err
	}
	unix.Sync()
	f, err := os.Open("/")
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// toilDisk writes to the guest's disk, through the page cache and past it.
func toilDisk() error {
	for _, flags := range []int{unix.O_WRONLY, unix.O_WRONLY | unix.O_DIRECT} {
		f, err := os.OpenFile(wire.Disk, flags, 0)
		if err != nil {
			return err
		}
		page, err := unix.Mmap(-1, 0, 16384, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE) // aligned
		if err == nil {
			_, err = f.WriteAt(page, 65536)
			err = errors.Join(err, f.Sync(), unix.Munmap(page))
		}
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// toilUnanswered connects to a server that takes no more: the kernel sends the first packet again after a second.
func toilUnanswered() error {
	server, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	local := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := errors.Join(unix.Bind(server, local), unix.Listen(server, 0)); err != nil {
		return err
	}
	address, err := unix.Getsockname(server)
	if err != nil {
		return err
	}
	sockets := []int{server}
	for range 3 {
		s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		sockets = append(sockets, s)
		if err := unix.Connect(s, address); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			return err
		}
	}
	time.AfterFunc(3*time.Second, func() {
		for _, s := range sockets {
			unix.Close(s)
		}
	})
	return nil
}

// roleEat enters a control group and takes more and more memory: eat GROUP.
func roleEat(args []string) int {
	if err := os.WriteFile(filepath.Join(args[0], "cgroup.procs"), fmt.Append(nil, os.Getpid()), 0); err != nil {
		return fail(err)
	}
	var eaten [][]byte
	for range 64 {
		m := make([]byte, 1<<20)
		for i := 0; i < len(m); i += 4096 {
			m[i] = 1
		}
		eaten = append(eaten, m)
	}
	runtime.KeepAlive(eaten)
	return 0
}
