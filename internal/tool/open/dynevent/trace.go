package dynevent

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/fileevent"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/stream"
	"sonde/internal/tracefs"
)

// Options say what a Trace is to do.
type Options struct {
	PIDs        []uint32 // only these processes
	Follows     bool     // and those that Follow enters into the tree, with their descendants
	BytesPerCPU int      // of the trace buffers; 0 is DefaultBytesPerCPU
	Kind        Kind
	Record      uint16                      // the number of the records it makes (prog.Record.Type)
	Keep        func(*fileevent.Event) bool // nil: all

	variants []variant // sets of events to be tried; nil: those of Kind
}

// DefaultBytesPerCPU is a tenth of a second of opens at full speed.
const DefaultBytesPerCPU = 4 << 20

// Trace is a set of events that see opens. It belongs to one goroutine.
type Trace struct {
	in      instance
	remover *tracefs.Remover
	bufs    *tracefs.Buffers
	kind    Kind
	suffix  string
	own     []defined
	byID    map[uint16]*layout
	order   *stream.Order[*event]
	mark    stream.Watermark
	join    *joiner
	filters bool // only some threads
	free    []*event
	odd     uint64 // events that are none of ours, or too short
	oddErr  error
}

// Bounds of what waits to be put in order.
const (
	orderItems = 1 << 17
	orderBytes = 16 << 20
)

// hostPIDs is the inode of the first pid namespace (PROC_PID_INIT_INO of linux/proc_ns.h).
const hostPIDs = 0xeffffffc

// Open makes the instance and the events; nothing is recorded before Start. The caller must Close it.
func Open(opt Options) (*Trace, error) {
	t := &Trace{filters: opt.Follows || len(opt.PIDs) > 0}
	if err := t.open(opt); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *Trace) open(opt Options) error {
	dir, err := kernel.TracefsDir()
	if err != nil {
		return err
	}
	if strings.HasPrefix(dir, "/proc/self/") {
		return errors.New("tracefs is not mounted; mount it: mount -t tracefs nodev /sys/kernel/tracing")
	}
	// Events tell of threads by the host's numbers.
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil || st.Ino != hostPIDs {
		return errors.New("it needs the host's process ids, and this process runs in a pid namespace of its own: run sonde on the host (docker run --pid=host)")
	}
	name, err := tracefs.NewName(purpose)
	if err != nil {
		return err
	}
	// First the one who takes it away, then what is to be taken away.
	t.suffix = strings.TrimPrefix(name, tracefs.NamePrefix+purpose+"_")
	if t.remover, err = tracefs.StartRemover(dir, name); err != nil {
		return err
	}
	if t.in.Instance, err = tracefs.MakeInstance(dir, name); err != nil {
		return err
	}
	if opt.BytesPerCPU == 0 {
		opt.BytesPerCPU = DefaultBytesPerCPU
	}
	sub, err := t.in.Configure(opt.BytesPerCPU)
	if err != nil {
		return err
	}
	if opt.variants == nil {
		opt.variants = opt.Kind.variants()
	}
	if t.kind, t.own, err = t.in.probe(opt.variants, t.suffix); err != nil {
		return err
	}
	t.byID = make(map[uint16]*layout)
	for _, d := range t.own {
		t.byID[d.id] = d.layout
	}
	if t.bufs, err = tracefs.OpenBuffers(t.in.Instance, sub); err != nil {
		return err
	}
	t.order = stream.NewOrder[*event](orderItems, orderBytes)
	t.join = &joiner{
		tasks:  newTasks(uint32(os.Getpid()), opt.PIDs, opt.Follows),
		number: opt.Record, keep: opt.Keep, adds: t.kind == Kprobes, looks: t.has(partName), opens: make(map[uint32]*call),
	}
	return nil
}

// has says whether there is an event for that.
func (t *Trace) has(p part) bool {
	return slices.ContainsFunc(t.own, func(d defined) bool { return d.layout.part == p })
}

// Kind is the kind of events that were made.
func (t *Trace) Kind() Kind { return t.kind }

// CannotShow names the ways to open a file that these events do not see.
func (t *Trace) CannotShow() (ways []string) {
	seen := make(map[string]bool)
	for _, d := range t.own {
		seen[strings.TrimSuffix(d.name, "_"+t.suffix)] = true
	}
	if t.kind == EventProbes {
		for _, call := range []string{"openat2", "creat"} {
			if !seen[call] {
				ways = append(ways, call)
			}
		}
		ways = append(ways, "32-bit programs")
	}
	if !seen["sys_enter_open_by_handle_at"] {
		ways = append(ways, "open_by_handle_at")
	}
	if !t.has(partName) || !t.has(partOpened) {
		ways = append(ways, "io_uring", "opens by exec", "the kernel's own opens")
	}
	return ways
}

// Start begins to record. roots are entered into the followed tree; their descendants are for the caller to enter.
func (t *Trace) Start(roots []uint32) error {
	if t.filters {
		// Threads that are made later enter by themselves. A list with nobody in it is no list, so it begins with a thread that is not
		// traced anyway.
		if err := t.in.Set("1", "options", "event-fork"); err != nil {
			return err
		}
		if err := t.in.Set(strconv.Itoa(unix.Gettid()), "set_event_pid"); err != nil {
			return err
		}
	}
	for _, d := range t.own {
		if err := t.in.Set("1", "events", d.group, d.name, "enable"); err != nil {
			return err
		}
	}
	if err := t.in.Set("1", "tracing_on"); err != nil {
		return err
	}
	if !t.filters {
		return t.join.tasks.scan()
	}
	for pid := range t.join.tasks.wanted {
		if _, err := t.enter(pid, false); err != nil {
			return err
		}
	}
	for _, pid := range roots {
		if _, err := t.Follow(pid); err != nil {
			return err
		}
	}
	return nil
}

