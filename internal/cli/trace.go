package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/stream"
	"sonde/internal/target"
)

// tracer is a ready tool at work: records in, rows out.
type tracer interface {
	Record(prog.Record) error
	Release(watermark uint64) error
	Finish() error
	Holds() bool
	TreeEnded() bool
	Events() uint64
	Notes() []string
}

// run is one run of a ready tool.
type run struct {
	name    string // under which sonde was called
	io      streams
	spec    *prog.Spec
	target  *target.Target
	out     output
	rowType *prog.RowType
	also    []*prog.RowType // further types of rows
	columns []prog.Column
	exact   bool // columns as the classic tool prints them

	inFlight, closing    string // variables of the programs: what is under way; begin nothing new; "" where nothing takes time
	treeLive, treeSeeded string // how many processes the followed tree has, by the programs and by us
	missed               string // what it means when the kernel leaves out runs of the programs
	hooks                hooks

	session *attach.Session // nil where there are no programs
	stop    func() error    // closes the probes in place of the session; nil: it is the session's
	command *target.Command
	file    *print.Output
	tool    tracer
	reader  *stream.Reader // of Spec.Ring
	urgent  *stream.Reader // of Spec.Urgent; nil if there is none
	records uint64         // that came, shown or not
	seq     *stream.Sequence
	mark    stream.Watermark
	idle    bool
	signals chan os.Signal
	signal  os.Signal // that ended the run, nil if none did
	stopped chan struct{}
	// unsettled counts what was still under way when the run ended.
	unsettled uint64
}

// hooks are the steps of a run that a tool with more to do than to watch adds. Each may be nil.
type hooks struct {
	// open takes the place of loading run.spec and attaching it; it is called when COMMAND is there, and waits.
	open     func() (*prog.Spec, *attach.Session, error)
	attached func() error                   // all is attached; the heading is not written, COMMAND still waits
	followed func() error                   // the followed tree is known
	sink     func(*print.Output) print.Sink // makes the sink of the text form
	beside   func(ctx context.Context)      // runs beside the reading of records; the run ends when it returns
	ending   func(sig os.Signal)            // at once when the run is to end, not on the reader's goroutine; nil: no signal
	// account adds to the account; lines go below it on standard error.
	account func(s *prog.Summary) (lines []string, err error)
	signals []os.Signal // those that end the run, in place of endSignals
	// unread is asked whether the run goes on, in silence, where nobody reads its output any more.
	unread func() bool
}

// endSignals are those that end this run in order.
func (r *run) endSignals() []os.Signal {
	if r.hooks.signals != nil {
		return r.hooks.signals
	}
	return endSignals()
}

// heapGrowth is by how many percent the heap may grow before it is collected. Showing records allocates next to nothing,
// so this costs no time and saves memory.
const heapGrowth = 20

// heapPatience is how long the run goes on before that: to collect what loading has left would delay the first records.
const heapPatience = 100 * time.Millisecond

