package cli

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/object"
	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/stream"
	"sonde/internal/target"
	"sonde/internal/tracefs"
)

// objectRun is one run of a compiled object.
type objectRun struct {
	io      streams
	flags   *scriptFlags
	opt     objectOptions
	maps    bool // shown at the end
	object  *object.Object
	streams []*object.Stream
	spec    *prog.Spec

	command  *target.Command
	released bool
	out      *print.Output
	writer   *object.Writer
	session  *attach.Session
	group    *stream.Group
	printk   *tracefs.Printk
	formats  *object.Formats
	printed  int // the number of the texts in the group; -1 where there are none
	mono2    int64
	events   uint64
	enough   bool // -c
	signals  chan os.Signal
	signal   os.Signal
	stopped  chan struct{}
}

// What is read of texts that programs print: how often, and how much of each CPU's may wait.
const (
	printkEvery  = 50 * time.Millisecond
	printkBuffer = 1 << 20
	perfBuffer   = 256 << 10
)

// run loads, attaches, shows records until the end, detaches, shows the maps, accounts.
func (r *objectRun) run() (err error) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a gone reader is found by the failing write
	r.signals = make(chan os.Signal, 2)
	signal.Notify(r.signals, endSignals()...)
	defer signal.Stop(r.signals)
	if err := r.openOutput(); err != nil {
		return err
	}
	defer r.out.Close()
	if err := r.load(); err != nil {
		return err
	}
	defer r.close()
	reached(stageLoaded)
	if err := r.session.Attach(); err != nil {
		return fmt.Errorf("%s: %w", r.object.Name, err)
	}
	reached(stageProbed)
	missing := r.session.Missing()
	if len(missing) > 0 && r.session.Attached() == 0 {
		return fmt.Errorf("%s: %s", r.object.Name, missing[0])
	}
	for _, m := range missing {
		say(r.io.err, "sonde: warning: %s", m)
	}
	r.tellProbes()
	if r.flags.dryRun {
		if !r.flags.quiet {
			say(r.io.err, "sonde: %s can be attached", programs(r.session.Attached()))
		}
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.stopped = make(chan struct{})
	err = r.heading()
	go r.watch(ctx, cancel)
	if rerr := r.release(); err == nil { // COMMAND runs also where nobody reads
		err = rerr
	}
	if err == nil {
		err = r.follow(ctx)
	}
	cancel()
	<-r.stopped
	return r.end(unlessStopped(err))
}

func (r *objectRun) openOutput() (err error) {
	r.out = print.NewOutput(r.io.out)
	if r.flags.file != "" {
		if r.out, err = print.OpenOutput(r.flags.file); err != nil {
			return fmt.Errorf("-o: %w", err)
		}
	}
	r.writer = &object.Writer{Out: r.out, JSON: r.opt.json, Clock: clockText}
	if r.opt.json {
		r.writer.Clock = clockJSON
	}
	return nil
}

func clockText(dst []byte, ns int64) []byte { return time.Unix(0, ns).AppendFormat(dst, "15:04:05") }
func clockJSON(dst []byte, ns int64) []byte {
	return time.Unix(0, ns).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000000Z")
}

// load puts programs and maps into the kernel, and opens what records come through.
func (r *objectRun) load() (err error) {
	r.printed = -1
	if r.session, err = attach.OpenFor(r.spec, nil); err != nil {
		return r.refused(err)
	}
	if r.mono2, err = monoToWall(); err != nil {
		return err
	}
	if r.group, err = stream.NewGroup(); err != nil {
		r.close()
		return err
	}
	for _, s := range r.streams {
		if s.Perf {
			size := perfBuffer
			if r.opt.buffer > 0 {
				size = r.opt.buffer
			}
			_, err = r.group.AddPerf(r.session.Map(s.Map), size)
		} else {
			_, err = r.group.AddRing(r.session.Map(s.Map))
		}
		if err != nil {
			r.close()
			return fmt.Errorf("%s: map %s: %w", r.object.Name, s.Map, err)
		}
	}
	prints, formats := r.object.Printk()
	if prints {
		r.formats = formats
		var perr error
		if r.printk, perr = tracefs.OpenPrintk(printkBuffer); perr != nil {
			// The programs do their work all the same.
			say(r.io.err, "sonde: what the programs print (bpf_printk) is not shown: %v", perr)
		} else {
			r.printed = r.group.AddPolled(printkEvery, r.texts)
			if formats == nil && !r.flags.quiet {
				say(r.io.err, "sonde: with what formats the programs print cannot be told from their code: texts of other programs are shown too")
			}
		}
	}
	r.writer.Many = len(r.streams) > 1 || len(r.streams) == 1 && r.printk != nil
	return nil
}

func (r *objectRun) close() {
	if r.printk != nil {
		r.printk.Close()
		r.printk = nil
	}
	if r.group != nil {
		r.group.Close()
		r.group = nil
	}
	if r.session != nil {
		r.session.Close()
	}
}

