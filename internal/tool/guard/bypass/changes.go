package bypass

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// movable is why a rule about a file does not mean its directory.
const movable = "the rule is not about the directory, and the file stays guarded wherever that is moved"

// changes are the ways to change or remove the file that need no descriptor of it.
var changes = []*Way{
	{
		Name: "truncate", Does: "truncate(2)", Group: Changes, Access: "truncate",
		try: func(c *child) error { return unix.Truncate(c.File, 3) },
	},
	{
		Name: "link", Does: "link(2)", Group: Changes, Access: "link",
		try: func(c *child) error { return unix.Link(c.File, c.Spare) },
	},
	{
		Name: "link of a descriptor", Does: "linkat(2) of a descriptor with O_PATH through /proc/self/fd", Group: Changes, Access: "link",
		prepare: func(c *child) (err error) {
			c.fd, err = unix.Open(c.File, unix.O_PATH|unix.O_CLOEXEC, 0)
			return err
		},
		try: func(c *child) error {
			return unix.Linkat(unix.AT_FDCWD, procFD(c.fd), unix.AT_FDCWD, c.Spare, unix.AT_SYMLINK_FOLLOW)
		},
	},
	{
		Name: "rename", Does: "rename(2) to another name", Group: Changes, Access: "rename",
		try: func(c *child) error { return unix.Rename(c.File, c.Spare) },
	},
	{
		Name: "rename onto it", Does: "rename(2) of another file to its name", Group: Changes, Access: "rename",
		try: func(c *child) error { return unix.Rename(c.Other, c.File) },
	},
	{
		Name: "exchange", Does: "renameat2(2) with RENAME_EXCHANGE", Group: Changes, Access: "rename",
		try: func(c *child) error {
			return unix.Renameat2(unix.AT_FDCWD, c.Other, unix.AT_FDCWD, c.File, unix.RENAME_EXCHANGE)
		},
	},
	{
		Name: "exchange, first", Does: "the same, with the file named first", Group: Changes, Access: "rename",
		try: func(c *child) error {
			return unix.Renameat2(unix.AT_FDCWD, c.File, unix.AT_FDCWD, c.Other, unix.RENAME_EXCHANGE)
		},
	},
	{
		Name: "rename of its directory", Does: "rename(2) of the directory that it is in", Group: Changes, Access: "rename",
		NotFor: map[Shape]string{File: movable, Base: movable, Create: movable},
		try:    func(c *child) error { return unix.Rename(c.Dir, c.Spare) },
	},
	{
		Name: "unlink", Does: "unlink(2)", Group: Changes, Access: "delete",
		try: func(c *child) error { return unix.Unlink(c.File) },
	},
	{
		Name: "io_uring unlink", Does: "a request to unlink it in an io_uring", Group: Changes, Access: "delete",
		prepare: makeRing,
		try:     func(c *child) error { return c.ring.unlink(c.File) },
	},
	{
		Name: "rmdir", Does: "rmdir(2) of an empty directory beside it", Group: Changes, Access: "delete",
		NotFor: map[Shape]string{File: movable, Base: movable, Create: movable},
		stage:  func(s *scene) error { return os.Mkdir(filepath.Join(s.Dir, "empty"), 0o700) },
		try:    func(c *child) error { return unix.Rmdir(filepath.Join(c.Dir, "empty")) },
	},
	{
		Name: "chmod", Does: "chmod(2)", Group: Changes, Access: "metadata",
		try: func(c *child) error { return unix.Fchmodat(unix.AT_FDCWD, c.File, 0o777, 0) },
	},
	{
		Name: "chmod of a descriptor", Does: "chmod(2) of a descriptor with O_PATH through /proc/self/fd", Group: Changes, Access: "metadata",
		prepare: func(c *child) (err error) {
			c.fd, err = unix.Open(c.File, unix.O_PATH|unix.O_CLOEXEC, 0)
			return err
		},
		try: func(c *child) error { return unix.Fchmodat(unix.AT_FDCWD, procFD(c.fd), 0o777, 0) },
	},
	{
		Name: "chown", Does: "chown(2)", Group: Changes, Access: "metadata",
		try: func(c *child) error { return unix.Fchownat(unix.AT_FDCWD, c.File, 65534, 65534, 0) },
	},
	{
		Name: "utimensat", Does: "utimensat(2), which sets its times", Group: Changes, Access: "metadata",
		try: func(c *child) error {
			return unix.UtimesNanoAt(unix.AT_FDCWD, c.File, []unix.Timespec{{Sec: 1}, {Sec: 1}}, 0)
		},
	},
	{
		Name: "setxattr", Does: "setxattr(2)", Group: Changes, Access: "metadata",
		try: func(c *child) error { return unix.Setxattr(c.File, attribute, []byte("set"), 0) },
	},
	{
		Name: "removexattr", Does: "removexattr(2)", Group: Changes, Access: "metadata",
		stage: func(s *scene) error { return unix.Setxattr(s.File, attribute, []byte("set"), 0) },
		try:   func(c *child) error { return unix.Removexattr(c.File, attribute) },
	},
	{
		Name: "access control list", Does: "setxattr(2) of a POSIX ACL, which changes its mode", Group: Changes, Access: "metadata",
		try: func(c *child) error { return unix.Setxattr(c.File, "system.posix_acl_access", openACL(), 0) },
	},
	{
		Name: "file_setattr", Does: "file_setattr(2), which sets flags such as those of chattr", Group: Changes, Access: "metadata",
		try: func(c *child) error { return setFlags(c.File) },
	},
	{
		Name: "mount over it", Does: "another file mounted over it, in mounts of its own; it hides the file and changes nothing of it", Group: Changes,
		prepare: func(*child) error { return ownMounts() },
		try:     func(c *child) error { return unix.Mount(c.Other, c.File, "", unix.MS_BIND, "") },
	},
}

