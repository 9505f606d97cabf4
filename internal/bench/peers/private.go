package peers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// inside marks the process that already has a mount namespace of its own.
const inside = "SONDE_BENCH_PRIVATE"

// Private reports whether this process is the one with the private mount namespace. Where it is not, Private runs the same
// command again in one, waits, and returns its exit status: whatever happens to it, no mount is left behind.
func Private() (private bool, status int, err error) {
	if os.Getenv(inside) != "" {
		return true, 0, nil
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	// What is meant to stop this process is for the other one, which has things to tidy up.
	stops := make(chan os.Signal, 1)
	signal.Notify(stops, os.Interrupt, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		return false, 1, fmt.Errorf("no mount namespace: %w: run as root", err)
	}
	go func() {
		for stop := range stops {
			_ = cmd.Process.Signal(stop)
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return false, max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return false, 1, err
	}
	return false, 0, nil
}
