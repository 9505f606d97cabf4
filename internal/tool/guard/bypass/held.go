package bypass

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// held are the ways by a descriptor, or a mapping, that the process has had before the rule. A guard that decides when
// files are opened does not see most of them.
var held = []*Way{
	{
		Name: "read", Does: "read(2)", prepare: hold(unix.O_RDONLY), Access: "read",
		try: func(c *child) error { return c.readHeld(c.fd) },
	},
	{
		Name: "io_uring read", Does: "a request to read in an io_uring", Access: "read",
		prepare: func(c *child) error { return errors.Join(makeRing(c), hold(unix.O_RDONLY)(c)) },
		try: func(c *child) error {
			b := make([]byte, decoySize)
			n, err := c.ring.pread(c.fd, b)
			c.got = b[:n]
			return err
		},
	},
	{
		Name: "sendfile", Does: "sendfile(2) to a pipe", prepare: hold(unix.O_RDONLY), Access: "read",
		try: func(c *child) error {
			return c.throughPipe(func(pipe int) (int, error) { return unix.Sendfile(pipe, c.fd, new(int64), decoySize) })
		},
	},
	{
		Name: "splice", Does: "splice(2) to a pipe", prepare: hold(unix.O_RDONLY), Access: "read",
		try: func(c *child) error {
			return c.throughPipe(func(pipe int) (int, error) {
				n, err := unix.Splice(c.fd, new(int64), pipe, nil, decoySize, 0)
				return int(n), err
			})
		},
	},
	{
		Name: "copy_file_range", Does: "copy_file_range(2) to another file", prepare: hold(unix.O_RDONLY), Access: "read",
		try: func(c *child) error {
			to, err := unix.Open(c.Other, unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			if _, err := unix.CopyFileRange(c.fd, new(int64), to, new(int64), decoySize, 0); err != nil {
				return err
			}
			return c.read(to, nil)
		},
	},
	{
		Name: "pidfd_getfd", Does: "a descriptor taken from a process that the rule does not mean", Access: "read",
		prepare: func(c *child) (err error) {
			c.fd, err = unix.PidfdOpen(os.Getppid(), 0)
			return err
		},
		try: func(c *child) error {
			number, err := c.heldByParent()
			if err != nil {
				return err
			}
			return c.read(unix.PidfdGetfd(c.fd, number, 0))
		},
	},
	{
		Name: "mmap", Does: "mmap(2)", prepare: hold(unix.O_RDONLY), Access: "read",
		try: func(c *child) error {
			if err := mapped(unix.PROT_READ, unix.MAP_PRIVATE)(c); err != nil {
				return err
			}
			c.got = c.mem
			return nil
		},
	},
	{
		Name: "mmap for writing", Does: "mmap(2), shared and writable", prepare: hold(unix.O_RDWR), Access: "write",
		try: func(c *child) error {
			if err := mapped(unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)(c); err != nil {
				return err
			}
			copy(c.mem, "overwritten")
			return nil
		},
	},
	{
		Name: "mapping", Does: "a mapping is read", prepare: holdMapped(unix.PROT_READ, unix.MAP_PRIVATE), Access: "read",
		try: func(c *child) error {
			c.got = c.mem
			return nil
		},
	},
	{
		Name: "write", Does: "write(2)", prepare: hold(unix.O_RDWR), Access: "write",
		try: func(c *child) error { return writeHeld(c.fd) },
	},
	{
		Name: "fallocate", Does: "fallocate(2) that punches a hole", prepare: hold(unix.O_RDWR), Access: "write",
		try: func(c *child) error {
			return unix.Fallocate(c.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, decoySize)
		},
	},
	{
		Name: "ftruncate", Does: "ftruncate(2)", prepare: hold(unix.O_RDWR), Access: "truncate",
		try: func(c *child) error { return unix.Ftruncate(c.fd, 3) },
	},
	{
		Name: "fchmod", Does: "fchmod(2)", prepare: hold(unix.O_RDONLY), Access: "metadata",
		try: func(c *child) error { return unix.Fchmod(c.fd, 0o777) },
	},
	{
		Name: "fchown", Does: "fchown(2)", prepare: hold(unix.O_RDONLY), Access: "metadata",
		try: func(c *child) error { return unix.Fchown(c.fd, 65534, 65534) },
	},
	{
		Name: "fsetxattr", Does: "fsetxattr(2)", prepare: hold(unix.O_RDONLY), Access: "metadata",
		try: func(c *child) error { return unix.Fsetxattr(c.fd, attribute, []byte("set"), 0) },
	},
	{
		Name: "ioctl of flags", Does: "ioctl(2) that sets flags such as those of chattr", prepare: hold(unix.O_RDONLY), Access: "metadata",
		try: func(c *child) error {
			const nodump = 0x40
			flags, err := unix.IoctlGetInt(c.fd, unix.FS_IOC_GETFLAGS)
			if errors.Is(err, unix.ENOTTY) {
				return impossible("this file system has no such flags")
			}
			if err != nil {
				return err
			}
			return unix.IoctlSetPointerInt(c.fd, unix.FS_IOC_SETFLAGS, flags|nodump)
		},
	},
}

func init() {
	for _, w := range held {
		w.Group = Held
		if w.Name != "pidfd_getfd" {
			w.NotFor = map[Shape]string{Create: notYetThere}
		}
	}
}

// hold opens the file before the rule.
func hold(flags int) func(*child) error {
	return func(c *child) (err error) {
		c.fd, err = unix.Open(c.File, flags|unix.O_CLOEXEC, 0)
		return err
	}
}

// mapped maps the file that is held.
func mapped(protection, flags int) func(*child) error {
	return func(c *child) (err error) {
		c.mem, err = unix.Mmap(c.fd, 0, decoySize, protection, flags)
		return err
	}
}

// holdMapped opens and maps the file before the rule, and keeps the mapping only.
func holdMapped(protection, flags int) func(*child) error {
	return func(c *child) error {
		if err := hold(unix.O_RDONLY)(c); err != nil {
			return err
		}
		defer unix.Close(c.fd)
		return mapped(protection, flags)(c)
	}
}

// throughPipe has the file sent into a pipe, and reads that.
func (c *child) throughPipe(send func(pipe int) (int, error)) error {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	n, err := send(p[1])
	if err != nil {
		return err
	}
	b := make([]byte, n)
	if n, err = unix.Read(p[0], b); err != nil {
		return err
	}
	c.got = b[:n]
	return nil
}

// heldByParent finds the descriptor by which the caller's process watches the decoy.
func (c *child) heldByParent() (int, error) {
	parent := os.Getppid()
	var decoy unix.Stat_t
	if err := unix.Lstat(c.File, &decoy); err != nil {
		return 0, err
	}
	const most = 1 << 16
	for fd := range most {
		var st unix.Stat_t
		if err := unix.Stat(fmt.Sprintf("/proc/%d/fd/%d", parent, fd), &st); err == nil && st.Dev == decoy.Dev && st.Ino == decoy.Ino {
			return fd, nil
		}
	}
	return 0, impossible("the process that watches the decoy has no descriptor of it")
}
