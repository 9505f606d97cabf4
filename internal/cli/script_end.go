package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/print"
	"sonde/internal/prog"
)

// end detaches, runs the end probes, and shows what is left.
func (s *script) end(err error) error {
	s.left = s.exiting()
	shown := s.progress.slowly(fmt.Sprintf("detaching %d probes", s.session.Attached()))
	err = errors.Join(err, s.session.Detach())
	shown()
	s.ended = time.Now()
	if errors.Is(err, print.ErrClosedPipe) {
		return s.status(s.writeProfiles())
	}
	err = errors.Join(err, s.drain())
	if err == nil {
		s.runner.AtEnd()
		for _, p := range s.program.End {
			if _, rerr := s.session.Run(p); rerr != nil {
				err = errors.Join(err, rerr)
			}
		}
		err = errors.Join(err, s.drain())
	}
	if err == nil {
		err = s.runner.PrintMaps()
		err = errors.Join(err, s.writeProfiles())
	}
	return s.finish(err)
}

// finish accounts for losses, and turns the end of the run into an error or a status.
func (s *script) finish(err error) error {
	err = errors.Join(err, s.tellLost(true))
	flushed := s.out.Flush()
	if errors.Is(err, print.ErrClosedPipe) || errors.Is(flushed, print.ErrClosedPipe) {
		return s.status(nil)
	}
	if flushed == nil {
		flushed = s.out.Err()
	}
	if flushed != nil {
		name := "the output"
		if s.flags.file != "" {
			name = s.flags.file
		}
		err = errors.Join(err, fmt.Errorf("writing %s: %w (%d records were not written)", name, cause(flushed), s.out.Unwritten()))
	}
	if s.flags.verbose > 0 {
		s.account()
	}
	return s.status(err)
}

// cause leaves out which file a system call was about: the message names it.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// status is how the run ends: exit's code, or the command's.
func (s *script) status(err error) error {
	if s.command != nil && s.released {
		s.endCommand()
	}
	switch {
	case err != nil:
		return err
	case s.code() != 0:
		return &statusError{s.code()}
	case s.left || s.command == nil || s.name == classicName:
		return nil
	}
	select {
	case <-s.command.Done():
		return &statusError{s.command.Status()}
	default:
		return nil
	}
}

// endCommand ends the command of -c: a signal that ended the run is passed on, a script that called exit ends it. One
// whose output nobody reads any more goes on until it has done its work.
func (s *script) endCommand() {
	var sig os.Signal = syscall.SIGTERM
	switch {
	case s.signal != nil:
		sig = s.signal
	case !s.left:
		select {
		case <-s.command.Done():
			return
		case sig = <-s.signals:
			go insist(s.signals, endSignals())
		}
	}
	_ = s.command.Signal(sig) // it may have ended by now
	select {
	case <-s.command.Done():
	case <-time.After(graceAfterSignal):
		say(s.io.err, "%s: COMMAND goes on (process %d)", s.name, s.command.Pid())
	}
}

// watch ends the run when a signal comes, when the command has ended or the process of -p.
func (s *script) watch(ctx context.Context, cancel context.CancelFunc) {
	defer close(s.stopped)
	defer cancel()
	var ended <-chan struct{}
	if s.command != nil {
		ended = s.command.Done()
	} else if s.pid != 0 {
		ended = processEnd(ctx, s.pid)
	}
	select {
	case <-ctx.Done():
	case s.signal = <-s.signals:
		go insist(s.signals, endSignals())
	case <-ended:
	}
}

// processEnd returns a channel that is closed when the process ends.
func processEnd(ctx context.Context, pid int) <-chan struct{} {
	done := make(chan struct{})
	fd, err := unix.PidfdOpen(pid, 0) // 5.3
	go func() {
		defer close(done)
		if err != nil {
			return // it has ended already
		}
		defer unix.Close(fd)
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for ctx.Err() == nil {
			if n, err := unix.Poll(polled, 100); n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
				return
			}
		}
	}()
	return done
}

// watchSelf runs the programs of self:signal probes when their signals come; the function it returns ends that.
func (s *script) watchSelf() func() {
	if len(s.program.Signals) == 0 {
		return func() {}
	}
	byNumber := map[os.Signal][]string{}
	ch := make(chan os.Signal, 8)
	for _, p := range s.program.Signals {
		if n := unix.SignalNum(p.Signal); n != 0 {
			byNumber[n] = append(byNumber[n], p.Program)
			signal.Notify(ch, n)
		}
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case sig := <-ch:
				for _, p := range byNumber[sig] {
					if _, err := s.session.Run(p); err != nil {
						say(s.io.err, "%s: %v", s.name, err)
					}
				}
				s.reader.Wake()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(ch)
		close(done)
	}
}

// tellLost says how many records were lost since it last did; at the end also those that no counter explains.
func (s *script) tellLost(final bool) error {
	tally, err := s.counters.Read()
	if err != nil {
		return err
	}
	var n uint64
	for _, c := range tally.Lost {
		n += c.N
	}
	if final {
		v := s.seq.Verdict(tally)
		n += v.Unexplained
	}
	if n <= s.lost {
		return nil
	}
	by := n - s.lost
	s.lost = n
	return s.runner.Lost(by)
}

// account says what the run has cost.
func (s *script) account() {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		return
	}
	sum := &prog.Summary{Events: s.events, UserNS: uint64(ru.Utime.Nano() + ru.Stime.Nano()), Unwritten: s.out.Unwritten()}
	if tally, err := s.counters.Read(); err == nil {
		sum.Lost = tally.Lost
	}
	if cost, err := s.session.Cost(); err == nil {
		sum.KernelNS, sum.KernelRuns, sum.KernelKnown = cost.NS, cost.Runs, cost.Known
		for _, c := range cost.Missed {
			sum.Notes = append(sum.Notes, fmt.Sprintf("the kernel left out %d runs of %s, which was busy on that CPU", c.N, c.Reason))
		}
	}
	for _, line := range print.Accounting(sum) {
		say(s.io.err, "%s: %s", s.name, line)
	}
}
