package traced

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Command is what to start.
type Command struct {
	Root string   // "" or the root directory to change to
	Argv []string // Argv[0] is the path of the program, seen from Root
}

// Session is a running tool.
type Session struct {
	PID     int
	Started time.Time // before the fork

	cmd   *exec.Cmd
	out   watch
	gone  time.Time     // when the tool ended; set before ended is closed
	ended chan struct{} // closed when the tool has ended and all it wrote has been read
	errs  capped
	pipes sync.WaitGroup
}

// patience is how long a tool may take to end by itself.
const patience = 20 * time.Second

// Start starts a tool, its input and output a terminal, and expects records marked with tag.
func Start(c Command, tag string) (*Session, error) {
	ours, theirs, err := openPTY()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	errsOurs, errsTheirs, err := os.Pipe()
	if err != nil {
		ours.Close()
		return nil, err
	}
	defer errsTheirs.Close()
	s := &Session{ended: make(chan struct{})}
	s.out.expect(tag)
	s.cmd = &exec.Cmd{
		Path: c.Argv[0], Args: c.Argv, Dir: "/",
		Env:   []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=xterm", "LANG=C.UTF-8"},
		Stdin: theirs, Stdout: theirs, Stderr: errsTheirs,
		SysProcAttr: &syscall.SysProcAttr{Chroot: c.Root, Pdeathsig: syscall.SIGKILL},
	}
	s.Started = time.Now()
	if err := s.cmd.Start(); err != nil {
		ours.Close()
		errsOurs.Close()
		return nil, fmt.Errorf("starting %s: %w", c.Argv[0], err)
	}
	s.PID = s.cmd.Process.Pid
	s.pipes.Add(2)
	go s.read(ours, s.out.write)
	go s.read(errsOurs, s.errs.write)
	go func() {
		_ = s.cmd.Wait() // how it ended does not matter: a tool stopped by SIGINT may well say so
		s.gone = time.Now()
		s.pipes.Wait()
		close(s.ended)
	}()
	return s, nil
}

// read hands over what comes until the other side is gone. Its thread goes before others, so that in a storm no tool has
// to wait for its terminal: what is measured is the tool.
func (s *Session) read(from *os.File, take func([]byte, time.Time)) {
	defer s.pipes.Done()
	defer from.Close()
	runtime.LockOSThread() // and ends with the goroutine: nobody else is to have the priority
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		take(buf[:n], time.Now())
		if err != nil { // a terminal whose other side is closed reads as EIO
			return
		}
	}
}

// Expect makes the session count the records marked with tag, from nothing. Tags must not contain one another.
func (s *Session) Expect(tag string) { s.out.expect(tag) }

// First waits for the first record of the expected tag and returns when it was read.
func (s *Session) First(within time.Duration) (time.Time, error) {
	s.out.mu.Lock()
	first := s.out.first
	s.out.mu.Unlock()
	select {
	case <-first:
		return s.out.count().First, nil
	case <-s.ended:
		return time.Time{}, fmt.Errorf("it ended before its first record: %w", s.failure())
	case <-time.After(within):
		return time.Time{}, fmt.Errorf("no record within %v: %w", within, s.failure())
	}
}

// Settle waits until want distinct records have been read, or none for quiet, and returns the count.
func (s *Session) Settle(want int, quiet time.Duration) Count {
	since, had := time.Now(), -1
	for {
		count := s.out.count()
		if count.Distinct >= want || time.Since(since) > quiet {
			return count
		}
		if count.Distinct != had {
			since, had = time.Now(), count.Distinct
		}
		select {
		case <-s.ended:
			return s.out.count()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Stop sends SIGINT and returns how long the tool then took to end. One that does not end is killed, and an error.
func (s *Session) Stop() (time.Duration, error) {
	begin := time.Now()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}
	select {
	case <-s.ended:
		return s.gone.Sub(begin), nil
	case <-time.After(patience):
		s.Kill()
		return 0, fmt.Errorf("it did not end within %v of SIGINT: %w", patience, s.failure())
	}
}

// Kill ends the tool at once. It may have ended before.
func (s *Session) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// Remarks returns what the tool has said beside its records: lines about losses, and its stderr.
func (s *Session) Remarks() string { return s.out.lossRemarks() + "\n" + s.errs.String() }

func (s *Session) failure() error {
	if said := bytes.TrimSpace([]byte(s.errs.String())); len(said) > 0 {
		return fmt.Errorf("it said %q", said)
	}
	return errors.New("it said nothing on stderr")
}

// capped keeps the first maxOther bytes.
type capped struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (c *capped) write(piece []byte, _ time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := maxOther - c.buf.Len(); len(piece) > room {
		piece = piece[:room]
	}
	c.buf.Write(piece)
}

func (c *capped) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.String()
}
