package target

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Command is a program that was started and waits, before its own execve, for Release.
//
// It runs as LauncherMain of this same program, with the standard streams it was given and this process's working
// directory, environment, process group, signal mask and open descriptors, except those that are close-on-exec. Signals
// have their default actions, whatever this process does with them.
type Command struct {
	name, path string
	proc       *os.Process
	hold       *os.File // a byte here says go, its end says give up
	report     *os.File // four bytes of errno, or its end when COMMAND runs
	done       chan struct{}
	status     int // after done
	settle     sync.Mutex
	settled    bool // released or cancelled
}

// Start starts argv held; argv[0] is looked for as execvp(3) does. Of stdio, nil is closed. What keeps it from being
// found or run is a *CommandError. The caller must Release or Cancel it.
//
// It should be called before anything that COMMAND must not inherit: limits raised for this process alone, descriptors
// without close-on-exec. No other process should be started at the same time, for it would inherit the pipes.
func Start(argv []string, stdio [3]*os.File) (*Command, error) {
	if len(argv) == 0 {
		return nil, errors.New("target: no COMMAND to start")
	}
	path, err := lookPath(argv[0])
	if err != nil {
		return nil, err
	}
	return start(path, argv, stdio)
}

func start(path string, argv []string, stdio [3]*os.File) (c *Command, err error) {
	// os.StartProcess moves descriptors to numbers just above the highest it is given; ours must be out of its way.
	lowest := 16
	for _, f := range stdio {
		if f != nil {
			lowest = max(lowest, int(f.Fd())+16)
		}
	}
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	pipe := func(child int) (ours, theirs *os.File, err error) {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return nil, nil, fmt.Errorf("starting COMMAND: pipe: %w", err)
		}
		ours = os.NewFile(uintptr(p[1-child]), "launcher")
		near := os.NewFile(uintptr(p[child]), "launcher")
		defer near.Close()
		far, err := unix.FcntlInt(near.Fd(), unix.F_DUPFD, lowest) // without close-on-exec: it is inherited
		if err != nil {
			ours.Close()
			return nil, nil, fmt.Errorf("starting COMMAND: no descriptor from %d on is free (ulimit -n): %w", lowest, err)
		}
		theirs = os.NewFile(uintptr(far), "launcher")
		return ours, theirs, nil
	}
	hold, held, err := pipe(0)
	if err != nil {
		return nil, err
	}
	files = append(files, held)
	report, reporter, err := pipe(1)
	if err != nil {
		hold.Close()
		return nil, err
	}
	files = append(files, reporter)

	args := append([]string{launcherName, strconv.Itoa(int(held.Fd())), strconv.Itoa(int(reporter.Fd())), path}, argv...)
	proc, err := os.StartProcess("/proc/self/exe", args, &os.ProcAttr{Files: stdio[:]})
	if err != nil {
		hold.Close()
		report.Close()
		var errno syscall.Errno
		if errors.As(err, &errno) && errno == unix.E2BIG {
			return nil, commandError(argv[0], path, errno)
		}
		return nil, fmt.Errorf("starting COMMAND: %w; is /proc mounted?", err)
	}
	c = &Command{name: argv[0], path: path, proc: proc, hold: hold, report: report, done: make(chan struct{})}
	go c.wait()
	return c, nil
}

func (c *Command) wait() {
	defer close(c.done)
	state, err := c.proc.Wait()
	if err != nil {
		c.status = statusLauncher
		return
	}
	ws := state.Sys().(syscall.WaitStatus)
	if c.status = ws.ExitStatus(); ws.Signaled() {
		c.status = 128 + int(ws.Signal())
	}
}

// Pid returns its process id, in this process's pid namespace. It is COMMAND's own: execve keeps it.
func (c *Command) Pid() int { return c.proc.Pid }

// Path is the file that COMMAND is.
func (c *Command) Path() string { return c.path }

// Done is closed when the process has ended.
func (c *Command) Done() <-chan struct{} { return c.done }

// Status returns the exit status, or 128 and the number of the signal that killed it. It waits for Done.
func (c *Command) Status() int {
	<-c.done
	return c.status
}

// Release lets COMMAND run, and returns when its execve has succeeded or failed. A *CommandError is what execve said; the
// process has then ended. Only the first Release or Cancel counts.
func (c *Command) Release() error {
	if !c.settleOnce() {
		return nil
	}
	defer c.report.Close()
	_, err := c.hold.Write([]byte{1})
	c.hold.Close()
	if err != nil { // nobody holds the other end
		return fmt.Errorf("COMMAND %q ended before it was started, with status %d", c.name, c.Status())
	}
	var errno [4]byte
	switch _, err := io.ReadFull(c.report, errno[:]); {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		<-c.done
		return commandError(c.name, c.path, syscall.Errno(binary.NativeEndian.Uint32(errno[:])))
	default:
		return fmt.Errorf("COMMAND %q: no word whether it was started: %w", c.name, err)
	}
}

// Cancel ends the process without COMMAND having run, and waits for that. After Release it does nothing.
func (c *Command) Cancel() {
	if !c.settleOnce() {
		return
	}
	_ = c.proc.Kill() // it may be stopped, or not have come to its pipe; an error means that it has ended
	c.hold.Close()
	c.report.Close()
	<-c.done
}

func (c *Command) settleOnce() bool {
	c.settle.Lock()
	defer c.settle.Unlock()
	first := !c.settled
	c.settled = true
	return first
}

// Signal sends a signal to it, and does nothing once it has ended.
func (c *Command) Signal(sig os.Signal) error {
	if err := c.proc.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signalling COMMAND %q: %w", c.name, err)
	}
	return nil
}
