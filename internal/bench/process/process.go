// Package process runs a tool out of sight: what it writes goes to files in memory, and it is told by its BPF programs, its
// output and its CPU time when it is attached and when it has no work left. It starts and ends its own children only.
package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/bench/measure"
)

// Command is what to start.
type Command struct {
	Root string // "" or the root directory to change to
	Argv []string
	Env  []string // beside a small fixed one
}

// Process is a running tool. What it writes stays in memory until it is asked for: reading it would be work that takes part
// in the measurement.
type Process struct {
	PID     int
	Started time.Time // before the fork
	Gone    time.Time // when it ended, once Wait has returned nil

	cmd       *exec.Cmd
	out, errs *os.File
	ended     chan struct{}
}

// Launch starts a process.
func Launch(c Command) (*Process, error) {
	p := &Process{ended: make(chan struct{})}
	var err error
	if p.out, err = memoryFile("out"); err != nil {
		return nil, err
	}
	if p.errs, err = memoryFile("errs"); err != nil {
		p.out.Close()
		return nil, err
	}
	p.cmd = &exec.Cmd{
		Path: c.Argv[0], Args: c.Argv, Dir: "/",
		Env:    append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=xterm", "LANG=C.UTF-8"}, c.Env...),
		Stdout: p.out, Stderr: p.errs,
		SysProcAttr: &syscall.SysProcAttr{Chroot: c.Root, Pdeathsig: syscall.SIGKILL},
	}
	p.Started = time.Now()
	if err := p.cmd.Start(); err != nil {
		p.out.Close()
		p.errs.Close()
		return nil, fmt.Errorf("starting %s: %w", c.Argv[0], err)
	}
	p.PID = p.cmd.Process.Pid
	go func() {
		_ = p.cmd.Wait() // how it ended does not matter: a tool stopped by SIGINT may well say so
		p.Gone = time.Now()
		close(p.ended)
	}()
	return p, nil
}

func memoryFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Close ends the process, if it has not ended, and forgets what it has written.
func (p *Process) Close() {
	_ = p.cmd.Process.Kill()
	<-p.ended
	p.out.Close()
	p.errs.Close()
}

// Output reads what the process has written so far, from the beginning.
func (p *Process) Output() io.Reader { return io.NewSectionReader(p.out, 0, 1<<40) }

// Written is how many bytes that is.
func (p *Process) Written() int64 {
	info, err := p.out.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// Attached waits until programs are attached to that many places.
func (p *Process) Attached(places int) error {
	return p.poll(time.Minute, 5*time.Millisecond, func(have int) bool { return have >= places })
}

// Settled waits until programs are attached and no more are for a while: for what is attached to as many places as there are.
func (p *Process) Settled(while time.Duration) error {
	since, had := time.Now(), 0
	return p.poll(5*time.Minute, min(while/4, 50*time.Millisecond), func(have int) bool {
		if have != had {
			since, had = time.Now(), have
		}
		return have > 0 && time.Since(since) > while
	})
}

// Says waits until the process has said something on stderr, behind so many bytes of it (see Spoken).
func (p *Process) Says(text string, from int, within time.Duration) error {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		said, err := p.stderr()
		if err != nil {
			return err
		}
		if len(said) >= from && strings.Contains(said[from:], text) {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended before it said %q: %w", text, p.Said())
		default:
		}
	}
	return fmt.Errorf("it did not say %q within %v: %w", text, within, p.Said())
}

// Spoken is how many bytes the process has written to stderr, as far as anybody would read it.
func (p *Process) Spoken() (int, error) {
	said, err := p.stderr()
	return len(said), err
}

// stderr is what the process has written there, as far as anybody would read it.
func (p *Process) stderr() (string, error) {
	const enough = 64 << 10
	text, err := io.ReadAll(io.NewSectionReader(p.errs, 0, enough))
	return string(text), err
}

// poll looks at the number of attachments every so often until it is enough.
func (p *Process) poll(within, pace time.Duration, enough func(int) bool) error {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); {
		have, err := measure.Attachments(p.PID)
		select {
		case <-p.ended:
			return fmt.Errorf("it ended before it was attached: %w", p.Said())
		case <-time.After(pace):
		}
		if err == nil && enough(have) {
			return nil
		}
	}
	return fmt.Errorf("it was not attached within %v: %w", within, p.Said())
}

// Idle waits until the process has no work left: for a while it has written nothing and used next to no CPU time.
func (p *Process) Idle() error {
	const while, little = 100 * time.Millisecond, 5 * time.Millisecond
	quiet := 0
	for range 600 {
		before, errBefore := measure.CPUTime(p.PID)
		written := p.Written()
		time.Sleep(while)
		after, errAfter := measure.CPUTime(p.PID)
		if err := errors.Join(errBefore, errAfter); err != nil {
			return fmt.Errorf("%w: %w", err, p.Said())
		}
		if quiet++; after-before > little || p.Written() != written {
			quiet = 0
		}
		if quiet == 4 {
			return nil
		}
	}
	return errors.New("it does not come to rest")
}

// unheard is after how long a SIGINT is sent once more: bpftrace 0.17 was seen to miss one. Nothing takes so long to stop.
const unheard = 90 * time.Second

// Interrupt sends SIGINT and returns how long the process then took to end.
func (p *Process) Interrupt(within time.Duration) (time.Duration, error) {
	begin := time.Now()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}
	if p.Wait(min(within, unheard)) != nil {
		_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended by now
	}
	if err := p.Wait(within); err != nil {
		return 0, fmt.Errorf("after SIGINT, %w", err)
	}
	return p.Gone.Sub(begin), nil
}

// Wait waits for the end of the process.
func (p *Process) Wait(within time.Duration) error {
	select {
	case <-p.ended:
		return nil
	case <-time.After(within):
		return fmt.Errorf("it did not end within %v: %w", within, p.Said())
	}
}

// Total is the CPU time of a process that has ended.
func (p *Process) Total() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// Remarks is what the process has said beside its records: its stderr, and lines of its output about losses.
func (p *Process) Remarks() (string, error) {
	text, err := p.stderr()
	if err != nil {
		return "", err
	}
	lines := bufio.NewScanner(p.Output())
	for lines.Scan() {
		if measure.SpeaksOfLoss(lines.Bytes()) {
			text += "\n" + lines.Text()
		}
	}
	return text, lines.Err()
}

// Said is what the process wrote to stderr, as an error.
func (p *Process) Said() error {
	const enough = 2000
	text, err := io.ReadAll(io.NewSectionReader(p.errs, 0, enough))
	if err != nil {
		return err
	}
	if said := strings.TrimSpace(string(text)); said != "" {
		return fmt.Errorf("it said %q", said)
	}
	return errors.New("it said nothing on stderr")
}
