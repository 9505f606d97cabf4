package cli

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/vmtest"
)

// moments returns random times after the start of sonde, up to well after it is at work.
func moments() (list []time.Duration) {
	rounds, most := 40, 60*time.Millisecond
	if vmtest.Guest() != "" {
		rounds, most = 3, 900*time.Millisecond // emulated, all is slower
	}
	for range rounds {
		list = append(list, rand.N(most))
	}
	return list
}

// accounts counts the accounting lines.
func accounts(stderr string) int {
	return strings.Count(stderr, " lost; ") + strings.Count(stderr, " lost (")
}

var bothSignals = []syscall.Signal{unix.SIGINT, unix.SIGTERM}

// idle starts a process to be traced that does nothing.
func idle(t *testing.T) *process {
	t.Helper()
	p := begin(t, exec.Command(as(t, "role-nest"), "0"))
	p.line(t)
	return p
}

func TestKernelWeatherSignalAtAnyMoment(t *testing.T) {
	needExec(t)
	target := fmt.Sprint(idle(t).cmd.Process.Pid)
	sonde := as(t, "sonde")
	for i, delay := range moments() {
		sig := bothSignals[i%2]
		p := begin(t, exec.Command(sonde, "exec", "-p", target))
		time.Sleep(delay)
		p.signal(t, sig)
		switch got := p.wait(t); {
		case got == 128+int(sig) && p.stderr(t) == "" && len(p.rest(t)) == 0: // before it was listened to
		case got == 0 && accounts(p.stderr(t)) == 1 && strings.Count(p.stderr(t), "\n") == 1:
		default:
			t.Errorf("%v after %v: status %d, stderr %q", sig, delay, got, p.stderr(t))
		}
	}
	// Once it shows its heading there is no doubt, whichever the signal.
	for _, sig := range append(bothSignals, unix.SIGHUP) {
		p := begin(t, exec.Command(sonde, "exec", "-p", target))
		p.line(t)
		held := holds(t, p.cmd.Process.Pid)
		p.signal(t, sig)
		if got := p.wait(t); got != 0 || accounts(p.stderr(t)) != 1 {
			t.Errorf("%v: status %d, stderr %q", sig, got, p.stderr(t))
		}
		held.gone(t)
	}
}

// COMMAND gets the signal, and its status is sonde's.
func TestKernelWeatherSignalToCommand(t *testing.T) {
	needExec(t)
	sonde, command := as(t, "sonde"), as(t, "role-signals")
	ended := filepath.Join(t.TempDir(), "records")
	for _, group := range []bool{false, true} { // to sonde alone, and as a terminal sends it
		for i, delay := range moments() {
			sig := bothSignals[i%2]
			cmd := exec.Command(sonde, "exec", "-o", ended, "--", command)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			p := begin(t, cmd)
			time.Sleep(delay)
			to := cmd.Process.Pid
			if group {
				to = -to
			}
			if err := unix.Kill(to, sig); err != nil {
				t.Fatal(err)
			}
			got := p.wait(t)
			// Its end says that COMMAND is gone too.
			ran := slices.Contains(p.rest(t), "ready")
			counted := accounts(p.stderr(t))
			switch {
			case p.cmd.ProcessState.ExitCode() < 0: // killed: before it was listened to
				if got != 128+int(sig) || ran || p.stderr(t) != "" {
					t.Errorf("%v after %v: status %d, COMMAND ran: %v, stderr %q", sig, delay, got, ran, p.stderr(t))
				}
			case counted != 1:
				t.Errorf("%v after %v: %d accounts: %q", sig, delay, counted, p.stderr(t))
			case got == 40+int(sig) && ran:
			case got == 128+int(sig): // COMMAND did not listen yet
			default:
				t.Errorf("%v after %v: status %d, COMMAND ran: %v, stderr %q", sig, delay, got, ran, p.stderr(t))
			}
		}
	}
	for _, sig := range bothSignals {
		p := begin(t, exec.Command(sonde, "exec", "-o", ended, "--", command))
		p.line(t)
		p.signal(t, sig)
		if got := p.wait(t); got != 40+int(sig) || accounts(p.stderr(t)) != 1 {
			t.Errorf("%v while COMMAND runs: status %d, stderr %q", sig, got, p.stderr(t))
		}
	}
}

