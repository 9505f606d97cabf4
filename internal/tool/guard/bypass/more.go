package bypass

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// moreOpens are further ways to come by the contents, or to have the file run.
var moreOpens = []*Way{
	{
		Name: "for writing", Does: "open(2) with O_WRONLY", Group: More, Access: "write",
		try: func(c *child) error { return write(unix.Open(c.File, unix.O_WRONLY|unix.O_CLOEXEC, 0)) },
	},
	{
		Name: "O_TRUNC", Does: "open(2) with O_TRUNC, which empties it", Group: More, Access: "truncate",
		try: func(c *child) error { return closing(unix.Open(c.File, unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0)) },
	},
	{
		Name: "O_TRUNC, read-only", Does: "open(2) with O_RDONLY and O_TRUNC, which empties it all the same", Group: More, Access: "truncate",
		try: func(c *child) error { return closing(unix.Open(c.File, unix.O_RDONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0)) },
	},
	{
		Name: "creat", Does: "creat(2) of what is there, which empties it", Group: More, Access: "write",
		try: func(c *child) error { return closing(classicCreat(c.File)) },
	},
	{
		Name: "another thread", Does: "open(2) by a thread that is not the first", Group: More, Access: "read",
		try: func(c *child) error {
			err := make(chan error)
			go func() {
				runtime.LockOSThread() // the main goroutine holds the first
				err <- c.openRead(c.File)
			}()
			return <-err
		},
	},
	{
		Name: "linked directory", Does: "its name below a symbolic link to its directory", Group: More, Access: "read",
		stage: func(s *scene) error { return unix.Symlink(s.Dir, s.Spare) },
		try:   func(c *child) error { return c.openRead(filepath.Join(c.Spare, c.Name)) },
	},
	{
		Name: "/proc/self/fd/N/name", Does: "its name below a descriptor of its directory", Group: More, Access: "read",
		prepare: func(c *child) (err error) {
			c.fd, err = unix.Open(c.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			return err
		},
		try: func(c *child) error { return c.openRead(procFD(c.fd) + "/" + c.Name) },
	},
	{
		Name: "/proc/PID/root", Does: "its path below the root of another process", Group: More, Access: "read",
		try: func(c *child) error { return c.openRead(fmt.Sprintf("/proc/%d/root%s", os.Getppid(), c.File)) },
	},
	{
		Name: "RESOLVE_IN_ROOT", Does: "openat2(2) with a root of its own", Group: More, Access: "read",
		prepare: func(c *child) (err error) {
			c.fd, err = unix.Open(c.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			return err
		},
		try: func(c *child) error {
			return c.read(unix.Openat2(c.fd, "/"+c.Name, &unix.OpenHow{Flags: readOnly, Resolve: unix.RESOLVE_IN_ROOT}))
		},
	},
	{
		Name: "open_tree", Does: "its name in a copy of the mount that hangs nowhere", Group: More, Access: "read",
		prepare: func(c *child) (err error) {
			if err := ownMounts(); err != nil {
				return err
			}
			c.fd, err = unix.OpenTree(unix.AT_FDCWD, c.Dir, unix.OPEN_TREE_CLONE|unix.O_CLOEXEC)
			return err
		},
		try: func(c *child) error { return c.read(unix.Openat(c.fd, c.Name, readOnly, 0)) },
	},
	{
		Name: "overlay", Does: "an overlay file system with its directory below", Group: More, Access: "read",
		prepare: func(c *child) error {
			if err := ownMounts(); err != nil {
				return err
			}
			if err := unix.Mount("none", c.Side, "overlay", 0, "lowerdir="+c.Dir+":"+c.Side); err != nil {
				return impossible("overlayfs cannot be mounted: %v", err)
			}
			return nil
		},
		try: func(c *child) error { return c.openRead(filepath.Join(c.Side, c.Name)) },
	},
	{
		Name: "opened again", Does: "a descriptor from before the rule, opened again through /proc/self/fd", Group: More, Access: "read",
		NotFor:  map[Shape]string{Create: notYetThere},
		prepare: hold(unix.O_RDONLY),
		try:     func(c *child) error { return c.openRead(procFD(c.fd)) },
	},
	{
		Name: "map_files", Does: "a mapping from before the rule, opened through /proc/self/map_files", Group: More, Access: "read",
		NotFor:  map[Shape]string{Create: notYetThere},
		prepare: holdMapped(unix.PROT_READ, unix.MAP_PRIVATE),
		try: func(c *child) error {
			start := uintptr(unsafe.Pointer(unsafe.SliceData(c.mem)))
			return c.openRead(fmt.Sprintf("/proc/self/map_files/%x-%x", start, start+uintptr(unix.Getpagesize())))
		},
	},
	{
		Name: "fanotify", Does: "the descriptor that comes with an event, when another process opens it", Group: More, Access: "read",
		prepare: func(c *child) (err error) {
			if c.fd, err = unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_CLOEXEC); err != nil {
				return impossible("no fanotify: %v", err)
			}
			return unix.FanotifyMark(c.fd, unix.FAN_MARK_ADD, unix.FAN_OPEN, unix.AT_FDCWD, c.File)
		},
		after: func(s *scene) error { return closing(unix.Open(s.File, readOnly, 0)) },
		try: func(c *child) error {
			b := make([]byte, 4096)
			n, err := unix.Read(c.fd, b)
			if err != nil {
				return err
			}
			const eventSize, fdAt = 24, 16 // struct fanotify_event_metadata
			if n < eventSize {
				return unix.EIO
			}
			fd := int32(binary.NativeEndian.Uint32(b[fdAt:]))
			if fd < 0 {
				return unix.EACCES // this event has no descriptor
			}
			return c.read(int(fd), nil)
		},
	},
	{
		Name: "io_uring openat2", Does: "a request like openat2(2) in an io_uring", Group: More, Access: "read",
		prepare: makeRing,
		try:     func(c *child) error { return c.read(c.ring.openat2(c.File, &unix.OpenHow{Flags: readOnly})) },
	},
	{
		Name: "32-bit open", Does: "open(2) as 32-bit programs call it", Group: More, Access: "read",
		try: func(c *child) error { return c.read(open32(c.File, readOnly)) },
	},
	{
		Name: "linked, then opened", Does: "a hard link that is made after the rule", Group: More, Access: "read",
		try: func(c *child) error {
			if err := unix.Link(c.File, c.Spare); err != nil {
				return err
			}
			return c.openRead(c.Spare)
		},
	},
	{
		Name: "renamed, then opened", Does: "a new name that is given after the rule", Group: More, Access: "read",
		try: func(c *child) error {
			if err := unix.Rename(c.File, c.Spare); err != nil {
				return err
			}
			return c.openRead(c.Spare)
		},
	},
	{
		Name: "directory renamed, then opened", Does: "its name in its directory, which is moved away after the rule", Group: More, Access: "read",
		try: func(c *child) error {
			if err := unix.Rename(c.Dir, c.Spare); err != nil {
				return err
			}
			return c.openRead(filepath.Join(c.Spare, c.Name))
		},
	},
	{
		Name: "execveat", Does: "a descriptor with O_PATH is executed", Group: More, Access: "exec",
		prepare: func(c *child) (err error) {
			c.fd, err = unix.Open(c.File, unix.O_PATH|unix.O_CLOEXEC, 0)
			return err
		},
		try: func(c *child) error { return runFD(c.fd) },
	},
	{
		Name: "fexecve", Does: "a descriptor from before the rule is executed", Group: More, Access: "exec",
		NotFor:  map[Shape]string{Create: notYetThere},
		prepare: hold(unix.O_RDONLY),
		try:     func(c *child) error { return runFD(c.fd) },
	},
	{
		Name: "interpreter", Does: "a script that names it behind #! is executed", Group: More, Access: "exec",
		stage: func(s *scene) error {
			const longest = 250 // a line of #! may be cut at 256 bytes
			if len(s.File) > longest || strings.ContainsAny(s.File, " \t\n") {
				return impossible("the decoy's path does not fit behind #!")
			}
			return os.WriteFile(s.Spare, []byte("#!"+s.File+"\n"), 0o700)
		},
		try: func(c *child) error { return run(c.Spare) },
	},
	{
		Name: "program loader", Does: "a program that names it as its loader is executed", Group: More, Access: "exec",
		stage: func(s *scene) error { return os.WriteFile(s.Spare, programWithLoader(s.File), 0o700) },
		try:   func(c *child) error { return run(c.Spare) },
	},
}

// runFD executes an open file; it returns only if that fails.
func runFD(fd int) error {
	empty := new(byte)
	argv := []*byte{empty, nil}
	envv := []*byte{nil}
	var pin runtime.Pinner
	pin.Pin(empty)
	defer pin.Unpin()
	_, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(empty)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])), unix.AT_EMPTY_PATH, 0)
	return errno
}
