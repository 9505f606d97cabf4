package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"sonde/internal/attach"
	"sonde/internal/compile"
	"sonde/internal/kernel"
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
	released bool // the command runs
	out      *scriptOutput
	progress *progress
	runner   *bt.Runner
	symbols  *scriptSymbols
	reader   *stream.Reader
	urgent   *stream.Reader // nil if there is none
	counters *stream.Counters
	seq      *stream.Sequence
	profiles []*profileFile
	began    time.Time     // the probes were on
	ended    time.Time     // and off again
	early    []prog.Record // what the begin probes sent
	lost     uint64        // told of so far
	events   uint64
	lastLook uint64

	signals chan os.Signal
	signal  os.Signal // that ended the run, nil if none did
	left    bool      // the script called exit
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
		o.Command, o.ChildPID, o.Binary = true, s.command.Pid(), s.command.Path()
	}
	if s.program, err = s.compile(in, o); err != nil || s.program == nil {
		return err
	}
	forget()
	reached(stageFound)
	return s.trace()
}

// trace loads, runs the begin probes, attaches, shows records until the end, runs the end probes, shows the maps.
//
// Signals end it in order only once the probes are on. Until then they end the process, of which nothing stays behind.
func (s *script) trace() (err error) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a gone reader is found by the failing write
	s.progress = s.newProgress()
	if err := s.openOutput(); err != nil {
		return err
	}
	defer s.out.Close()
	defer s.closeProfiles()
	if err := s.openProfiles(); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return err
	}
	defer s.close()
	reached(stageLoaded)
	if s.flags.dryRun {
		return s.dryRun()
	}
	if err := s.begin(); err != nil {
		return err
	}
	leaves := slices.ContainsFunc(s.early, s.isExit)
	if !leaves {
		if err := s.attach(); err != nil {
			return err
		}
	}
	s.began = time.Now()
	s.signals = make(chan os.Signal, 2)
	signal.Notify(s.signals, endSignals()...)
	defer signal.Stop(s.signals)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.stopped = make(chan struct{})
	defer s.watchSelf()()
	go s.watch(ctx, cancel)
	if err = s.opening(leaves); err == nil && !s.exiting() {
		err = s.follow(ctx)
	}
	cancel()
	<-s.stopped
	return s.end(unlessStopped(err))
}

// dryRun attaches and ends: no probe of the script itself runs before it has to.
func (s *script) dryRun() error {
	if err := s.attach(); err != nil {
		return err
	}
	if !s.flags.quiet && s.name != classicName {
		say(s.io.err, "%s: %d probes can be attached", s.name, s.points())
	}
	return nil
}

