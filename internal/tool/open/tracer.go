package open

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"

	"sonde/internal/fileevent"
	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/stream"
)

const (
	recordTreeEnded = 0 // bpf/record.bpf.h
	recordOpen      = 1 // open.h
)

// Record is the number of the records of opens (prog.Record.Type), for who makes them without the programs.
const Record = recordOpen

// Cgroups tells the path of a process's cgroup and the id of its container; empty where not known. It is asked while
// the process probably still lives.
type Cgroups interface {
	Of(pid uint32, cgroupID, cssSet uint64) (path, container []byte)
}

// Show says which events are shown, beyond what the kernel decided, and where.
type Show struct {
	Sink      print.Sink
	Fields    []string               // keys of RowType that Sink looks at; nil: all
	Comm      func(comm []byte) bool // nil: all
	TID       uint32                 // of one thread only; 0: all
	Paths     *Globs                 // nil: all
	Unique    bool                   // of each process, each path once
	Count     uint64                 // stop after so many; 0: never
	Cgroups   Cgroups                // nil: not wanted
	Mono2Wall int64                  // nanoseconds from CLOCK_MONOTONIC to the Unix epoch
	Ordered   bool                   // records bear the time when an open began, and are put in that order (Options.Timed)
}

// Tracer shows opens, in the order in which they began or, if it is not known when they began, as they come. It belongs to
// one goroutine.
type Tracer struct {
	show    Show
	rows    *rowMaker
	order   *stream.Order[*fileevent.Event]
	one     *fileevent.Event // where nothing is held back
	pool    []*fileevent.Event
	pooled  int // bytes in the pool's buffers
	path    []byte
	seen    map[uint64]struct{}
	seed    maphash.Seed
	events  uint64
	badly   uint64
	forgot  uint64
	ended   bool
	noteErr error
}

// Bounds of the reorder window. Past them the oldest open is shown early, and counted.
const (
	orderItems = 16384
	orderBytes = 4 << 20
)

// Bounds of memory.
const (
	maxPooledEvent = 16 << 10 // bytes of an event's buffer that are kept for reuse
	maxSeen        = 1 << 20  // processes and paths that --unique remembers
)

// NewTracer makes a Tracer.
func NewTracer(show Show) *Tracer {
	t := &Tracer{show: show, rows: newRowMaker(show.Mono2Wall, show.Fields), order: stream.NewOrder[*fileevent.Event](orderItems, orderBytes)}
	if show.Unique {
		t.seen, t.seed = make(map[uint64]struct{}), maphash.MakeSeed()
	}
	return t
}

// Record takes one record. The error is stream.ErrStop when enough was shown, or the sink's.
func (t *Tracer) Record(r prog.Record) error {
	switch r.Type {
	case recordOpen:
		e := t.get()
		if _, err := e.Decode(r.Body, 0); err != nil {
			t.bad(err)
			t.put(e)
			return nil
		}
		e.Time = r.Time
		if !t.wanted(e) {
			t.put(e)
			return nil
		}
		if t.show.Cgroups != nil {
			e.Cgroup, e.Container = t.show.Cgroups.Of(e.PID, e.CgroupID, e.CSSSet)
		}
		if !t.show.Ordered {
			return t.emit(e)
		}
		return t.order.Push(e.Time, r.Seq, e.Size(), e, t.emit)
	case recordTreeEnded:
		t.ended = true
	}
	return nil
}

// wanted says whether an event is to be shown, as far as its order does not matter for that.
func (t *Tracer) wanted(e *fileevent.Event) bool {
	if t.show.TID != 0 && e.TID != t.show.TID {
		return false
	}
	if t.show.Comm != nil && !t.show.Comm(e.Comm()) {
		return false
	}
	if t.show.Paths == nil {
		return true
	}
	t.path = e.AppendFull(t.path[:0])
	return t.show.Paths.Match(t.path)
}

// TreeEnded says whether the last process of the followed tree has ended.
func (t *Tracer) TreeEnded() bool { return t.ended }

// Release shows, in order, the opens that began up to the watermark (CLOCK_MONOTONIC nanoseconds).
func (t *Tracer) Release(watermark uint64) error { return t.order.Release(watermark, t.emit) }

// Holds says whether opens wait to be shown.
func (t *Tracer) Holds() bool { return t.order.Len() > 0 }

// Finish shows all that is left.
func (t *Tracer) Finish() error { return t.order.Flush(t.emit) }

// Events counts what was shown.
func (t *Tracer) Events() uint64 { return t.events }

func (t *Tracer) emit(e *fileevent.Event) error {
	defer t.put(e)
	if t.show.Count > 0 && t.events >= t.show.Count {
		return stream.ErrStop
	}
	if t.show.Unique && !t.first(e) {
		return nil
	}
	if err := t.show.Sink.Row(t.rows.make(e)); err != nil {
		return err
	}
	t.events++
	if t.events == t.show.Count {
		return stream.ErrStop
	}
	return nil
}

// first says whether this process has not come with this path before.
func (t *Tracer) first(e *fileevent.Event) bool {
	t.path = binary.NativeEndian.AppendUint32(t.path[:0], e.PID)
	t.path = e.AppendFull(t.path)
	key := maphash.Bytes(t.seed, t.path)
	if _, ok := t.seen[key]; ok {
		return false
	}
	if len(t.seen) >= maxSeen {
		t.forgot += uint64(len(t.seen))
		clear(t.seen)
	}
	t.seen[key] = struct{}{}
	return true
}

func (t *Tracer) bad(err error) {
	t.badly++
	if t.noteErr == nil {
		t.noteErr = err
	}
}

func (t *Tracer) get() *fileevent.Event {
	if !t.show.Ordered {
		if t.one == nil {
			t.one = new(fileevent.Event)
		}
		return t.one
	}
	if n := len(t.pool); n > 0 {
		e := t.pool[n-1]
		t.pool = t.pool[:n-1]
		t.pooled -= e.Size()
		return e
	}
	return new(fileevent.Event)
}

func (t *Tracer) put(e *fileevent.Event) {
	if e == t.one {
		return
	}
	if n := t.pooled + e.Size(); e.Size() <= maxPooledEvent && n <= orderBytes {
		t.pool, t.pooled = append(t.pool, e), n
	}
}

// Notes are facts about completeness for the end of a run.
func (t *Tracer) Notes() (notes []string) {
	if n := t.order.Late(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d shown out of order: they took longer than the reorder window", n))
	}
	if n := t.order.Forced(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d shown early, perhaps before older ones: more came at once than the reorder window holds", n))
	}
	if t.forgot > 0 {
		notes = append(notes, fmt.Sprintf("%d processes and paths were forgotten, and may be shown twice: there were more than %d", t.forgot, maxSeen))
	}
	if t.badly > 0 {
		notes = append(notes, fmt.Sprintf("%d records could not be read, which is a bug of sonde: %v", t.badly, t.noteErr))
	}
	return notes
}
