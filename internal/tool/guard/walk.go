package guard

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const maxLinks = 40 // followed for one path, as the kernel does

// walker finds what paths lead to. It goes step by step, each from the descriptor of the one before, so that what it says of
// a path was true of the directories it went through even if they are moved meanwhile.
type walker struct {
	ids  *identities
	root dir
}

// dir is a directory that is held open.
type dir struct {
	fd   int
	obj  object
	path string // without links
}

// step is a name that was looked up in a directory.
type step struct {
	dir  Object
	path string // of the directory
	name string
	obj  Object // what was there; zero: nothing
	link bool   // it was a link, and was followed
}

// found is where a path leads. Close it.
type found struct {
	stack []dir // the directories, root first; what is there itself too if it is one
	steps []step
	ends  []Entry // the path by its last step, and those of the links that its last names are
	fd    int     // what is there, by O_PATH; -1 if it is not
	obj   object
	// missing are the names that are not there, in the directory on top of the stack.
	missing []string
	name    string // the path of what is there, without links
}

func newWalker(ids *identities, root string) (*walker, error) {
	if root == "" {
		root = "/"
	}
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", root, err)
	}
	obj, err := ids.of(fd, "")
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", root, err)
	}
	return &walker{ids, dir{fd, obj, "/"}}, nil
}

func (w *walker) close() { unix.Close(w.root.fd) }

// dup opens the directory again, so that each holder closes its own.
func (d dir) dup() (dir, error) {
	fd, err := unix.FcntlInt(uintptr(d.fd), unix.F_DUPFD_CLOEXEC, 0)
	d.fd = fd
	return d, err
}

func (f *found) close() {
	if f.fd >= 0 && (len(f.stack) == 0 || f.top().fd != f.fd) {
		unix.Close(f.fd)
	}
	for _, d := range f.stack {
		unix.Close(d.fd)
	}
	f.stack, f.fd = nil, -1
}

// top is the deepest directory that is there.
func (f *found) top() dir { return f.stack[len(f.stack)-1] }

// walk goes along an absolute path, links followed. That something is missing is no error.
func (w *walker) walk(name string) (f *found, err error) {
	f = &found{fd: -1}
	defer func() {
		if err != nil {
			f.close()
			f = nil
			err = fmt.Errorf("%s: %w", name, err)
		}
	}()
	if err := f.restart(w); err != nil {
		return f, err
	}
	rest := names(name)
	if len(rest) == 0 {
		f.there(f.top().fd, f.top().obj, "/")
	}
	for links := 0; len(rest) > 0; {
		step := rest[0]
		rest = rest[1:]
		if step == ".." {
			if len(f.stack) > 1 {
				unix.Close(f.top().fd)
				f.stack = f.stack[:len(f.stack)-1]
			}
			if len(rest) == 0 {
				f.there(f.top().fd, f.top().obj, f.top().path)
			}
			continue
		}
		target, err := w.step(f, step, len(rest) == 0)
		if err != nil {
			return f, err
		}
		switch {
		case len(f.missing) > 0:
			f.missing = append(f.missing, rest...)
			return f, nil
		case target == "":
			continue
		}
		if links++; links > maxLinks {
			return f, unix.ELOOP
		}
		if strings.HasPrefix(target, "/") {
			if err := f.restart(w); err != nil {
				return f, err
			}
		}
		rest = append(names(target), rest...)
		if len(rest) == 0 {
			f.there(f.top().fd, f.top().obj, f.top().path)
		}
	}
	return f, nil
}

// restart goes back to the root.
func (f *found) restart(w *walker) error {
	for _, d := range f.stack {
		unix.Close(d.fd)
	}
	f.stack = nil
	root, err := w.root.dup()
	if err != nil {
		return err
	}
	f.stack = []dir{root}
	return nil
}

func (f *found) there(fd int, obj object, name string) { f.fd, f.obj, f.name = fd, obj, name }

// step looks up one name. It returns the target if that is a link.
func (w *walker) step(f *found, name string, last bool) (target string, err error) {
	at := f.top()
	f.steps = append(f.steps, step{dir: at.obj.Object, path: at.path, name: name})
	if last {
		f.ends = append(f.ends, Entry{at.obj.Object, name})
	}
	fd, err := unix.Openat(at.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		f.missing = []string{name}
		return "", nil
	}
	if err != nil {
		return "", err
	}
	obj, err := w.ids.of(fd, "")
	if err != nil {
		unix.Close(fd)
		return "", err
	}
	full := path.Join(at.path, name)
	f.steps[len(f.steps)-1].obj = obj.Object
	switch {
	case obj.isLink():
		f.steps[len(f.steps)-1].link = true
		target, err = readlink(fd)
		unix.Close(fd)
		return target, err
	case obj.isDir():
		f.stack = append(f.stack, dir{fd, obj, full})
		if last {
			f.there(fd, obj, full)
		}
		return "", nil
	case last:
		f.there(fd, obj, full)
		return "", nil
	}
	unix.Close(fd)
	return "", fmt.Errorf("%s: %w", full, unix.ENOTDIR)
}

// readlink reads the link that fd is, by O_PATH|O_NOFOLLOW.
func readlink(fd int) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", err
	}
	if n == 0 {
		return "", unix.ENOENT
	}
	return string(buf[:n]), nil
}

// names splits a path into its steps.
func names(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(s string) bool { return s == "" || s == "." })
}