// load puts programs and maps into the kernel.
func (s *script) load() (err error) {
	s.program.Spec.Stats = s.flags.verbose > 0
	if beforeLoad != nil {
		beforeLoad(s.program)
	}
	if s.session, err = attach.OpenFor(s.program.Spec, s.kernel.Types()); err != nil {
		return s.refused(err)
	}
	if s.reader, err = stream.NewReader(s.session.Map(s.program.Spec.Ring)); err != nil {
		return err
	}
	if name := s.program.Spec.Urgent; name != "" {
		if s.urgent, err = stream.NewReader(s.session.Map(name)); err != nil {
			return err
		}
		s.reader.Attend(s.urgent)
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
	if s.urgent != nil {
		s.urgent.Close()
	}
	if s.session != nil {
		s.session.Close()
	}
}

// begin runs the begin probes. What they sent is kept until the other probes are on, so that what comes of it, a command
// of system() say, is seen by them; unless it is exit(), for which nothing need be attached.
func (s *script) begin() error {
	if s.flags.tree {
		if _, err := s.enter(uint32(s.rootPID())); err != nil {
			return err
		}
	}
	for _, p := range s.program.Begin {
		if _, err := s.session.Run(p); err != nil {
			return &loadFault{err}
		}
	}
	return stream.Final(s.reader, &keeper{&s.early})
}

// keeper copies records.
type keeper struct{ to *[]prog.Record }

func (k *keeper) Before(uint64) error { return nil }
func (k *keeper) Record(rec prog.Record) error {
	rec.Body = bytes.Clone(rec.Body)
	*k.to = append(*k.to, rec)
	return nil
}
func (k *keeper) Drained(uint64, bool) error { return nil }
func (k *keeper) Holding() bool              { return false }

func (s *script) isExit(rec prog.Record) bool {
	return int(rec.Type) < len(s.program.Sites) && s.program.Sites[rec.Type].Kind == compile.SiteExit
}

func (s *script) rootPID() int {
	if s.command != nil {
		return s.command.Pid()
	}
	return s.pid
}

// enter puts a process into the map of --tree.
func (s *script) enter(pid uint32) (added bool, err error) {
	return s.session.Add(s.treeMap, pid, uint64(1))
}

// reseed enters the descendants that the process of --tree -p had before the probes were on.
func (s *script) reseed() error {
	if !s.flags.tree || s.command != nil {
		return nil
	}
	root := target.Options{Trees: []string{strconv.Itoa(s.pid)}}
	t, err := root.Resolve()
	if err != nil {
		return err
	}
	_, err = t.Reseed(s.enter, func(pid uint32) error {
		_, err := s.session.Remove(s.treeMap, pid)
		return err
	})
	return err
}

// drain handles what is in the ring now.
func (s *script) drain() error {
	if err := stream.Final(s.reader, s); err != nil && !errors.Is(err, stream.ErrStop) {
		return err
	}
	return nil
}

// attach puts the probes on.
func (s *script) attach() error {
	if s.progress != nil {
		s.session.Progress = s.progress.attaching
	}
	err := s.session.Attach()
	s.progress.clear()
	if err != nil {
		return &loadFault{err}
	}
	reached(stageProbed)
	if s.flags.quiet {
		return s.reseed()
	}
	if !s.flags.noWarnings {
		for _, m := range s.session.Missing() {
			say(s.io.err, "%s: warning: %s", s.name, m)
		}
	}
	if s.flags.verbose > 0 {
		for _, c := range s.program.Choices {
			say(s.io.err, "%s: %s", s.name, c)
		}
	}
	return s.reseed()
}

// points is how many attach points are on.
func (s *script) points() int { return max(len(s.program.Points)-s.session.Skipped(), 0) }

// opening says how many probes are on, then shows what the begin probes sent.
func (s *script) opening(leaves bool) error {
	if !s.flags.quiet {
		n := s.points()
		if leaves {
			n = len(s.program.Begin)
		}
		if err := s.runner.Attached(n); err != nil {
			return err
		}
	}
	var left error // by exit(): the rest is for the count only
	for _, rec := range s.early {
		if err := s.Record(rec); errors.Is(err, stream.ErrStop) {
			left = err
		} else if err != nil {
			return err
		}
	}
	s.early = nil
	if left != nil {
		return left
	}
	return s.out.Flush()
}

// follow lets the command go and handles records until the end.
func (s *script) follow(ctx context.Context) error {
	if s.command != nil {
		if err := s.command.Release(); err != nil {
			return err
		}
		s.released = true
	}
	if len(s.program.Iter) > 0 {
		return s.iterate(ctx)
	}
	if s.session.Attached() == 0 && len(s.program.Signals) == 0 && s.command == nil {
		return nil // nothing more will come
	}
	hurry()
	return stream.Run(ctx, s.reader, s)
}

// iterate goes through what the iterator goes through; its records are in the ring like all others.
func (s *script) iterate(ctx context.Context) error {
	for _, p := range s.program.Iter {
		text, err := s.session.IterText(p)
		if err != nil {
			return err
		}
		defer text.Close()
		buf := make([]byte, 64<<10)
		for ctx.Err() == nil && !s.exiting() {
			_, err := text.Read(buf)
			if derr := s.drain(); derr != nil {
				return derr
			}
			if err != nil {
				break
			}
		}
	}
	return nil
}

// Before, Record, Drained and Holding are stream.Handler.

func (s *script) Before(now uint64) error {
	if err := s.runner.Before(now); err != nil {
		return err
	}
	return s.attendUrgent()
}

// attendUrgent handles the records that cannot wait.
func (s *script) attendUrgent() error {
	if s.urgent == nil {
		return nil
	}
	_, err := s.urgent.Drain(s.runner.Record)
	return err
}

// urgentEvery is after how many records those that cannot wait are looked for, if many come at once.
const urgentEvery = 32

func (s *script) Record(rec prog.Record) error {
	if s.events%urgentEvery == 0 {
		if err := s.attendUrgent(); err != nil {
			return err
		}
	}
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
	if s.out.eager() {
		if err := s.runner.Flush(); err != nil {
			return err
		}
	}
	if s.exiting() {
		return stream.ErrStop
	}
	return nil
}

func (s *script) Holding() bool { return false }