// After -c or -d sonde only waits for COMMAND; it still passes a signal on.
func TestKernelWeatherSignalWhileWaiting(t *testing.T) {
	needExec(t)
	p := begin(t, exec.Command(as(t, "sonde"), "exec", "-c", "1", "-o", "/dev/null", "--", as(t, "role-signals")))
	p.line(t)
	waitFor(t, "the programs to be gone", func() bool { return holds(t, p.cmd.Process.Pid).links == 0 })
	waitFor(t, "word of that", func() bool { return strings.Contains(p.stderr(t), "sonde: waiting for COMMAND (process ") })
	p.signal(t, unix.SIGTERM)
	if got := p.wait(t); got != 40+int(unix.SIGTERM) || accounts(p.stderr(t)) != 1 {
		t.Errorf("status %d, stderr %q", got, p.stderr(t))
	}
}

// A COMMAND that does not mind is left alone, and named.
func TestKernelWeatherCommandGoesOn(t *testing.T) {
	needExec(t)
	p := begin(t, exec.Command(as(t, "sonde"), "exec", "-o", "/dev/null", "--", as(t, "role-deaf")))
	pid, err := strconv.Atoi(strings.TrimPrefix(p.line(t), "ready "))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Kill(pid, unix.SIGKILL)
	p.signal(t, unix.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Fatal("it waits for a COMMAND that ignores the signal")
	}
	if got := status(p.cmd.ProcessState); got != 128+int(unix.SIGTERM) ||
		!strings.Contains(p.stderr(t), fmt.Sprintf("sonde: COMMAND goes on (process %d)\n", pid)) {
		t.Errorf("status %d, stderr %q", got, p.stderr(t))
	}
	if err := unix.Kill(pid, 0); err != nil {
		t.Errorf("COMMAND: %v", err)
	}
}

// What the caller ignores stays ignored, as nohup wants it.
func TestKernelWeatherIgnoredSignal(t *testing.T) {
	needExec(t)
	target := idle(t)
	p := begin(t, exec.Command("/bin/sh", "-c", `trap "" HUP; exec "$0" "$@"`, as(t, "sonde"),
		"exec", "--fields", "args", "-p", fmt.Sprint(target.cmd.Process.Pid)))
	p.line(t)
	p.signal(t, unix.SIGHUP)
	target.say(t, "exec "+truePath(t)+" still here")
	if line := p.line(t); line != truePath(t)+" still here" {
		t.Errorf("%q", line)
	}
	p.signal(t, unix.SIGTERM)
	if got := p.wait(t); got != 0 {
		t.Errorf("status %d, stderr %q", got, p.stderr(t))
	}
}

// Who reads the output does not read on: the first signal cannot end the run in order, a later one ends it.
func TestKernelWeatherInsist(t *testing.T) {
	needExec(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	p := begin(t, exec.Command(as(t, "sonde"), "exec", "-f", "json", "-o", fifo, "--",
		as(t, "role-parallel"), truePath(t), "80", "500"))
	waitFor(t, "COMMAND to begin", func() bool { return !childless(p.cmd.Process.Pid) })
	waitFor(t, "COMMAND to end", func() bool { return childless(p.cmd.Process.Pid) })
	p.signal(t, unix.SIGTERM)
	p.signal(t, unix.SIGTERM) // timeout(1) sends two: together they are one
	for range 100 {
		time.Sleep(100 * time.Millisecond)
		if p.cmd.Process.Signal(unix.SIGTERM) != nil {
			break
		}
	}
	if got := p.wait(t); got != 128+int(unix.SIGTERM) {
		t.Errorf("status %d, stderr %q", got, p.stderr(t))
	}
}
