package bypass

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// childName is the first argument by which this program knows that it is to try a way. The arguments behind it are the
// way's name, the paths of the scene, and the shape of the rule.
const childName = "sonde: decoy"

const childArgs = 9

func isChild(args []string) bool { return len(args) > 0 && args[0] == childName }

// The thread that runs init functions is the first of the process. Bound here, the main goroutine stays on it: what a way
// does to its thread (root, working directory, mounts) is done to the one that goes on.
func init() {
	if isChild(os.Args) {
		runtime.LockOSThread()
	}
}

// ChildMain is the other half of Stage. Main must call it with os.Args before it does anything else: in a process that a
// Stage started it does its part; handled is false in any other. The process must then exit with status.
func ChildMain(args []string) (handled bool, status int) {
	switch {
	case isBroom(args):
		return true, sweep(args[1:])
	case !isChild(args):
		return false, 0
	case len(args) != childArgs:
		return true, 2
	}
	w := Find(args[1])
	if w == nil {
		return true, 2
	}
	c := &child{scene: scene{
		Root: args[2], Tree: args[3], Dir: args[4], File: args[5], Side: args[6], Other: args[7], fd: -1,
	}, shape: Shape(max(0, slices.Index(shapeNames, args[8])))}
	c.Spare, c.Name = spareOf(c.Other), filepath.Base(c.File)
	return true, c.run(w, os.Stdin, os.Stdout)
}

// child is what a way works with.
type child struct {
	scene
	shape       Shape
	fd          int // a descriptor that prepare left for try
	ring        *ring
	mem         []byte
	handle      *unix.FileHandle
	got         []byte // what was read last
	tries, hits int
}

// report is what the child says, a line of JSON each time: when it is prepared, and when it has tried.
type report struct {
	Errno       int    `json:",omitempty"`
	Text        string `json:",omitempty"` // of an error
	NotHere     bool   `json:",omitempty"`
	Got         string `json:",omitempty"` // the end of what was read, in hexadecimal
	Tries, Hits int    `json:",omitempty"`
}

func (c *child) run(w *Way, in io.Reader, out io.Writer) int {
	tell := func(err error) bool {
		r := report{Tries: c.tries, Hits: c.hits, Got: hex.EncodeToString(c.got[max(0, len(c.got)-secretLen):])}
		if err != nil {
			r.Text, r.NotHere = err.Error(), errors.As(err, new(*notHere)) || lacking(err)
			var errno syscall.Errno
			if errors.As(err, &errno) {
				r.Errno = int(errno)
			}
		}
		line, jerr := json.Marshal(r)
		if jerr != nil {
			return false
		}
		_, werr := out.Write(append(line, '\n'))
		return werr == nil
	}
	// wait waits for the caller's word; the end of the pipe says that nobody is there to give it.
	wait := func() bool {
		var b [1]byte
		n, _ := in.Read(b[:])
		return n == 1
	}
	if !wait() {
		return 1
	}
	if w.prepare != nil {
		if err := w.prepare(c); err != nil {
			tell(fmt.Errorf("preparing: %w", err))
			return 1
		}
	}
	if !tell(nil) || !wait() {
		return 1
	}
	if !tell(w.try(c)) {
		return 1
	}
	return 0
}

// read reads a file that a way has opened, and closes it.
func (c *child) read(fd int, err error) error {
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return c.readHeld(fd)
}

// readHeld reads a file from its beginning, and leaves it open.
func (c *child) readHeld(fd int) error {
	b := make([]byte, decoySize)
	n, err := unix.Pread(fd, b, 0)
	if err != nil {
		return err
	}
	c.got = b[:n]
	return nil
}

// write changes the first bytes of a file that a way has opened, and closes it.
func write(fd int, err error) error {
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return writeHeld(fd)
}

func writeHeld(fd int) error {
	_, err := unix.Pwrite(fd, []byte("overwritten"), 0)
	return err
}

// closing closes what a way opened only to open it.
func closing(fd int, err error) error {
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// run executes a file; it returns only if that fails.
func run(path string) error { return unix.Exec(path, []string{path}, nil) }

// hasSecret says whether what was read is the decoy.
func (s *scene) hasSecret(got []byte) bool { return bytes.Contains(got, s.secret) }

// done turns what a raw system call returned into a descriptor.
func done(fd uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// procFD is the path under which a descriptor is opened again.
func procFD(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// ownMounts gives the thread mounts of its own, of which nothing gets out.
func ownMounts() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return impossible("no mount namespace of its own: %v", err)
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return impossible("mounts cannot be made private: %v", err)
	}
	return nil
}