// trace does the whole run: start COMMAND held, load, attach, let it go, show records until the end, account.
func (r *run) trace(tool func(s print.Sink, mono2wall int64) tracer) (err error) {
	done, err := r.prepare()
	defer done()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	open := r.load
	if r.hooks.open != nil {
		open = r.hooks.open
	}
	if r.spec, r.session, err = open(); err != nil {
		return err
	}
	defer r.session.Close()
	// What loading left behind is most of the heap there will ever be; it is kept small once there is time for that.
	defer time.AfterFunc(heapPatience, func() { debug.SetGCPercent(heapGrowth) }).Stop()
	reader, err := stream.NewReader(r.session.Map(r.spec.Ring))
	if err != nil {
		return err
	}
	r.reader = reader
	defer reader.Close()
	if r.spec.Urgent != "" {
		if r.urgent, err = stream.NewReader(r.session.Map(r.spec.Urgent)); err != nil {
			return err
		}
		defer r.urgent.Close()
		reader.Attend(r.urgent)
	}
	counters, err := stream.NewCounters(r.session.Map(r.spec.Counters), r.spec.LostReasons)
	if err != nil {
		return err
	}
	tally, err := counters.Read()
	if err != nil {
		return err
	}
	r.seq = stream.NewSequence(len(tally.CPUs))
	if r.hooks.open == nil {
		if err := r.session.Attach(); err != nil {
			return err
		}
	}
	if err := call(r.hooks.attached); err != nil {
		return err
	}
	mono2wall, err := monoToWall()
	if err != nil {
		return err
	}
	sink := r.sink()
	r.tool = tool(sink, mono2wall)
	alive, err := r.reseed()
	if err != nil {
		return err
	}
	if err := call(r.hooks.followed); err != nil {
		return err
	}
	// The heading says to who waits for it that nothing is missed from here on.
	if err := r.goOn(sink.Flush()); err != nil {
		return r.unread(err)
	}
	r.stopped = make(chan struct{})
	go r.watch(ctx, cancel)
	if r.command != nil {
		if err := r.release(); err != nil {
			return err
		}
	}
	if alive || !r.target.EndsWithTree() {
		hurry()
		err = stream.Run(ctx, reader, r)
	}
	cancel()
	<-r.stopped

	// From here on nothing new begins; what has begun is brought to its end.
	err = errors.Join(err, r.settle(), r.detach())
	if !errors.Is(err, print.ErrClosedPipe) {
		err = errors.Join(err, stream.Final(reader, r), unlessStopped(r.attendUrgent()), unlessStopped(r.tool.Finish()))
	}
	return r.finish(sink, func() (*prog.Summary, error) { return r.summary(counters) }, err)
}

// detach closes the probes.
func (r *run) detach() error {
	if r.stop != nil {
		return r.stop()
	}
	return r.session.Detach()
}

// prepare is what comes before anything is loaded: signals, the output, COMMAND held. done undoes it, also after an error.
func (r *run) prepare() (done func(), err error) {
	// One goroutine does the work. With a second processor, the Go scheduler wakes a thread to look for more whenever
	// that goroutine rests, which was measured to double what a record costs.
	runtime.GOMAXPROCS(1)

	// A gone reader is found by the failing write; without a handler the runtime would end us before the accounting.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	r.signals = make(chan os.Signal, 2)
	signal.Notify(r.signals, r.endSignals()...)
	done = func() { signal.Stop(r.signals) }
	if err := r.openOutput(); err != nil {
		return done, err
	}
	done = func() {
		r.file.Close()
		signal.Stop(r.signals)
	}
	if r.target.HasCommand() {
		if r.command, err = r.target.Start([3]*os.File{os.Stdin, os.Stdout, os.Stderr}); err != nil {
			return done, err
		}
		return func() {
			r.command.Cancel()
			r.file.Close()
			signal.Stop(r.signals)
		}, nil
	}
	return done, nil
}

// load puts programs and maps into the kernel, for the target that was chosen.
func (r *run) load() (*prog.Spec, *attach.Session, error) {
	if err := r.target.Apply(r.spec); err != nil {
		return r.spec, nil, err
	}
	s, err := attach.Open(r.spec)
	return r.spec, s, err
}

func call(hook func() error) error {
	if hook == nil {
		return nil
	}
	return hook()
}

// settleFor is how long what is under way at the end of a run may take to come to its end.
const settleFor = 50 * time.Millisecond

// settle waits until nothing is under way any more: without the programs that see the end of a thing, it would be lost.
func (r *run) settle() error {
	if r.closing == "" {
		return nil
	}
	if err := r.session.SetWord(r.closing, 1); err != nil {
		return err
	}
	for until := time.Now().Add(settleFor); ; time.Sleep(time.Millisecond) {
		n, err := r.session.Word(r.inFlight)
		if n == 0 || err != nil {
			return err
		}
		if time.Now().After(until) {
			r.unsettled = n
			return nil
		}
	}
}

// hurry puts sonde before other work: in a storm of execs hundreds of processes want the CPU, and while the reader waits
// for its turn among them the ring runs over. It naps, so it never keeps the CPU for long. Which thread will read is the
// Go scheduler's choice, so it is done to all there are; COMMAND is another process, and started already.
func hurry() {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range threads {
		if tid, err := strconv.Atoi(t.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, tid, -20) // without the privilege it does as it is
		}
	}
}

