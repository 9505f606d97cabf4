package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"sonde/internal/fileevent"
	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/target"
	"sonde/internal/tool/open"
	"sonde/internal/tool/open/dynevent"
)

// eventRun is a run by dynamic events: what run does with programs, without them.
type eventRun struct {
	*run
	events *dynevent.Trace
}

// traceDynevents is the run with --via tracefs.
func (x *openFlags) traceDynevents(r *run, f *pflag.FlagSet, opt open.Options, show open.Show) (err error) {
	if err := x.refuseDynevents(f); err != nil {
		return err
	}
	if r.target, err = x.target.Resolve(); err != nil {
		return asUsage(err)
	}
	done, err := r.prepare()
	defer done()
	if err != nil {
		return err
	}
	e := &eventRun{run: r}
	e.events, err = dynevent.Open(dynevent.Options{
		PIDs: r.target.PIDs(), Follows: r.target.FollowsTree(), BytesPerCPU: opt.RingBytes, Record: open.Record,
		Keep: func(ev *fileevent.Event) bool { return opt.Keeps(ev) },
	})
	if err != nil {
		return fmt.Errorf("--via tracefs: %w", err)
	}
	defer func() {
		if cerr := e.events.Close(); cerr != nil {
			say(r.io.err, "%s: --via tracefs: %v; it may have left something behind in tracefs", r.name, cerr)
		}
	}()
	if !x.classic {
		say(r.io.err, "%s: seen by %s of tracefs: the file reached, user and cgroup are not known, and relative paths stay so", r.name, e.events.Kind())
		if ways := e.events.CannotShow(); len(ways) > 0 {
			say(r.io.err, "%s: not shown: %s", r.name, strings.Join(ways, ", "))
		}
	}
	r.stop = e.events.Stop
	show.Comm, show.Ordered, show.TID = r.target.MatchComm, true, opt.TID
	return e.trace(func(s print.Sink, mono2wall int64) tracer {
		show.Sink, show.Mono2Wall = newUnknown(r.openSink(s)), mono2wall
		return open.NewTracer(show)
	})
}

// refuseDynevents refuses flags that need to know more than the events tell.
func (x *openFlags) refuseDynevents(f *pflag.FlagSet) error {
	given := narrowed(f, "pid", "tree", "name")
	for name, on := range map[string]bool{
		"--created": x.created, "--full-path": x.full, "--ebpf": x.ebpf, "--hook": f.Changed("hook"), "--print-uid": x.printUID,
	} {
		if on {
			given = append(given, name)
		}
	}
	if len(given) > 0 {
		slices.Sort(given)
		return usage("--via tracefs knows nothing that would do for %s; it has -p, --tree, -- COMMAND, -n, -t, -x, --flag-filter, --path, --write and --unique",
			strings.Join(given, ", "))
	}
	return nil
}

func (e *eventRun) trace(tool func(s print.Sink, mono2wall int64) tracer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	debug.SetGCPercent(heapGrowth)
	if err := e.events.Start(e.target.Roots()); err != nil {
		return fmt.Errorf("--via tracefs: %w", err)
	}
	alive, err := e.target.Reseed(e.events.Follow, e.events.Unfollow)
	if err != nil {
		return err
	}
	mono2wall, err := monoToWall()
	if err != nil {
		return err
	}
	sink := e.sink()
	e.tool = tool(sink, mono2wall)
	// The heading says to who waits for it that nothing is missed from here on.
	if err := sink.Flush(); err != nil {
		return e.unread(err)
	}
	e.stopped = make(chan struct{})
	go e.watch(ctx, cancel)
	if e.command != nil {
		if err := e.release(); err != nil {
			return err
		}
	}
	if alive > 0 || e.command != nil || !e.target.EndsWithTree() {
		hurry()
		err = e.read(ctx)
	}
	cancel()
	<-e.stopped
	err = errors.Join(err, e.detach())
	if !errors.Is(err, print.ErrClosedPipe) {
		err = errors.Join(err, e.rest())
	}
	return e.finish(sink, e.account, err)
}

// How long the reader rests: the less there is the longer.
const (
	eventNap  = 5 * time.Millisecond
	eventRest = 50 * time.Millisecond
)

// read shows what comes until the run is to end.
func (e *eventRun) read(ctx context.Context) error {
	nap := eventNap
	for checked := time.Now(); ctx.Err() == nil; {
		mark, n, err := e.events.Read(e.tool.Record, false)
		if err == nil {
			err = e.tool.Release(mark)
		}
		if err == nil {
			err = e.file.Flush()
		}
		if err != nil {
			return unlessStopped(err)
		}
		if e.target.EndsWithTree() && !e.out.noWait {
			if e.events.TreeEnded() {
				return nil
			}
			// The event that would have told of it may be lost.
			if time.Since(checked) > treeCheck*treeTick {
				if !slices.ContainsFunc(e.events.Tree(), target.Alive) {
					return nil
				}
				checked = time.Now()
			}
		}
		if nap = min(nap*2, eventRest); n > 0 {
			nap = eventNap
		}
		select {
		case <-ctx.Done():
		case <-time.After(nap):
		}
	}
	return nil
}

// rest shows what is left when nothing is recorded any more.
func (e *eventRun) rest() error {
	for {
		_, n, err := e.events.Read(e.tool.Record, true)
		if err != nil {
			return unlessStopped(err)
		}
		if n == 0 {
			return unlessStopped(e.tool.Finish())
		}
	}
}

func (e *eventRun) account() (*prog.Summary, error) {
	s := &prog.Summary{Events: e.tool.Events(), Notes: e.tool.Notes()}
	lost, notes, err := e.events.Account()
	if err != nil {
		return s, err
	}
	s.Lost, s.Notes = lost, append(s.Notes, notes...)
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		return s, err
	}
	s.UserNS = uint64(ru.Utime.Nano() + ru.Stime.Nano())
	return s, nil
}

// unknown is a sink before which nobody knew these fields.
type unknown struct {
	print.Sink
	fields []int
}

func newUnknown(next print.Sink) print.Sink {
	u := &unknown{Sink: next}
	for _, key := range []string{"uid", "pcomm", "file", "dev", "ino", "cgroup_id", "cgroup", "container", "ppid"} {
		u.fields = append(u.fields, open.RowType.Index(key))
	}
	return u
}

func (u *unknown) Row(r *prog.Row) error {
	for _, i := range u.fields {
		r.Values[i].Null = true
	}
	return u.Sink.Row(r)
}
