package workload

import (
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// callsRole is the kind of work of a process that makes system calls, job after job.
const callsRole = "calls"

// Job is what a Caller is asked for.
type job struct {
	Kind   jobKind
	Slices int
	Calls  int // in each slice
	Tag    string
	Dir    string
	Pace   time.Duration
}

type jobKind uint8

const (
	rest    jobKind = iota // nothing: what ends marks
	parents                // getppid
	opens                  // openat of MissingPath(0), MissingPath(1), ...
	closes                 // close of descriptors that there are not, each another
	files                  // openat and close of files that exist
	marks                  // openat of TAG-0, TAG-1, ... every half millisecond, until the next job
)

// answer is what a Caller is told: the slices of a job, or why there are none.
type answer struct {
	Slices []Slice
	Fail   string
}

// Caller is a process that makes system calls when it is asked to, in one thread that keeps to one CPU, and
// none of the calls in between.
type Caller struct {
	PID int

	cmd  *exec.Cmd
	jobs *gob.Encoder
	done *gob.Decoder
	stop func() error
}

// StartCaller starts a caller.
func StartCaller() (*Caller, error) {
	cmd := exec.Command("/proc/self/exe", Role, callsRole)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1") // no signals in the midst of a slice
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Caller{PID: cmd.Process.Pid, cmd: cmd, jobs: gob.NewEncoder(in), done: gob.NewDecoder(out), stop: in.Close}, nil
}

// Stop ends the process.
func (c *Caller) Stop() error {
	if err := c.stop(); err != nil {
		return err
	}
	return c.cmd.Wait()
}

// Parents calls getppid.
func (c *Caller) Parents(slices, calls int) ([]Slice, error) {
	return c.do(job{Kind: parents, Slices: slices, Calls: calls})
}

// Opens opens MissingPath(0), MissingPath(1) and so on, below MaxMissing.
func (c *Caller) Opens(slices, calls int) ([]Slice, error) {
	return c.do(job{Kind: opens, Slices: slices, Calls: calls})
}

// Closes closes that many descriptors, each another number, none of them open.
func (c *Caller) Closes(calls int) error {
	_, err := c.do(job{Kind: closes, Slices: 1, Calls: calls})
	return err
}

// Mark opens TAG-0, TAG-1 and so on, which do not exist, until Rest.
func (c *Caller) Mark(tag string) error { return c.jobs.Encode(job{Kind: marks, Tag: tag}) }

// Rest ends Mark.
func (c *Caller) Rest() error {
	_, err := c.do(job{Kind: rest})
	return err
}

func (c *Caller) do(j job) ([]Slice, error) {
	if err := c.jobs.Encode(j); err != nil {
		return nil, fmt.Errorf("the calling process: %w", err)
	}
	var a answer
	if err := c.done.Decode(&a); err != nil {
		return nil, fmt.Errorf("the calling process: %w", err)
	}
	if a.Fail != "" {
		return nil, fmt.Errorf("the calling process: %s", a.Fail)
	}
	return a.Slices, nil
}

// calls is the process of a Caller: it does jobs until in ends.
func calls(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	if err := pin(); err != nil {
		return err
	}
	jobs := make(chan job)
	go func() {
		defer close(jobs)
		for from := gob.NewDecoder(in); ; {
			var j job
			if from.Decode(&j) != nil {
				return
			}
			jobs <- j
		}
	}()
	answers := gob.NewEncoder(out)
	j, more := <-jobs
	for more {
		if j.Kind == marks {
			j, more = markOpens(j.Tag, jobs)
			continue
		}
		var a answer
		slices, err := j.run()
		if err != nil {
			a.Fail = err.Error()
		}
		a.Slices = slices
		if err := answers.Encode(a); err != nil {
			return err
		}
		j, more = <-jobs
	}
	return nil
}

// pin keeps the calling thread on the last of the CPUs it may use.
func pin() error {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	for cpu := range len(all) * 64 {
		if all.IsSet(cpu) {
			one.Zero()
			one.Set(cpu)
		}
	}
	return unix.SchedSetaffinity(0, &one)
}

// maxCalls bounds a job.
const maxCalls = 100_000_000

func (j job) run() ([]Slice, error) {
	if j.Slices < 0 || j.Calls < 0 || j.Slices > maxCalls || j.Calls > maxCalls/max(j.Slices, 1) {
		return nil, fmt.Errorf("%d slices of %d calls are too many", j.Slices, j.Calls)
	}
	if j.Kind == opens && j.Slices*j.Calls > MaxMissing {
		return nil, fmt.Errorf("no more than %d different opens", MaxMissing)
	}
	slices := make([]Slice, j.Slices)
	for n := range slices {
		var err error
		if slices[n], err = j.slice(n * j.Calls); err != nil {
			return nil, err
		}
	}
	return slices, nil
}

// slice makes the calls number first to first+Calls-1 and says what they took.
func (j job) slice(first int) (Slice, error) {
	if j.Kind == files {
		return j.openFiles(first)
	}
	return timed(j.Calls, func() error { return j.make(first) })
}

// timed makes calls and says what they took.
func timed(calls int, make func() error) (Slice, error) {
	cpu, wall := threadTime(), time.Now()
	err := make()
	return Slice{Calls: calls, Wall: time.Since(wall), CPU: threadTime() - cpu}, err
}

// make makes the calls number first to first+Calls-1. They go straight to the kernel: the runtime has no part in them.
func (j job) make(first int) error {
	switch j.Kind {
	case parents:
		for range j.Calls {
			_, _, _ = syscall.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
		}
	case opens:
		path := append([]byte(MissingPath(first)), 0)
		for range j.Calls {
			if _, err := open(path); err != syscall.ENOENT {
				return fmt.Errorf("opening %s: want ENOENT, got %w", path, err)
			}
			increment(path[:len(path)-1])
		}
	case closes:
		const beyond = 1 << 24 // more descriptors than a process has
		for n := range j.Calls {
			if _, _, err := syscall.RawSyscall(unix.SYS_CLOSE, uintptr(beyond+first+n), 0, 0); err != syscall.EBADF {
				return fmt.Errorf("closing descriptor %d: want EBADF, got %w", beyond+first+n, err)
			}
		}
	default:
		return fmt.Errorf("no such kind of job: %d", j.Kind)
	}
	return nil
}

// MaxMissing is how many different MissingPaths there are.
const MaxMissing = 10_000_000

// MissingDir is where MissingPaths would be.
const MissingDir = "/nonexistent/sonde-bench"

// MissingPath is the n-th path that Opens opens: a file that does not exist, ending in the number in seven digits.
func MissingPath(n int) string { return fmt.Sprintf("%s/%07d", MissingDir, n) }

// increment adds one to the decimal number at the end of path. Formatting would take longer than the call.
func increment(path []byte) {
	for i := len(path) - 1; i >= 0 && path[i] >= '0' && path[i] <= '9'; i-- {
		if path[i] < '9' {
			path[i]++
			return
		}
		path[i] = '0'
	}
}

func open(path []byte) (uintptr, syscall.Errno) {
	dir := unix.AT_FDCWD
	fd, _, err := syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(&path[0])), unix.O_RDONLY, 0, 0, 0)
	return fd, err
}

// markOpens opens TAG-0, TAG-1, ... until a job comes, and returns that; false when jobs are at an end.
func markOpens(tag string, jobs <-chan job) (job, bool) {
	for n := 0; ; n++ {
		_, _ = open(fmt.Appendf(nil, "%s-%d\x00", tag, n)) // it is the call that counts: there is no such file
		select {
		case j, more := <-jobs:
			return j, more
		case <-time.After(markPause):
		}
	}
}

// threadTime is the CPU time of the calling thread.
func threadTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) // cannot fail: every thread has the clock
	return time.Duration(ts.Nano())
}