// watch ends the run when its time is over, when a signal comes, or when COMMAND or its tree has ended.
func (r *run) watch(ctx context.Context, cancel context.CancelFunc) {
	defer close(r.stopped)
	defer cancel()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var besides chan struct{}
	if r.hooks.beside != nil {
		besides = make(chan struct{})
		go func() {
			defer close(besides)
			r.hooks.beside(ctx)
		}()
		defer func() {
			stop()
			<-besides
		}()
	}
	if r.hooks.ending != nil {
		defer func() { r.hooks.ending(r.signal) }()
	}
	var over <-chan time.Time
	if r.out.duration > 0 {
		over = time.After(r.out.duration)
	}
	var ended <-chan struct{}
	var tick <-chan time.Time
	switch {
	case r.command != nil:
		ended = r.command.Done()
	case r.target.EndsWithTree() && r.session != nil:
		tick = time.Tick(treeTick)
	}
	ticks := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case <-besides:
			return
		case r.signal = <-r.signals:
			go insist(r.signals, r.endSignals())
			return
		case <-ended:
			if r.out.noWait {
				return
			}
			// The programs tell when the tree has ended, but their record may have found the ring full.
			if ended = nil; r.session != nil {
				tick = time.Tick(treeTick)
			}
		case <-tick:
			if n, err := r.treeSize(); err != nil || n == 0 {
				return
			}
			if ticks++; ticks%treeCheck == 0 && !r.treeLives() {
				return
			}
		}
	}
}

// How often the tree's size is looked at, besides what the programs tell, and every how many times whether the
// processes in it really live.
const (
	treeTick  = 100 * time.Millisecond
	treeCheck = 10
)

// treeLives looks for a living process among those that the programs think are in the tree: the kernel may have left out
// the run that would have told of one's end.
func (r *run) treeLives() bool {
	pids, err := r.session.Keys32(target.MapTree)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(pids, target.Alive)
}

func (r *run) treeSize() (uint64, error) {
	live, err := r.session.Word(r.treeLive)
	if err != nil {
		return 0, err
	}
	seeded, err := r.session.Word(r.treeSeeded)
	return live + seeded, err
}

// reseed enters the descendants that the roots of --tree had before the probes were on. alive says whether any
// followed process is left.
func (r *run) reseed() (alive bool, err error) {
	var seeded uint64
	count := func(by uint64) error {
		seeded += by
		return r.session.SetWord(r.treeSeeded, seeded)
	}
	n, err := r.target.Reseed(
		func(tgid uint32) (bool, error) {
			if err := count(1); err != nil {
				return false, err
			}
			added, err := r.session.Add(target.MapTree, tgid, uint8(1))
			if !added {
				err = errors.Join(err, count(^uint64(0)))
			}
			return added, err
		},
		func(tgid uint32) error {
			removed, err := r.session.Remove(target.MapTree, tgid)
			if removed {
				err = errors.Join(err, count(^uint64(0)))
			}
			return err
		})
	return n > 0 || r.command != nil, err
}

// Before, Record, Drained and Holding are stream.Handler: the records go to the tool by way of the checks that are
// the same for every tool.

func (r *run) Before(uint64) error {
	if r.inFlight != "" {
		n, err := r.session.Word(r.inFlight)
		r.idle = n == 0
		if err != nil {
			return err
		}
	}
	return r.attendUrgent()
}

func (r *run) Record(rec prog.Record) error {
	if r.records%urgentEvery == 0 {
		if err := r.attendUrgent(); err != nil {
			return err
		}
	}
	r.records++
	return r.take(rec)
}

func (r *run) take(rec prog.Record) error {
	r.count(rec)
	return r.goOn(r.tool.Record(rec))
}

// count takes note of a record's number. Those of some programs have none: what they lose, they count.
func (r *run) count(rec prog.Record) {
	if rec.Seq != 0 {
		r.seq.Add(rec.CPU, rec.Seq)
	}
}

// skip takes note of what is in the rings now and shows none of it.
func (r *run) skip() error {
	count := func(rec prog.Record) error {
		r.count(rec)
		return nil
	}
	_, err := r.reader.Drain(count)
	if err == nil && r.urgent != nil {
		_, err = r.urgent.Drain(count)
	}
	return err
}

// goOn lets a run that has more to do than to tell go on where its reader has gone.
func (r *run) goOn(err error) error {
	if errors.Is(err, print.ErrClosedPipe) && r.hooks.unread != nil && r.hooks.unread() {
		r.file.Discard()
		return nil
	}
	return err
}

