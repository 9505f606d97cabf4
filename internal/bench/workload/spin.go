package workload

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
)

// spinRole is the kind of work of a process that keeps a CPU busy.
const spinRole = "spin"

// Spinners are processes that keep CPUs busy.
type Spinners struct {
	stops []func() error
	all   []*exec.Cmd
}

// StartSpinners starts n processes, each with one thread that is always ready to run.
func StartSpinners(n int) (*Spinners, error) {
	s := &Spinners{}
	for range n {
		cmd := exec.Command("/proc/self/exe", Role, spinRole)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			return nil, errors.Join(err, s.Stop())
		}
		s.all, s.stops = append(s.all, cmd), append(s.stops, in.Close)
	}
	return s, nil
}

// Stop ends the processes.
func (s *Spinners) Stop() error {
	var errs []error
	for i, cmd := range s.all {
		errs = append(errs, s.stops[i](), cmd.Wait())
	}
	s.all, s.stops = nil, nil
	return errors.Join(errs...)
}

// spin keeps a CPU busy until in ends.
func spin(in io.Reader) error {
	var over atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, in)
		over.Store(true)
	}()
	for !over.Load() {
	}
	return nil
}
