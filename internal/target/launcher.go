package target

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// launcherName is the first argument by which this program knows that it is to wait and then become COMMAND.
//
// The arguments are: launcherName, the descriptor that says when, the descriptor that takes the error, the path of
// COMMAND's program, and COMMAND's own arguments from its name on.
const launcherName = "sonde: held"

const launcherArgs = 5

// statusLauncher is the exit status of a launcher that was not told to go. Nobody waits for it.
const statusLauncher = 125

func isLauncher(args []string) bool { return len(args) > 0 && args[0] == launcherName }

// The thread that runs init functions is the first of the process. Bound here, the main goroutine stays on it, so that it
// is the leader that calls execve: in the records COMMAND's exec has one number for thread and process.
func init() {
	if isLauncher(os.Args) {
		runtime.LockOSThread()
	}
}

// LauncherMain is the other half of Start. Main must call it with os.Args before it does anything else; in a process that
// Start made it waits for Release and becomes COMMAND. It returns only in any other process (handled is false) or when
// COMMAND could not be run (the process must then exit with status).
//
// While it waits it holds nothing but two pipes, which COMMAND does not get. When the process that started it ends, it ends
// too, without running COMMAND. Like execvp(3) and the shells, it gives a text file without `#!` to /bin/sh.
func LauncherMain(args []string) (handled bool, status int) {
	if !isLauncher(args) {
		return false, 0
	}
	if len(args) < launcherArgs {
		return true, statusLauncher
	}
	hold, ok1 := pipeArg(args[1])
	report, ok2 := pipeArg(args[2])
	if !ok1 || !ok2 || unix.Gettid() != unix.Getpid() {
		return true, statusLauncher
	}
	if !released(hold) {
		return true, statusLauncher
	}
	errno := become(args[3], args[4:])
	_, _ = unix.Write(report, binary.NativeEndian.AppendUint32(nil, uint32(errno))) // if nobody reads it, nobody asks
	if errno == unix.ENOENT {
		return true, statusNotFound
	}
	return true, statusNotRun
}

// pipeArg reads the number of a descriptor that must be a pipe, and keeps it from COMMAND.
func pipeArg(s string) (fd int, ok bool) {
	fd, err := strconv.Atoi(s)
	if err != nil || fd < 3 {
		return 0, false
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return 0, false
	}
	unix.CloseOnExec(fd)
	return fd, true
}

// released waits for the byte that says go; the end of the pipe says that nobody is there to say it.
func released(fd int) bool {
	var b [1]byte
	for {
		n, err := unix.Read(fd, b[:])
		if !errors.Is(err, unix.EINTR) {
			return n == 1
		}
	}
}

// become returns only if COMMAND cannot be run.
func become(path string, argv []string) syscall.Errno {
	env := os.Environ()
	err := syscall.Exec(path, argv, env)
	if errors.Is(err, unix.ENOEXEC) && isText(path) {
		err = syscall.Exec("/bin/sh", append([]string{"/bin/sh", path}, argv[1:]...), env)
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return unix.EINVAL // a NUL in an argument, which cannot come from a command line
	}
	return errno
}

// isText says whether a file's beginning has no NUL. Programs for other machines have one in their header.
func isText(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [128]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return false
	}
	for _, c := range head[:n] {
		if c == 0 {
			return false
		}
	}
	return true
}
