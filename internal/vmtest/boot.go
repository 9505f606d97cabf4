package vmtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"sonde/internal/vmtest/fetch"
	"sonde/internal/vmtest/wire"
)

// Config says what to boot and what to run in it.
type Config struct {
	Cache    *fetch.Cache
	Kernel   string        // one of fetch.Stocks: "6.1", or fetch.OwnImage
	Image    string        // the file of an OwnImage
	Archives []string      // initramfs archives laid over the base, in order; one must have /init (see Payload)
	Jobs     []Job         // run one after another
	Timeout  time.Duration // for the whole boot; 0: ten minutes
	MemoryMB int           // 0: as much as the archives need, at least 1024
	CPUs     int           // 0: two
}

// Job is one program to run in the guest.
type Job struct {
	wire.Job
	Output io.Writer // gets standard output and standard error while the job runs; nil: dropped
}

// Result is what came back from a guest.
type Result struct {
	Release string            // kernel release
	Exits   map[int]wire.Exit // by index of Config.Jobs, of those that ended
	Elapsed time.Duration     // from the start of qemu to its end
}

// GuestError is a guest that did not report: it crashed, hung, or never came up. The jobs that ended before that are in
// the Result all the same.
type GuestError struct {
	Kernel  string
	Reason  string // one line
	Console string // the last lines of the console, and of what qemu itself said
}

func (e *GuestError) Error() string { return fmt.Sprintf("guest %s: %s", e.Kernel, e.Reason) }

const (
	diskSize       = 64 << 20 // sparse: what is not written takes no room
	defaultTimeout = 10 * time.Minute
	consoleLines   = 40
)

