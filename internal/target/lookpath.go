package target

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit statuses of a COMMAND that was not run, as the shells and env(1) give them.
const (
	statusNotFound = 127
	statusNotRun   = 126
)

// CommandError is why COMMAND was not run.
type CommandError struct {
	Name   string // as it was typed
	Status int    // 127: not found; 126: found, but it cannot be run
	Err    error
}

func (e *CommandError) Error() string { return fmt.Sprintf("COMMAND %q: %v", e.Name, e.Err) }

func (e *CommandError) Unwrap() error { return e.Err }

// commandError explains what execve(2) said about path.
func commandError(name, path string, errno syscall.Errno) *CommandError {
	status := statusNotRun
	var err error
	switch errno {
	case unix.ENOENT:
		status = statusNotFound
		err = fmt.Errorf("%s, or the interpreter that it names, is missing: %w", path, errno)
	case unix.ENOEXEC:
		err = fmt.Errorf("%s is not a program for this machine: %w", path, errno)
	case unix.E2BIG:
		err = fmt.Errorf("the arguments and the environment are too long together: %w", errno)
	default:
		err = fmt.Errorf("%s cannot be run: %w", path, errno)
	}
	return &CommandError{Name: name, Status: status, Err: err}
}

// defaultPath is searched when there is no PATH, as the C library does.
const defaultPath = "/bin:/usr/bin"

// lookPath finds the program that name means, as execvp(3) does, so that COMMAND is what it would be without sonde: a name
// with a slash is not searched; an empty element of PATH is the working directory; a file that may not be run is passed
// over, and is the error if nothing better follows. The error is a *CommandError.
func lookPath(name string) (string, error) {
	if name == "" {
		return "", &CommandError{Name: name, Status: statusNotFound, Err: errors.New("empty; give a program")}
	}
	if strings.Contains(name, "/") {
		if err := runnable(name); err != nil {
			return "", notRunnable(name, err)
		}
		return name, nil
	}
	list, ok := os.LookupEnv("PATH")
	if !ok {
		list = defaultPath
	}
	var refused error
	for dir := range strings.SplitSeq(list, ":") {
		if dir == "" {
			dir = "."
		}
		file := strings.TrimSuffix(dir, "/") + "/" + name
		err := runnable(file)
		if err == nil {
			return file, nil
		}
		if errors.Is(err, fs.ErrPermission) && refused == nil {
			refused = notRunnable(name, fmt.Errorf("%s: %w", file, err))
		}
	}
	if refused != nil {
		return "", refused
	}
	return "", &CommandError{Name: name, Status: statusNotFound, Err: errors.New("not found in PATH; give its path")}
}

func notRunnable(name string, err error) *CommandError {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return &CommandError{Name: name, Status: statusNotFound, Err: errors.New("no such file")}
	case errors.Is(err, errFolder):
		return &CommandError{Name: name, Status: statusNotRun, Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &CommandError{Name: name, Status: statusNotRun, Err: fmt.Errorf("%w; it needs the right to be executed (chmod +x), on a file system mounted without noexec", err)}
	}
	return &CommandError{Name: name, Status: statusNotRun, Err: err}
}

// errFolder counts as a permission error, which is what execve(2) says of it.
var errFolder = fmt.Errorf("a folder, not a program: %w", fs.ErrPermission)

// runnable asks whether execve(2) of that file would get as far as reading it.
func runnable(file string) error {
	st, err := os.Stat(file)
	switch {
	case err != nil:
		return errors.Unwrap(err)
	case st.IsDir():
		return errFolder
	case !st.Mode().IsRegular():
		return unix.EACCES
	}
	return unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS)
}