// attribute can be set in memory and on disks alike, by who may administrate the machine.
const attribute = "trusted.sonde"

// openACL is a POSIX access control list that lets everybody do all.
func openACL() []byte {
	const version, userObj, groupObj, other, all, undefined = 2, 1, 4, 0x20, 7, 0xffffffff
	le := binary.LittleEndian
	b := le.AppendUint32(nil, version)
	for _, tag := range []uint16{userObj, groupObj, other} {
		b = le.AppendUint16(b, tag)
		b = le.AppendUint16(b, all)
		b = le.AppendUint32(b, undefined)
	}
	return b
}

// setFlags sets the flag "not to be dumped" by file_setattr(2) of 6.17.
func setFlags(path string) error {
	const sysFileSetattr, nodump = 469, 0x80
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	attr := [3]uint64{nodump} // struct file_attr
	at := unix.AT_FDCWD
	_, _, errno := unix.Syscall6(sysFileSetattr, uintptr(at), uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0, 0)
	runtime.KeepAlive(p)
	switch {
	case errno == 0:
		return nil
	case errors.Is(errno, unix.ENOSYS):
		return impossible("this kernel has no file_setattr(2)")
	}
	return errno
}

// unlink removes a name by the ring.
func (r *ring) unlink(path string) error {
	const opUnlinkat = 36
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	_, err = r.do(request{op: opUnlinkat, fd: unix.AT_FDCWD, addr: unsafe.Pointer(p)})
	if errors.Is(err, unix.EINVAL) {
		return impossible("this kernel's io_uring cannot unlink")
	}
	return err
}

const alreadyThere = "the rule is about a file that is there"

// creates are the ways to make something of the file's name where there is nothing.
var creates = []*Way{
	{
		Name: "O_CREAT", Does: "open(2) with O_CREAT", try: func(c *child) error {
			return closing(unix.Open(c.File, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600))
		},
	},
	{
		Name: "io_uring O_CREAT", Does: "the same in an io_uring", prepare: makeRing, try: func(c *child) error {
			return closing(c.ring.openat(c.File, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0))
		},
	},
	{
		Name: "creat, new", Does: "creat(2)", try: func(c *child) error { return closing(classicCreat(c.File)) },
	},
	{
		Name: "mknod", Does: "mknod(2)", try: func(c *child) error { return unix.Mknod(c.File, unix.S_IFIFO|0o600, 0) },
	},
	{
		Name: "mkdir", Does: "mkdir(2)", try: func(c *child) error { return unix.Mkdir(c.File, 0o700) },
	},
	{
		Name: "symlink, new", Does: "symlink(2)", try: func(c *child) error { return unix.Symlink(c.Other, c.File) },
	},
	{
		Name: "link to there", Does: "link(2) of another file", try: func(c *child) error { return unix.Link(c.Other, c.File) },
	},
	{
		Name: "rename to there", Does: "rename(2) of another file", Access: "rename", try: func(c *child) error {
			return unix.Rename(c.Other, c.File)
		},
	},
	{
		Name: "O_TMPFILE", Does: "linkat(2) of a file that was opened with O_TMPFILE elsewhere",
		prepare: func(c *child) (err error) {
			c.fd, err = unix.Open(c.Side, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
			return err
		},
		try: func(c *child) error {
			return unix.Linkat(unix.AT_FDCWD, procFD(c.fd), unix.AT_FDCWD, c.File, unix.AT_SYMLINK_FOLLOW)
		},
	},
	{
		Name: "bind", Does: "bind(2) of a socket to that name",
		prepare: func(c *child) (err error) {
			c.fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			return unix.Chdir(c.Dir) // a socket's name is short
		},
		try: func(c *child) error { return unix.Bind(c.fd, &unix.SockaddrUnix{Name: c.Name}) },
	},
}

func init() {
	for _, w := range creates {
		w.Group, w.NotFor = Creates, map[Shape]string{File: alreadyThere}
		if w.Access == "" {
			w.Access = "create"
		}
	}
}