// texts hands over what programs print as records: the thread's number, then the text.
func (r *objectRun) texts(f func(prog.Record) error) (int, error) {
	now, err := stream.Now()
	if err != nil {
		return 0, err
	}
	n := 0
	var body []byte
	_, err = r.printk.Read(now, func(l tracefs.Line) error {
		if r.formats != nil && !r.formats.Match(string(l.Text)) {
			return nil
		}
		n++
		body = append(binary.NativeEndian.AppendUint32(body[:0], l.PID), l.Text...)
		return f(prog.Record{CPU: l.CPU, Time: l.Time, Body: body})
	})
	return n, err
}

// heading says to who waits for it that all is attached.
func (r *objectRun) heading() error {
	var err error
	switch {
	case len(r.streams) == 1 && r.printk == nil:
		err = r.writer.Heading(r.streams[0])
	case len(r.streams) == 0 && r.printk != nil:
		err = r.writer.PrintedHeading()
	}
	if !r.flags.quiet {
		say(r.io.err, "sonde: %s of %s attached", programs(r.session.Attached()), r.object.Name)
	}
	if err != nil {
		return err
	}
	return r.out.Flush()
}

func programs(n int) string {
	if n == 1 {
		return "1 program"
	}
	return fmt.Sprintf("%d programs", n)
}

// release lets COMMAND go.
func (r *objectRun) release() error {
	if r.command == nil {
		return nil
	}
	if err := r.command.Release(); err != nil {
		return err
	}
	r.released = true
	return nil
}

// follow handles records until the end.
func (r *objectRun) follow(ctx context.Context) error {
	if err := r.iterate(ctx); err != nil {
		return err
	}
	hurry()
	return stream.Run(ctx, r.group, r)
}

// iterate shows the text of iterators. A run of nothing else ends with it.
func (r *objectRun) iterate(ctx context.Context) error {
	others := 0
	for _, p := range r.spec.Probes {
		if p.Kind != prog.Iter {
			others++
			continue
		}
		text, err := r.session.IterText(p.Program)
		if err != nil {
			return err
		}
		err = r.copyText(ctx, text)
		if cerr := text.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("program %s: %w", p.Program, err)
		}
	}
	if others == 0 {
		return stream.ErrStop
	}
	return nil
}

func (r *objectRun) copyText(ctx context.Context, text interface{ Read([]byte) (int, error) }) error {
	buf := make([]byte, 64<<10)
	var line []byte
	for ctx.Err() == nil {
		n, err := text.Read(buf)
		line = append(line, buf[:n]...)
		for {
			i := strings.IndexByte(string(line), '\n')
			if i < 0 && len(line) < len(buf) {
				break
			}
			if i < 0 {
				i = len(line) - 1
			}
			if werr := r.writer.Line(line[:i]); werr != nil {
				return werr
			}
			r.events++
			line = line[i+1:]
		}
		if err != nil || n == 0 {
			break
		}
	}
	if len(line) > 0 {
		r.events++
		return r.writer.Line(line)
	}
	return nil
}

// Before, Record, Drained and Holding are stream.Handler.

func (r *objectRun) Before(uint64) error { return nil }
func (r *objectRun) Holding() bool       { return false }

func (r *objectRun) Record(rec prog.Record) error {
	if r.enough {
		return stream.ErrStop
	}
	at, cpu := time.Now().UnixNano(), -1
	if rec.Time != 0 {
		at, cpu = int64(rec.Time)+r.mono2, int(rec.CPU)
	}
	var err error
	if int(rec.Type) == r.printed {
		tid := binary.NativeEndian.Uint32(rec.Body)
		err = r.writer.Printed(at, cpu, tid, commOf(tid), rec.Body[4:])
	} else {
		err = r.writer.Record(r.streams[rec.Type], at, cpu, rec.Body)
	}
	if err != nil {
		return err
	}
	if r.events++; r.opt.count > 0 && r.events >= r.opt.count {
		r.enough = true
		return stream.ErrStop
	}
	return nil
}

// commOf is the name of a thread that still lives, else nil.
func commOf(tid uint32) []byte {
	name, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(tid), 10) + "/comm")
	if err != nil {
		return nil
	}
	return []byte(strings.TrimSuffix(string(name), "\n"))
}

func (r *objectRun) Drained(uint64, bool) error { return r.out.Flush() }

// watch ends the run when its time is over, when a signal comes, or when COMMAND or the process of -p has ended.
func (r *objectRun) watch(ctx context.Context, cancel context.CancelFunc) {
	defer close(r.stopped)
	defer cancel()
	var over <-chan time.Time
	if r.opt.duration > 0 {
		over = time.After(r.opt.duration)
	}
	var ended <-chan struct{}
	switch {
	case r.command != nil:
		ended = r.command.Done()
	case r.opt.pid != 0:
		ended = processEnd(ctx, r.opt.pid)
	}
	select {
	case <-ctx.Done():
	case <-over:
	case r.signal = <-r.signals:
		go insist(r.signals, endSignals())
	case <-ended:
	}
}

