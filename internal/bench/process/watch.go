package process

import (
	"errors"
	"slices"
	"time"

	"sonde/internal/bench/measure"
	"sonde/internal/bench/workload"
)

// Work is calls that a tool watches, or that are made without any.
type Work func() ([]workload.Slice, error)

// Watched is what a tool used while it watched some work, and what the work took.
type Watched struct {
	Without, With []workload.Slice
	CPU           time.Duration // of the tool, from the start of the work until there was nothing left to do
	Peak          int64         // bytes resident, since the start of the tool
}

// patience is how long a tool that is to end may take.
const patience = 5 * time.Minute

// pause lets a tool that is attached come to rest.
const pause = 150 * time.Millisecond

// Watch starts a tool, waits until it is ready and at rest, has the work done and ends the tool when it has nothing left
// to do. control is what is done without a tool, before and after. The process that it returns has ended; close it.
func Watch(c Command, ready func(*Process) error, control, work Work) (*Process, Watched, error) {
	before, err := control()
	if err != nil {
		return nil, Watched{}, err
	}
	p, err := Launch(c)
	if err != nil {
		return nil, Watched{}, err
	}
	w, err := p.watch(ready, work)
	if err != nil {
		p.Close()
		return nil, Watched{}, err
	}
	after, err := control()
	if err != nil {
		p.Close()
		return nil, Watched{}, err
	}
	w.Without = slices.Concat(before, after)
	return p, w, nil
}

func (p *Process) watch(ready func(*Process) error, work Work) (Watched, error) {
	if err := ready(p); err != nil {
		return Watched{}, err
	}
	time.Sleep(pause)
	start, err := measure.CPUTime(p.PID)
	if err != nil {
		return Watched{}, err
	}
	with, err := work()
	if err != nil {
		return Watched{}, err
	}
	if err := p.Idle(); err != nil {
		return Watched{}, err
	}
	end, errCPU := measure.CPUTime(p.PID)
	peak, errPeak := measure.PeakRSS(p.PID)
	_, errStop := p.Interrupt(patience)
	return Watched{With: with, CPU: end - start, Peak: peak}, errors.Join(errCPU, errPeak, errStop)
}