// Boot boots the kernel in qemu, without KVM, runs the jobs and returns when the guest has switched itself off. It
// leaves nothing behind: no process, no file outside the cache. A job's non-zero exit status is not an error; see Result.Exits.
func Boot(ctx context.Context, c Config) (Result, error) {
	var kernel fetch.Kernel
	var err error
	if c.Kernel == fetch.OwnImage {
		kernel, err = c.Cache.Own(ctx, c.Image)
	} else {
		kernel, err = c.Cache.Kernel(ctx, c.Kernel)
	}
	if err != nil {
		return Result{}, err
	}
	qemu, err := c.Cache.QEMU(ctx)
	if err != nil {
		return Result{}, err
	}
	busybox, err := c.Cache.Busybox(ctx)
	if err != nil {
		return Result{}, err
	}
	base, err := baseArchive(ctx, c.Cache, kernel, busybox)
	if err != nil {
		return Result{}, err
	}
	dir, err := os.MkdirTemp("", "sonde-guest-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)

	plan := wire.Plan{Hostname: "guest-" + strings.ReplaceAll(c.Kernel, ".", "-")}
	for _, job := range c.Jobs {
		plan.Jobs = append(plan.Jobs, job.Job)
	}
	m := machine{
		qemu: qemu, kernel: kernel,
		initrd: filepath.Join(dir, "initrd"), status: filepath.Join(dir, "status"), console: filepath.Join(dir, "console"), disk: filepath.Join(dir, "disk"),
		memoryMB: c.MemoryMB, cpus: c.CPUs,
	}
	planFile := filepath.Join(dir, "plan")
	if err := planArchive(planFile, plan); err != nil {
		return Result{}, err
	}
	if err := os.WriteFile(m.disk, nil, 0o644); err != nil {
		return Result{}, err
	}
	if err := os.Truncate(m.disk, diskSize); err != nil {
		return Result{}, err
	}
	size, err := joinArchives(m.initrd, append(append([]string{base}, c.Archives...), planFile)...)
	if err != nil {
		return Result{}, err
	}
	if m.memoryMB == 0 {
		// While it unpacks, the kernel holds the archive and its content.
		m.memoryMB = max(1024, 640+3*int(size>>20))
	}
	if m.cpus == 0 {
		m.cpus = 2
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	return m.run(ctx, c)
}

// machine is one qemu about to run.
type machine struct {
	qemu                          fetch.QEMU
	kernel                        fetch.Kernel
	initrd, status, console, disk string
	memoryMB, cpus                int
}

// arguments is qemu's command line. One thread drives both virtual CPUs in turn: they still race, at every switch, but
// with a thread each, one of them now and then ran on stale code after the kernel had patched itself (a tracepoint
// switched on or off), and the guest died of a breakpoint that was no longer there. A translation buffer that holds a
// whole kernel; any reset ends qemu.
func (m machine) arguments() []string {
	return append(m.qemu.Command[1:len(m.qemu.Command):len(m.qemu.Command)],
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-accel", "tcg,thread=single,tb-size=512",
		"-cpu", "max,la57=off", // with five levels of page tables a walk in software takes a sixth more of all there is
		"-smp", fmt.Sprint(m.cpus),
		"-m", fmt.Sprint(m.memoryMB),
		"-kernel", m.kernel.Image,
		"-initrd", m.initrd,
		"-append", "console=ttyS0 loglevel=5 panic=-1 no_timer_check oops=panic",
		"-serial", "file:"+m.console,
		"-drive", "if=none,id=disk,format=raw,file="+m.disk,
		"-device", "virtio-blk-pci,drive=disk",
		"-device", "virtio-serial-pci",
		// Not "stdio": that would take the end of standard input for the host closing the port.
		"-chardev", "file,id=output,path=/dev/stdout",
		"-device", "virtserialport,chardev=output,name="+wire.OutputPort,
		"-chardev", "file,id=status,path="+m.status,
		"-device", "virtserialport,chardev=status,name="+wire.StatusPort,
	)
}

func (m machine) run(ctx context.Context, c Config) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	// Pdeathsig acts when the thread that started qemu ends, so it must not end before qemu does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	cmd := exec.CommandContext(ctx, m.qemu.Command[0], m.arguments()...)
	cmd.Env = append(os.Environ(), m.qemu.Env...)
	// A run that is killed itself takes its guests with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	cmd.WaitDelay = 5 * time.Second
	output, guest, err := os.Pipe()
	if err != nil {
		return Result{}, err
	}
	defer output.Close()
	cmd.Stdout = guest
	start := time.Now()
	if err := cmd.Start(); err != nil {
		guest.Close()
		return Result{}, fmt.Errorf("starting qemu: %w", err)
	}
	guest.Close()

	var wg sync.WaitGroup
	var framesErr error
	wg.Go(func() {
		framesErr = wire.ReadFrames(output, len(c.Jobs), func(job int, data []byte) {
			if w := c.Jobs[job].Output; w != nil {
				_, _ = w.Write(data)
			}
		})
		_, _ = io.Copy(io.Discard, output)
	})
	runErr := cmd.Wait()
	stopped := ctx.Err()
	wg.Wait()

	text, err := os.ReadFile(m.status)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Result{}, err
	}
	status := wire.ParseStatus(string(text))
	result := Result{Release: status.Release, Exits: status.Exits, Elapsed: time.Since(start)}
	reason := verdict(status, c, stopped, runErr, framesErr)
	if reason == "" {
		return result, nil
	}
	if said := lastLines(complaints.String(), 1); said != "" {
		reason += "; " + said
	}
	console, _ := os.ReadFile(m.console)
	return result, &GuestError{c.Kernel, reason, lastLines(string(console)+complaints.String(), consoleLines)}
}

// verdict says in one line why a guest's report is not whole, or nothing when it is.
func verdict(s wire.Status, c Config, stopped, runErr, framesErr error) string {
	where := "before its init was ready"
	if s.Release != "" {
		where = "between jobs"
	}
	if n := len(s.Started); n > 0 && s.Started[n-1] < len(c.Jobs) {
		job := s.Started[n-1]
		if _, ended := s.Exits[job]; !ended {
			where = "while running " + c.Jobs[job].Args[0]
		}
	}
	switch {
	case s.Done && len(s.Exits) == len(c.Jobs) && framesErr == nil:
		// qemu's own exit status no longer matters: all that was asked for is here.
		return ""
	case errors.Is(stopped, context.DeadlineExceeded):
		return fmt.Sprintf("no end after %v, %s: qemu was killed", c.Timeout, where)
	case stopped != nil:
		return "stopped " + where
	case runErr != nil:
		return fmt.Sprintf("qemu failed %s: %v", where, runErr)
	case framesErr != nil:
		return fmt.Sprintf("%v, %s", framesErr, where)
	}
	return "ended without reporting, " + where
}

// lastLines returns the last n lines of a console, without the carriage returns.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(text, "\r", ""), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