// Follow enters a process into the followed tree; added says whether it was missing.
func (t *Trace) Follow(pid uint32) (added bool, err error) { return t.enter(pid, true) }

// Unfollow takes a process that has ended out of the tree.
func (t *Trace) Unfollow(pid uint32) error {
	for tid, p := range t.join.tasks.process {
		if p == pid {
			t.join.tasks.drop(tid)
		}
	}
	return nil
}

func (t *Trace) enter(pid uint32, inTree bool) (added bool, err error) {
	for {
		missing, err := t.join.tasks.enter(pid, inTree)
		if err != nil || len(missing) == 0 {
			return added, err
		}
		added = true
		ids := make([]string, len(missing))
		for i, tid := range missing {
			ids[i] = strconv.FormatUint(uint64(tid), 10)
		}
		if err := t.in.Append(strings.Join(ids, " "), "set_event_pid"); err != nil {
			return added, err
		}
	}
}

// Read hands over the opens that have ended, in the order in which they did so. mark is the time up to which all are handed
// over (CLOCK_MONOTONIC nanoseconds), n how many events were read. Where last is set, no more are to come: what waits is handed over too.
func (t *Trace) Read(record func(prog.Record) error, last bool) (mark uint64, n int, err error) {
	t.join.record = record
	now, err := stream.Now()
	if err != nil {
		return 0, 0, err
	}
	var failed error
	reached, err := t.bufs.Drain(now, func(cpu uint16, time uint64, data []byte) {
		n++
		if err := t.take(cpu, time, data); err != nil && failed == nil {
			failed = err
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, n, err
	}
	mark = t.mark.Advance(reached, false)
	if last && n == 0 {
		return mark, n, t.order.Flush(t.see)
	}
	return mark, n, t.order.Release(mark, t.see)
}

// take decodes an event and puts it in order.
func (t *Trace) take(cpu uint16, time uint64, data []byte) error {
	id, ok := number(data, field{at: 0, size: 2}) // common_type
	l := t.byID[uint16(id)]
	if !ok || l == nil {
		t.odd++
		return nil
	}
	var e *event
	if n := len(t.free); n > 0 {
		e, t.free = t.free[n-1], t.free[:n-1]
	} else {
		e = new(event)
	}
	if err := l.decode(e, data); err != nil {
		t.odd++
		t.oddErr = err
		return nil
	}
	e.cpu, e.time = cpu, time
	return t.order.Push(time, 0, len(e.path), e, t.see)
}

func (t *Trace) see(e *event) error {
	err := t.join.see(e)
	if len(t.free) < 4096 {
		t.free = append(t.free, e)
	}
	return err
}

// TreeEnded says whether the last process of the followed tree has ended.
func (t *Trace) TreeEnded() bool { return t.join.tasks.ended }

// Tree lists the processes of the followed tree, as far as events told.
func (t *Trace) Tree() (pids []uint32) {
	for pid := range t.join.tasks.tree {
		pids = append(pids, pid)
	}
	return pids
}

// Stop ends the recording. What is in the buffers can still be read.
func (t *Trace) Stop() error { return t.in.Set("0", "tracing_on") }

// Account is what was lost, and what else is to be said of how complete the records are.
func (t *Trace) Account() (lost []prog.Count, notes []string, err error) {
	full, err := t.bufs.Lost()
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, d := range t.own {
		// Probes on one function are missed together; the one of its return stands for them.
		if d.group == t.in.Name && (d.layout.part == partExit || d.layout.part == partOpened) {
			names = append(names, d.name)
		}
	}
	missed, err := tracefs.MissedRuns(t.in.Dir, names)
	if err != nil {
		return nil, nil, err
	}
	lost = []prog.Count{
		{Reason: "trace_buffer_full", N: full},
		{Reason: "end_not_seen", N: t.join.endless}, {Reason: "process_not_known", N: t.join.strangers},
	}
	if full > 0 {
		notes = append(notes, "what trace_buffer_full counts are events of the kernel, of which an open has several")
	}
	for _, note := range []struct {
		n    uint64
		text string
	}{
		{missed, "runs of the probes that the kernel left out, of whatever process; as many opens may be missing"},
		{t.join.startless, "opens shown without their path: they began before the events were on, or their beginning was lost or too long"},
		{t.join.unread, "paths that were not in memory when the kernel was asked"},
		{t.order.Late(), "events that came too late to be put in order"},
		{t.order.Forced(), "events taken before older ones were sure to be there: more came at once than can be held"},
	} {
		if note.n > 0 {
			notes = append(notes, fmt.Sprintf("%s: %d", note.text, note.n))
		}
	}
	if t.odd > 0 {
		notes = append(notes, fmt.Sprintf("%d events could not be read, which is a bug of sonde (%v)", t.odd, t.oddErr))
	}
	return lost, notes, nil
}

// Close ends everything and takes it away. It returns when nothing is left in tracefs.
func (t *Trace) Close() error {
	if t.bufs != nil {
		t.bufs.Close()
		t.bufs = nil
	}
	if t.remover == nil {
		return nil
	}
	err := t.remover.Done()
	t.remover = nil
	return err
}
