package proc

import (
	"fmt"

	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/stream"
	"sonde/internal/tool/exec"
)

// Show says which events are shown, beyond what the kernel decided, and where.
type Show struct {
	Sink      print.Sink
	Comm      func(comm []byte) bool // nil: all
	Count     uint64                 // stop after so many; 0: never
	Cgroups   exec.Cgroups           // nil: not wanted
	Mono2Wall int64                  // nanoseconds from CLOCK_MONOTONIC to the Unix epoch
	PageSize  uint64
	Execs     bool      // execs are shown
	Forks     bool      // forks are shown
	Args      bool      // the last column has the arguments
	Argv      bool      // arguments are to be remembered
	NoArgv    bool      // the field argv of an exec is not looked at
	Ask       Arguments // of processes whose exec was not seen; nil: nobody
	Classic   bool
	Failures  bool     // of ends only those with a status other than 0, or by a signal
	MinAge    uint64   // of ends only those of processes that lived as long (nanoseconds); for the classic, by the duration that it shows
	History   *History // keeps the run; nil: nobody does
}

// Tracer puts what happens to processes in the order of its time, and shows it. It belongs to one goroutine.
type Tracer struct {
	show    Show
	rows    *rowMaker
	lives   *lives
	joiner  *exec.Joiner
	order   *stream.Order[*item]
	pool    []*item
	events  uint64
	badly   uint64
	noteErr error
	ended   bool
}

// item is one event on its way through the reorder window.
type item struct {
	exec *exec.Event // or nil
	fork fork
	end  end
	kind uint16 // recordExec, recordExit or recordFork
}

// Bounds of the reorder window. Past them the oldest event is shown early, and counted.
const (
	orderItems = 16384
	orderBytes = 4 << 20
)

// NewTracer makes a Tracer.
func NewTracer(show Show) *Tracer {
	return &Tracer{
		show:   show,
		rows:   newRowMaker(&show),
		lives:  newLives(show.Argv, show.Ask),
		joiner: exec.NewJoiner(show.Cgroups),
		order:  stream.NewOrder[*item](orderItems, orderBytes),
	}
}

// Seed tells of a process that lived before the programs were on. It has to come before any record.
func (t *Tracer) Seed(pid uint32, args []byte, cut bool) { t.lives.seed(pid, args, cut) }

// Record takes one record. The error is stream.ErrStop when enough was shown, or the sink's.
func (t *Tracer) Record(r prog.Record) error {
	switch r.Type {
	case recordExec, recordArgs:
		return t.joiner.Take(r, t.execed)
	case recordExit:
		it := t.get(recordExit)
		it.end.time = r.Time
		return t.push(it, it.end.decode(r.Body), r)
	case recordFork:
		it := t.get(recordFork)
		it.fork.time = r.Time
		return t.push(it, it.fork.decode(r.Body), r)
	case recordTreeEnded:
		t.ended = true
	}
	return nil
}

func (t *Tracer) execed(e *exec.Event) error {
	it := t.get(recordExec)
	it.exec = e
	return t.order.Push(e.Time(), e.Seq(), e.Size(), it, t.emit)
}

func (t *Tracer) push(it *item, err error, r prog.Record) error {
	if err != nil {
		t.put(it)
		if t.badly++; t.noteErr == nil {
			t.noteErr = err
		}
		return nil
	}
	return t.order.Push(r.Time, r.Seq, exitSize, it, t.emit)
}

// TreeEnded says whether the last process of the followed tree has ended.
func (t *Tracer) TreeEnded() bool { return t.ended }

// Release shows, in order, what happened up to the watermark (CLOCK_MONOTONIC nanoseconds).
func (t *Tracer) Release(watermark uint64) error { return t.order.Release(watermark, t.emit) }

// Holds says whether events wait to be shown.
func (t *Tracer) Holds() bool { return t.order.Len() > 0 }

// Finish shows all that is left.
func (t *Tracer) Finish() error {
	if err := t.joiner.Rest(t.execed); err != nil {
		return err
	}
	return t.order.Flush(t.emit)
}

// Events counts what was shown.
func (t *Tracer) Events() uint64 { return t.events }

// emit takes the next event in order: what is to be remembered of it, and its row.
func (t *Tracer) emit(it *item) error {
	defer t.put(it)
	switch it.kind {
	case recordExec:
		e := it.exec
		args, truncated := e.Args()
		t.lives.execed(e.PID(), e.Time(), e.ExecID(), args, truncated)
		if t.show.History != nil {
			t.show.History.execed(e)
		}
		if !t.show.Execs || !t.wanted(e.Comm()) {
			return nil
		}
		return t.row(t.rows.makeExec(e))
	case recordFork:
		f := &it.fork
		t.lives.forked(f)
		if t.show.History != nil {
			t.show.History.forked(f)
		}
		if !t.show.Forks || !t.wanted(cString(f.comm[:])) {
			return nil
		}
		return t.row(t.rows.makeFork(f))
	}
	e := &it.end
	was := t.lives.ended(e)
	if t.show.History != nil {
		t.show.History.ended(e)
	}
	if t.show.Failures && e.code == 0 || t.age(e, was) < t.show.MinAge || !t.wanted(cString(e.comm[:])) {
		return nil
	}
	return t.row(t.rows.makeExit(e, was))
}

func (t *Tracer) age(e *end, was life) uint64 {
	if t.show.Classic {
		return classicNS(e, was)
	}
	return e.age
}

func (t *Tracer) wanted(comm []byte) bool { return t.show.Comm == nil || t.show.Comm(comm) }

func (t *Tracer) row(row *prog.Row) error {
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

func (t *Tracer) get(kind uint16) *item {
	if n := len(t.pool); n > 0 {
		it := t.pool[n-1]
		t.pool = t.pool[:n-1]
		it.kind = kind
		return it
	}
	return &item{kind: kind}
}

// maxPool is how many items are kept for reuse.
const maxPool = 1024

func (t *Tracer) put(it *item) {
	if it.exec != nil {
		t.joiner.Put(it.exec)
		it.exec = nil
	}
	if len(t.pool) < maxPool {
		t.pool = append(t.pool, it)
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
	if n := t.lives.refused; n > 0 {
		notes = append(notes, fmt.Sprintf("of %d processes the end is shown without arguments: those of all that live are more than %d MiB", n, maxArgBytes>>20))
	}
	if n := t.lives.forgot; n > 0 {
		notes = append(notes, fmt.Sprintf("%d living processes were forgotten, for there were more than %d: their ends have no duration and no arguments", n, maxLives))
	}
	if t.badly > 0 {
		notes = append(notes, fmt.Sprintf("%d records could not be read, which is a bug of sonde: %v", t.badly, t.noteErr))
	}
	return append(notes, t.joiner.Notes()...)
}
