package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/compile"
	"sonde/internal/kernel"
	"sonde/internal/print"
	"sonde/internal/prog"
	bt "sonde/internal/script"
	"sonde/internal/stream"
	"sonde/internal/target"
)

// script is one run of a script.
type script struct {
	name  string // under which sonde was called
	io    streams
	flags *scriptFlags
	pid   int
	// treeMap is the name in the kernel of the map of --tree.
	treeMap string

	kernel   kernel.Target
	program  *compile.Program
	session  *attach.Session
	command  *target.Command
	file     *print.Output
	runner   *bt.Runner
	symbols  *scriptSymbols
	reader   *stream.Reader
	counters *stream.Counters
	seq      *stream.Sequence
	lost     uint64 // told of so far
	events   uint64
	lastLook uint64

	signals chan os.Signal
	signal  os.Signal // that ended the run, nil if none did
	stopped chan struct{}
}

// run compiles a script, runs it to its end and shows what it has to show.
func (s *script) run(in scriptSource) error {
	runtime.GOMAXPROCS(1) // see run.trace
	o, err := s.flags.options(in)
	if err != nil {
		return err
	}
	s.pid = o.PID
	if err := s.startCommand(); err != nil {
		return err
	}
	if s.command != nil {
		defer s.command.Cancel()
		o.Command, o.ChildPID = true, s.command.Pid()
	}
	forget()
	if s.program, err = s.compile(in, o); err != nil || s.program == nil {
		return err
	}
	forget()
	return s.trace()
}

// trace loads, runs the begin probes, attaches, shows records until the end, runs the end probes, shows the maps.
func (s *script) trace() (err error) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a gone reader is found by the failing write
	s.signals = make(chan os.Signal, 2)
	signal.Notify(s.signals, endSignals()...)
	defer signal.Stop(s.signals)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	if err := s.openOutput(); err != nil {
		return err
	}
	defer s.file.Close()
	if err := s.load(); err != nil {
		return err
	}
	defer s.close()
	if err := s.begin(); err != nil {
		return err
	}
	if !s.exiting() {
		if err := s.attach(); err != nil {
			return err
		}
	}
	if s.flags.dryRun {
		return s.finish(nil)
	}
	s.stopped = make(chan struct{})
	self := s.watchSelf()
	defer self()
	go s.watch(ctx, cancel)
	if !s.exiting() {
		err = s.follow(ctx)
	}
	cancel()
	<-s.stopped
	return s.end(err)
}

// load puts programs and maps into the kernel.
func (s *script) load() (err error) {
	s.program.Spec.Stats = s.flags.verbose > 0
	if s.session, err = attach.OpenFor(s.program.Spec, s.kernel.Types()); err != nil {
		return s.refused(err)
	}
	if s.reader, err = stream.NewReader(s.session.Map(s.program.Spec.Ring)); err != nil {
		return err
	}
	if s.counters, err = stream.NewCounters(s.session.Map(s.program.Spec.Counters), s.program.Spec.LostReasons); err != nil {
		return err
	}
	tally, err := s.counters.Read()
	if err != nil {
		return err
	}
	s.seq = stream.NewSequence(len(tally.CPUs))
	s.runner, err = s.newRunner()
	return err
}

func (s *script) close() {
	if s.symbols != nil {
		s.symbols.close()
	}
	if s.reader != nil {
		s.reader.Close()
	}
	if s.session != nil {
		s.session.Close()
	}
}

// begin runs the begin probes and handles what they sent.
func (s *script) begin() error {
	if s.flags.tree {
		root := uint32(s.rootPID())
		if _, err := s.session.Add(s.treeMap, root, uint64(1)); err != nil {
			return err
		}
	}
	for _, p := range s.program.Begin {
		if _, err := s.session.Run(p); err != nil {
			return err
		}
	}
	return s.drain()
}

func (s *script) rootPID() int {
	if s.command != nil {
		return s.command.Pid()
	}
	n, _ := parsePID(s.flags.pid)
	return n
}

// drain handles what is in the ring now.
func (s *script) drain() error {
	if err := stream.Final(s.reader, s); err != nil && !errors.Is(err, stream.ErrStop) {
		return err
	}
	return nil
}

// attach puts the probes on, and says how many.
func (s *script) attach() error {
	if err := s.session.Attach(); err != nil {
		return err
	}
	if !s.flags.quiet {
		for _, m := range s.session.Missing() {
			say(s.io.err, "%s: warning: %s", s.name, m)
		}
		if s.flags.verbose > 0 {
			for _, c := range s.program.Choices {
				say(s.io.err, "%s: %s", s.name, c)
			}
		}
		if err := s.runner.Attached(len(s.program.Points)); err != nil {
			return err
		}
	}
	return s.file.Flush()
}

// follow lets the command go and handles records until the end.
func (s *script) follow(ctx context.Context) error {
	if s.command != nil {
		if err := s.command.Release(); err != nil {
			return err
		}
	}
	if len(s.program.Iter) > 0 {
		return s.iterate()
	}
	if s.session.Attached() == 0 && len(s.program.Signals) == 0 && s.command == nil {
		return nil // nothing more will come
	}
	hurry()
	return stream.Run(ctx, s.reader, s)
}

