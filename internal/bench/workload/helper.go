package workload

import (
	"encoding/gob"
	"fmt"
	"io"
	"strconv"
	"syscall"
	"time"
)

// Role is the first argument under which a binary must call Main.
const Role = "bench-workload"

// Main is the workload process. args begin after Role: a kind of work and what it needs. It returns an exit status.
func Main(args []string, in io.Reader, out, errs io.Writer) int {
	if err := run(args, in, out); err != nil {
		fmt.Fprintln(errs, "workload:", err)
		return 1
	}
	return 0
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) == 1 && args[0] == callsRole {
		return calls(in, out)
	}
	if len(args) == 1 && args[0] == spinRole {
		return spin(in)
	}
	if len(args) != 6 {
		return fmt.Errorf("want KIND PROGRAM TAG COUNT ARGS PACE, got %q", args)
	}
	kind, program, tag := args[0], args[1], args[2]
	count, err := strconv.Atoi(args[3])
	if err != nil || count < 0 {
		return fmt.Errorf("want a count, got %q", args[3])
	}
	extra, err := strconv.Atoi(args[4])
	if err != nil || extra < 0 || extra > 100_000 {
		return fmt.Errorf("want a number of arguments, got %q", args[4])
	}
	pace, err := time.ParseDuration(args[5])
	if err != nil || pace < 0 {
		return fmt.Errorf("want a pace, got %q", args[5])
	}
	switch kind {
	case "mark":
		return mark(program, tag, in)
	case "storm":
		_, err := spawnMany(program, tag, count, extra, pace)
		return err
	case "time":
		samples, err := spawnMany(program, tag, count, extra, pace)
		if err != nil {
			return err
		}
		return gob.NewEncoder(out).Encode(samples)
	}
	return fmt.Errorf("no such kind of work: %q", kind)
}

// Sample is one fork, exec and exit.
type Sample struct {
	Wall time.Duration // from before the fork until the parent knows of the exit
	CPU  time.Duration // user and system time of the child
}

// markPause is the time from one mark to the next: short beside the start of any tool.
const markPause = 500 * time.Microsecond

// mark execs program over and over until the other end of in is closed. Where an exec takes long (in an emulated
// machine) it rests as long as that took, so that the tool gets its share of the machine.
func mark(program, tag string, in io.Reader) error {
	over := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(over)
	}()
	for n := 0; ; n++ {
		sample, err := spawn(program, []string{program, fmt.Sprintf("%s-%d", tag, n)})
		if err != nil {
			return err
		}
		select {
		case <-over:
			return nil
		case <-time.After(max(markPause-sample.Wall, sample.Wall)):
		}
	}
}

// spawnMany execs program count times, one after the other, resting for pace after each.
func spawnMany(program, tag string, count, extra int, pace time.Duration) ([]Sample, error) {
	argv := append([]string{program, ""}, Arguments(extra)...)
	samples := make([]Sample, count)
	for n := range samples {
		argv[1] = fmt.Sprintf("%s-%d", tag, n)
		sample, err := spawn(program, argv)
		if err != nil {
			return nil, err
		}
		samples[n] = sample
		if pace > 0 {
			time.Sleep(pace)
		}
	}
	return samples, nil
}

// Arguments returns n distinct arguments of seven bytes each, their final NUL included.
func Arguments(n int) []string {
	args := make([]string, n)
	for i := range args {
		args[i] = fmt.Sprintf("a%05d", i)
	}
	return args
}

// spawn is a vfork and an exec (syscall.ForkExec shares the parent's memory until then), then a wait.
func spawn(program string, argv []string) (Sample, error) {
	begin := time.Now()
	pid, err := syscall.ForkExec(program, argv, &syscall.ProcAttr{})
	if err != nil {
		return Sample{}, fmt.Errorf("%s: %w", program, err)
	}
	var status syscall.WaitStatus
	var used syscall.Rusage
	for {
		_, err = syscall.Wait4(pid, &status, 0, &used)
		if err != syscall.EINTR {
			break
		}
	}
	wall := time.Since(begin)
	if err != nil {
		return Sample{}, fmt.Errorf("waiting for %s: %w", program, err)
	}
	if status != 0 {
		return Sample{}, fmt.Errorf("%s ended with wait status %#x", program, int(status))
	}
	return Sample{Wall: wall, CPU: time.Duration(used.Utime.Nano() + used.Stime.Nano())}, nil
}