// end detaches, handles what is left, shows the maps and accounts.
func (r *objectRun) end(err error) error {
	err = errors.Join(err, r.session.Detach())
	if !errors.Is(err, print.ErrClosedPipe) {
		err = errors.Join(err, unlessStopped(stream.Final(r.group, r)))
	}
	if r.maps && !errors.Is(err, print.ErrClosedPipe) {
		err = errors.Join(err, r.showMaps())
	}
	if errors.Is(err, print.ErrClosedPipe) {
		return r.status(nil)
	}
	flushed := r.out.Flush()
	summary, serr := r.account()
	err = errors.Join(err, serr)
	if r.opt.json {
		if werr := print.NewJSON(r.out, &prog.RowType{}, nil).Summary(summary); flushed == nil {
			flushed = werr
		}
	}
	if errors.Is(flushed, print.ErrClosedPipe) {
		return r.status(nil)
	}
	summary.Unwritten = r.out.Unwritten()
	if !r.flags.quiet {
		for _, line := range print.Accounting(summary) {
			say(r.io.err, "sonde: %s", line)
		}
	}
	if flushed == nil {
		flushed = r.out.Err()
	}
	if flushed != nil {
		name := "the output"
		if r.flags.file != "" {
			name = r.flags.file
		}
		err = errors.Join(err, fmt.Errorf("writing %s: %w", name, cause(flushed)))
	}
	return r.status(err)
}

// maxEntries bounds how many entries of a map are shown.
const maxEntries = 1 << 16

func (r *objectRun) showMaps() error {
	tables, others := r.object.Tables()
	for _, t := range tables {
		m := r.session.Map(t.Map)
		if m == nil {
			continue // no program refers to it, so it was not made
		}
		if err := r.writer.Title(t); err != nil {
			return err
		}
		zeros := 0
		more, err := stream.Entries(m, maxEntries, func(key []byte, values [][]byte) error {
			zero, err := r.writer.Entry(t, key, values)
			if zero {
				zeros++
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("map %s: %w", t.Map, err)
		}
		if err := r.writer.Left(t, zeros, more); err != nil {
			return err
		}
	}
	for _, o := range others {
		say(r.io.err, "sonde: %s", o)
	}
	return nil
}

// account sums the run up.
func (r *objectRun) account() (*prog.Summary, error) {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		return nil, err
	}
	s := &prog.Summary{Events: r.events, UserNS: uint64(ru.Utime.Nano() + ru.Stime.Nano())}
	var silent []string
	for i, st := range r.streams {
		n, known := r.group.Lost(i)
		if !known {
			silent = append(silent, st.Map)
			continue
		}
		s.Lost = append(s.Lost, prog.Count{Reason: st.Map + "_full", N: n})
	}
	if len(silent) > 0 {
		s.LossUnknown = true
		s.Notes = append(s.Notes, fmt.Sprintf("what found no room in the ring buffer %s is known to the programs alone, if they count it", strings.Join(silent, ", ")))
	}
	if r.printk != nil {
		n, err := r.printk.Lost()
		if err != nil {
			return s, err
		}
		s.Lost = append(s.Lost, prog.Count{Reason: "printk_full", N: n})
	}
	cost, err := r.session.Cost()
	if err != nil {
		return s, err
	}
	s.KernelNS, s.KernelRuns, s.KernelKnown = cost.NS, cost.Runs, cost.Known
	for _, c := range cost.Missed {
		s.Notes = append(s.Notes, fmt.Sprintf("the kernel left out %d runs of %s, which was busy on that CPU", c.N, c.Reason))
	}
	return s, nil
}

// status ends COMMAND where the run has ended before it, and is how the run ends.
func (r *objectRun) status(err error) error {
	if r.command == nil || !r.released {
		return err
	}
	select {
	case <-r.command.Done():
	default:
		var sig os.Signal = syscall.SIGTERM
		if r.signal != nil {
			sig = r.signal
		} else if err == nil {
			// By -d or -c: COMMAND goes on to its end.
			select {
			case <-r.command.Done():
				return &statusError{r.command.Status()}
			case sig = <-r.signals:
				go insist(r.signals, endSignals())
			}
		}
		_ = r.command.Signal(sig) // it may have ended by now
		select {
		case <-r.command.Done():
		case <-time.After(graceAfterSignal):
			say(r.io.err, "sonde: COMMAND goes on (process %d)", r.command.Pid())
			return err
		}
	}
	if err != nil {
		return err
	}
	return &statusError{r.command.Status()}
}
