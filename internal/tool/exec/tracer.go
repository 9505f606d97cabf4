package exec

import (
	"fmt"
	"regexp"

	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/stream"
)

// Cgroups tells the path of a process's cgroup and the id of its container; empty where not known. It is asked while
// the process probably still lives.
type Cgroups interface {
	Of(pid uint32, cgroupID, cssSet uint64) (path, container []byte)
}

// Show says which events are shown, beyond what the kernel decided, and where.
type Show struct {
	Sink      print.Sink
	Comm      func(comm []byte) bool // nil: all
	Line      *regexp.Regexp         // on the command line, words joined by spaces; nil: all
	Count     uint64                 // stop after so many; 0: never
	Cgroups   Cgroups                // nil: not wanted
	Mono2Wall int64                  // nanoseconds from CLOCK_MONOTONIC to the Unix epoch
	Classic   bool
	NoArgv    bool // the field argv is not looked at
}

// Tracer joins the records of execs, brings them into the order in which the execs began, and shows them. It belongs
// to one goroutine.
type Tracer struct {
	joiner
	show   Show
	rows   *rowMaker
	order  *stream.Order[*event]
	line   []byte
	events uint64
	ended  bool
}

// Bounds of the reorder window. Past them the oldest exec is shown early, and counted.
const (
	orderItems = 4096
	orderBytes = 1 << 20
)

// NewTracer makes a Tracer.
func NewTracer(show Show) *Tracer {
	rows := newRowMaker(show.Mono2Wall, show.Classic)
	rows.noArgv = show.NoArgv
	return &Tracer{
		joiner: joiner{cgroups: show.Cgroups},
		show:   show,
		rows:   rows,
		order:  stream.NewOrder[*event](orderItems, orderBytes),
	}
}

// Record takes one record. The error is stream.ErrStop when enough was shown, or the sink's.
func (t *Tracer) Record(r prog.Record) error {
	if r.Type == recordTreeEnded {
		t.ended = true
		return nil
	}
	return t.take(r, t.complete)
}

// TreeEnded says whether the last process of the followed tree has ended.
func (t *Tracer) TreeEnded() bool { return t.ended }

// Release shows, in order, the execs that began up to the watermark (CLOCK_MONOTONIC nanoseconds).
func (t *Tracer) Release(watermark uint64) error { return t.order.Release(watermark, t.emit) }

// Holds says whether execs wait to be shown.
func (t *Tracer) Holds() bool { return t.order.Len() > 0 }

// Finish shows all that is left. An exec whose arguments did not all arrive is marked so.
func (t *Tracer) Finish() error {
	if err := t.rest(t.complete); err != nil {
		return err
	}
	return t.order.Flush(t.emit)
}

// Events counts what was shown.
func (t *Tracer) Events() uint64 { return t.events }

func (t *Tracer) complete(e *event) error {
	if t.show.Comm != nil && !t.show.Comm(cString(e.comm[:])) {
		t.put(e)
		return nil
	}
	return t.order.Push(e.start, e.seq, len(e.buf), e, t.emit)
}

func (t *Tracer) emit(e *event) error {
	defer t.put(e)
	row := t.rows.make(e)
	if t.show.Line != nil && !t.show.Line.Match(t.joined(row)) {
		return nil
	}
	if t.show.Count > 0 && t.events >= t.show.Count {
		return stream.ErrStop
	}
	if err := t.show.Sink.Row(row); err != nil {
		return err
	}
	t.events++
	if t.events == t.show.Count {
		return stream.ErrStop
	}
	return nil
}

func (t *Tracer) joined(row *prog.Row) []byte {
	t.line = t.line[:0]
	for i, w := range row.Values[fArgs].List {
		if i > 0 {
			t.line = append(t.line, ' ')
		}
		t.line = append(t.line, w...)
	}
	return t.line
}

// Notes are facts about completeness for the end of a run.
func (t *Tracer) Notes() (notes []string) {
	if n := t.order.Late(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d shown out of order: they took longer than the reorder window", n))
	}
	if n := t.order.Forced(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d shown early, perhaps before older ones: more came at once than the reorder window holds", n))
	}
	return append(notes, t.notes()...)
}
