package guard

import (
	"fmt"

	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/stream"
)

// Cgroups tells the path of a process's cgroup and the id of its container; empty where not known. It is asked while
// the process probably still lives.
type Cgroups interface {
	Of(pid uint32, cgroupID, cssSet uint64) (path, container []byte)
}

// Show says which decisions are shown, and where.
type Show struct {
	Sink      print.Sink
	Comm      func(comm []byte) bool                   // nil: all
	RuleName  func(generation uint32, rule int) string // "" where it is not known any more
	Count     uint64                                   // stop after so many; 0: never
	Cgroups   Cgroups                                  // nil: not wanted
	Mono2Wall int64                                    // nanoseconds from CLOCK_MONOTONIC to the Unix epoch
}

// Tracer shows decisions as they come. Those that denied or killed come by a ring of their own and are shown before what
// was logged at the same time. It belongs to one goroutine.
type Tracer struct {
	show    Show
	rows    *rowMaker
	event   Event
	events  uint64
	badly   uint64
	ended   bool
	noteErr error
}

// NewTracer makes a Tracer.
func NewTracer(show Show) *Tracer { return &Tracer{show: show, rows: newRowMaker(show.Mono2Wall)} }

// Record takes one record, of either ring. The error is stream.ErrStop when enough was shown, or the sink's.
func (t *Tracer) Record(r prog.Record) error {
	switch r.Type {
	case recordGuard:
		e := &t.event
		if err := e.Decode(r.Body); err != nil {
			t.bad(err)
			return nil
		}
		e.Time = r.Time
		if t.show.Comm != nil && !t.show.Comm(e.Comm()) {
			return nil
		}
		if t.show.Cgroups != nil {
			e.Cgroup, e.Container = t.show.Cgroups.Of(e.PID, e.CgroupID, e.CSSSet)
		}
		return t.emit(e)
	case recordTreeEnded:
		t.ended = true
	}
	return nil
}

func (t *Tracer) emit(e *Event) error {
	if t.show.Count > 0 && t.events >= t.show.Count {
		return stream.ErrStop
	}
	name := ""
	if t.show.RuleName != nil {
		name = t.show.RuleName(e.Generation, int(e.Rule))
	}
	if err := t.show.Sink.Row(t.rows.make(e, name)); err != nil {
		return err
	}
	t.events++
	if t.events == t.show.Count {
		return stream.ErrStop
	}
	return nil
}

// TreeEnded says whether the last process of the followed tree has ended.
func (t *Tracer) TreeEnded() bool { return t.ended }

// Release has nothing to do: nothing is held back.
func (t *Tracer) Release(uint64) error { return nil }

// Holds says whether decisions wait to be shown: they never do.
func (t *Tracer) Holds() bool { return false }

// Finish has nothing to do.
func (t *Tracer) Finish() error { return nil }

// Events counts what was shown.
func (t *Tracer) Events() uint64 { return t.events }

func (t *Tracer) bad(err error) {
	t.badly++
	if t.noteErr == nil {
		t.noteErr = err
	}
}

// Notes are facts about completeness for the end of a run.
func (t *Tracer) Notes() (notes []string) {
	if t.badly > 0 {
		notes = append(notes, fmt.Sprintf("%d records could not be read, which is a bug of sonde: %v", t.badly, t.noteErr))
	}
	return notes
}
