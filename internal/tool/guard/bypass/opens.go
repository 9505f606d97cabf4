package bypass

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

const readOnly = unix.O_RDONLY | unix.O_CLOEXEC

// openRead opens a path and reads the file.
func (c *child) openRead(path string) error { return c.read(unix.Open(path, readOnly, 0)) }

const (
	otherName   = "its other name was given before the rule, and the rule is about this one"
	elsewhere   = "it was moved out of what the rule is about by a process that the rule does not mean"
	notYetThere = "the file was not there before the rule"
)

// opens are the ways of the table in which a check of the caller's string was measured.
var opens = []*Way{
	{
		Name: "openat", Does: "openat(2) with its path", Group: Opens, Access: "read",
		try: func(c *child) error { return c.openRead(c.File) },
	},
	{
		Name: "open", Does: "open(2) with its path", Group: Opens, Access: "read",
		try: func(c *child) error { return c.read(classicOpen(c.File, readOnly)) },
	},
	{
		Name: "openat2", Does: "openat2(2) with its path", Group: Opens, Access: "read",
		try: func(c *child) error {
			return c.read(unix.Openat2(unix.AT_FDCWD, c.File, &unix.OpenHow{Flags: readOnly}))
		},
	},
	{
		Name: "double slash", Does: "a path with //", Group: Opens, Access: "read",
		try: func(c *child) error { return c.openRead(c.Dir + "//" + c.Name) },
	},
	{
		Name: "dot-dot", Does: "a path with /..", Group: Opens, Access: "read",
		try: func(c *child) error { return c.openRead(c.Dir + "/../" + filepath.Base(c.Dir) + "/" + c.Name) },
	},
	{
		Name: "relative name", Does: "its name, from its directory", Group: Opens, Access: "read",
		prepare: func(c *child) error { return unix.Chdir(c.Dir) },
		try:     func(c *child) error { return c.openRead(c.Name) },
	},
	{
		Name: "dirfd", Does: "its name, and a descriptor of its directory", Group: Opens, Access: "read",
		prepare: func(c *child) (err error) {
			c.fd, err = unix.Open(c.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			return err
		},
		try: func(c *child) error { return c.read(unix.Openat(c.fd, c.Name, readOnly, 0)) },
	},
	{
		Name: "symlink", Does: "a symbolic link to it", Group: Opens, Access: "read",
		stage: func(s *scene) error { return unix.Symlink(s.File, s.Spare) },
		try:   func(c *child) error { return c.openRead(c.Spare) },
	},
	{
		Name: "hard link", Does: "another name that it has had before the rule", Group: Opens, Access: "read",
		NotFor: map[Shape]string{Base: otherName},
		stage:  func(s *scene) error { return unix.Link(s.File, s.Spare) },
		try:    func(c *child) error { return c.openRead(c.Spare) },
	},
	{
		Name: "renamed file", Does: "a new name that another process gave it after the rule", Group: Opens, Access: "read",
		NotFor: map[Shape]string{Tree: elsewhere, Base: elsewhere},
		after:  func(s *scene) error { return unix.Rename(s.File, s.Spare) },
		try:    func(c *child) error { return c.openRead(c.Spare) },
	},
	{
		Name: "/proc/self/root", Does: "its path below /proc/self/root", Group: Opens, Access: "read",
		try: func(c *child) error { return c.openRead("/proc/self/root" + c.File) },
	},
	{
		Name: "/proc/self/cwd", Does: "its name below /proc/self/cwd", Group: Opens, Access: "read",
		prepare: func(c *child) error { return unix.Chdir(c.Dir) },
		try:     func(c *child) error { return c.openRead("/proc/self/cwd/" + c.Name) },
	},
	{
		Name: "bind mount", Does: "its directory, mounted at another place", Group: Opens, Access: "read",
		prepare: func(c *child) error {
			if err := ownMounts(); err != nil {
				return err
			}
			return unix.Mount(c.Dir, c.Side, "", unix.MS_BIND, "")
		},
		try: func(c *child) error { return c.openRead(filepath.Join(c.Side, c.Name)) },
	},
	{
		Name: "bind mount of the file", Does: "the file itself, mounted over another one", Group: Opens, Access: "read",
		prepare: func(c *child) error {
			if err := ownMounts(); err != nil {
				return err
			}
			return unix.Mount(c.File, c.Other, "", unix.MS_BIND, "")
		},
		try: func(c *child) error { return c.openRead(c.Other) },
	},
	{
		Name: "chroot", Does: "a short name, in a root of its own", Group: Opens, Access: "read",
		prepare: func(c *child) error {
			// The working directory stays outside of the new root, so that the paths of the scene can be taken from there.
			return unix.Chroot(c.Dir)
		},
		try: func(c *child) error { return c.openRead("/" + c.Name) },
	},
	{
		Name: "O_PATH", Does: "a descriptor of a symbolic link with O_PATH, opened again through /proc/self/fd", Group: Opens, Access: "read",
		stage: func(s *scene) error { return unix.Symlink(s.File, s.Spare) },
		prepare: func(c *child) (err error) {
			c.fd, err = unix.Open(c.Spare, unix.O_PATH|unix.O_CLOEXEC, 0)
			return err
		},
		try: func(c *child) error { return c.openRead(procFD(c.fd)) },
	},
	{
		Name: "file handle", Does: "name_to_handle_at(2), then open_by_handle_at(2)", Group: Opens, Access: "read",
		prepare: func(c *child) (err error) {
			handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, c.File, 0)
			if err != nil {
				return err
			}
			c.handle = &handle
			c.fd, err = unix.Open(c.Dir, readOnly|unix.O_DIRECTORY, 0)
			return err
		},
		try: func(c *child) error { return c.read(unix.OpenByHandleAt(c.fd, *c.handle, readOnly)) },
	},
	{
		Name: "io_uring", Does: "a request to open it in an io_uring", Group: Opens, Access: "read",
		prepare: makeRing,
		try:     func(c *child) error { return c.read(c.ring.openat(c.File, readOnly, 0)) },
	},
	{
		Name: "io_uring worker", Does: "the same, done by a thread of the kernel", Group: Opens, Access: "read",
		prepare: makeRing,
		try:     func(c *child) error { return c.read(c.ring.openat(c.File, readOnly, sqeAsync)) },
	},
	{
		Name: "execve", Does: "it is executed", Group: Opens, Access: "exec",
		try: func(c *child) error { return run(c.File) },
	},
	{
		Name: "flipped string", Does: "a path that another thread changes while the kernel reads it", Group: Opens, Access: "read",
		try: race,
	},
}

func makeRing(c *child) (err error) {
	c.ring, err = newRing()
	return err
}