// attendUrgent takes the records that go before all others.
func (r *run) attendUrgent() error {
	if r.urgent == nil {
		return nil
	}
	_, err := r.urgent.Drain(r.take)
	return err
}

func (r *run) Drained(now uint64, whole bool) error {
	if err := r.tool.Release(r.mark.Advance(now, r.idle && whole)); err != nil {
		return err
	}
	if err := r.goOn(r.file.Flush()); err != nil {
		return err
	}
	if r.tool.TreeEnded() && r.target.EndsWithTree() && !r.out.noWait {
		return stream.ErrStop
	}
	return nil
}

func (r *run) Holding() bool { return r.tool.Holds() }

// finish accounts for the run, on stderr and in the sink, and turns its end into an error or a status.
func (r *run) finish(sink print.Sink, account func() (*prog.Summary, error), err error) error {
	if errors.Is(err, print.ErrClosedPipe) {
		return r.commandStatus(nil)
	}
	flushed := r.file.Flush()
	summary, serr := account()
	err = errors.Join(err, serr)
	var below []string
	if r.hooks.account != nil {
		var aerr error
		below, aerr = r.hooks.account(summary)
		err = errors.Join(err, aerr)
	}
	if werr := sink.Summary(summary); werr != nil && flushed == nil {
		flushed = werr
	}
	if errors.Is(flushed, print.ErrClosedPipe) {
		return r.commandStatus(nil)
	}
	summary.Unwritten = r.file.Unwritten()
	for _, line := range append(print.Accounting(summary), below...) {
		say(r.io.err, "%s: %s", r.name, line)
	}
	if flushed == nil {
		flushed = r.file.Err()
	}
	return r.commandStatus(errors.Join(err, r.written(flushed)))
}

// written says where it was that could not be written to.
func (r *run) written(err error) error {
	switch {
	case err == nil || errors.Is(err, print.ErrClosedPipe):
		return nil
	case r.out.file != "":
		return fmt.Errorf("writing %s: %w", r.out.file, err)
	}
	return fmt.Errorf("writing: %w", err)
}

func (r *run) summary(counters *stream.Counters) (*prog.Summary, error) {
	s := &prog.Summary{Events: r.tool.Events(), Notes: r.tool.Notes()}
	tally, err := counters.Read()
	if err != nil {
		return s, err
	}
	s.Lost = tally.Lost
	if v := r.seq.Verdict(tally); v.Odd > 0 || v.Unexplained > 0 {
		s.Lost = append(s.Lost, prog.Count{Reason: "unexplained", N: v.Unexplained + v.Odd})
	}
	cost, err := r.session.Cost()
	if err != nil {
		return s, err
	}
	s.KernelNS, s.KernelRuns, s.KernelKnown = cost.NS, cost.Runs, cost.Known
	if r.unsettled > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d still under way at the end are not shown", r.unsettled))
	}
	if len(cost.Missed) > 0 {
		var by []string
		for _, c := range cost.Missed {
			by = append(by, fmt.Sprintf("%s %d", c.Reason, c.N))
		}
		s.Notes = append(s.Notes, fmt.Sprintf("the kernel left out runs of programs that were busy on that CPU (%s): %s",
			strings.Join(by, ", "), r.missed))
	}
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		return s, err
	}
	s.UserNS = uint64(ru.Utime.Nano() + ru.Stime.Nano())
	return s, nil
}

func unlessStopped(err error) error {
	if errors.Is(err, stream.ErrStop) {
		return nil
	}
	return err
}

// monoToWall is what to add to CLOCK_MONOTONIC for the time since the Unix epoch, in nanoseconds. The monotonic clock is
// read before and after, so that an interruption between the two cannot shift it by more than it took.
func monoToWall() (int64, error) {
	best, offset := int64(1<<62), int64(0)
	for range 3 {
		before, err := stream.Now()
		if err != nil {
			return 0, err
		}
		wall := time.Now().UnixNano()
		after, err := stream.Now()
		if err != nil {
			return 0, err
		}
		if d := int64(after - before); d < best {
			best, offset = d, wall-int64(before)-d/2
		}
	}
	return offset, nil
}