// iterate goes through what the iterator goes through; its records are in the ring like all others.
func (s *script) iterate() error {
	for _, p := range s.program.Iter {
		text, err := s.session.IterText(p)
		if err != nil {
			return err
		}
		buf := make([]byte, 64<<10)
		for {
			_, err := text.Read(buf)
			if derr := s.drain(); derr != nil {
				text.Close()
				return derr
			}
			if err != nil {
				break
			}
		}
		text.Close()
	}
	return nil
}

// end detaches, runs the end probes, and shows what is left.
func (s *script) end(err error) error {
	err = errors.Join(err, s.session.Detach())
	if errors.Is(err, print.ErrClosedPipe) {
		return s.status(nil)
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
	return s.finish(err)
}

// finish shows the maps, accounts for losses, and turns the end of the run into an error or a status.
func (s *script) finish(err error) error {
	if err == nil && !s.flags.dryRun {
		err = s.runner.PrintMaps()
	}
	err = errors.Join(err, s.tellLost(true))
	flushed := s.file.Flush()
	if errors.Is(err, print.ErrClosedPipe) || errors.Is(flushed, print.ErrClosedPipe) {
		return s.status(nil)
	}
	if flushed == nil {
		flushed = s.file.Err()
	}
	if flushed != nil {
		err = errors.Join(err, fmt.Errorf("writing: %w", flushed))
	}
	if s.flags.verbose > 0 {
		s.account()
	}
	return s.status(err)
}

// status is how the run ends: exit's code, or the command's.
func (s *script) status(err error) error {
	if s.command != nil && s.signal != nil {
		err = errors.Join(err, s.command.Signal(s.signal))
		select {
		case <-s.command.Done():
		case <-time.After(graceAfterSignal):
		}
	}
	switch {
	case err != nil:
		return err
	case s.code() != 0:
		return &statusError{s.code()}
	case s.command == nil || s.name != "sonde":
		return nil
	}
	select {
	case <-s.command.Done():
		return &statusError{s.command.Status()}
	default:
		return nil
	}
}

// watch ends the run when a signal comes, when the command has ended or the process of -p.
func (s *script) watch(ctx context.Context, cancel context.CancelFunc) {
	defer close(s.stopped)
	defer cancel()
	var ended <-chan struct{}
	if s.command != nil {
		ended = s.command.Done()
	} else if pid, _ := parsePID(s.flags.pid); pid != 0 {
		ended = processEnd(ctx, pid)
	}
	select {
	case <-ctx.Done():
	case s.signal = <-s.signals:
		go insist(s.signals)
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

// Before, Record, Drained and Holding are stream.Handler.

func (s *script) Before(now uint64) error { return s.runner.Before(now) }

func (s *script) Record(rec prog.Record) error {
	if rec.Seq != 0 {
		s.seq.Add(rec.CPU, rec.Seq)
	}
	s.events++
	return s.runner.Record(rec)
}

// exiting says that the script called exit.
func (s *script) exiting() bool {
	_, exited := s.runner.Exited()
	return exited
}

// code is what the script gave to exit.
func (s *script) code() int {
	code, _ := s.runner.Exited()
	return code
}

// lostTick is how often the loss counters are looked at while records flow.
const lostTick = uint64(time.Second)

func (s *script) Drained(now uint64, _ bool) error {
	if now-s.lastLook > lostTick {
		s.lastLook = now
		if err := s.tellLost(false); err != nil {
			return err
		}
	}
	if err := s.runner.Flush(); err != nil {
		return err
	}
	if s.exiting() {
		return stream.ErrStop
	}
	return nil
}

func (s *script) Holding() bool { return false }

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
	sum := &prog.Summary{Events: s.events, UserNS: uint64(ru.Utime.Nano() + ru.Stime.Nano())}
	if tally, err := s.counters.Read(); err == nil {
		sum.Lost = tally.Lost
	}
	if cost, err := s.session.Cost(); err == nil {
		sum.KernelNS, sum.KernelRuns, sum.KernelKnown = cost.NS, cost.Runs, cost.Known
	}
	for _, line := range print.Accounting(sum) {
		say(s.io.err, "%s: %s", s.name, line)
	}
}

// refused says which line of the script the verifier stumbled at. That is a fault of the compiler.
func (s *script) refused(err error) error {
	var r *attach.Refused
	if !errors.As(err, &r) || r.Insn < 0 {
		return err
	}
	where := ""
	if at := s.program.Position(r.Program, r.Insn); at >= 0 {
		line, _ := s.program.Source.Position(at)
		where = fmt.Sprintf(" (line %d: %s)", line, s.program.Source.Line(line))
	}
	if s.flags.verbose > 0 {
		for _, l := range r.Log {
			fmt.Fprintln(s.io.err, oneLine(l))
		}
	}
	return fmt.Errorf("%s%s: the kernel's verifier refuses the code that sonde made: %s. "+
		"That is a bug of sonde; please report it with the script, the kernel's version and the output of `sonde run -v -d asm`: %w",
		s.program.Source.Where(max(s.program.Position(r.Program, r.Insn), 0)), where, r.Reason, err)
}

func (s *script) openOutput() (err error) {
	if s.flags.file != "" {
		if s.file, err = print.OpenOutput(s.flags.file); err != nil {
			return fmt.Errorf("-o: %w", err)
		}
		return nil
	}
	s.file = print.NewOutput(s.io.out)
	return nil
}
