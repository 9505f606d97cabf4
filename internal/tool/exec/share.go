package exec

import (
	"fmt"

	"github.com/cilium/ebpf"

	"sonde/internal/prog"
)

// What tool/proc needs: its programs are in this object, because the record of an exec is the same in both tools.

// Object is the object with the programs of this tool and of tool/proc, for kernels that may preempt programs of raw
// tracepoints (events) or for others.
func Object(events bool) (*ebpf.CollectionSpec, error) {
	load := loadBpf
	if events {
		load = loadBpfEvents
	}
	coll, err := load()
	if err != nil {
		return nil, fmt.Errorf("exec: the embedded object: %w", err)
	}
	return coll, nil
}

// others are the maps that only the programs of tool/proc use.
var others = []string{bpfMapTold, bpfMapProcScratches}

// Event is one exec, whole. It is its Joiner's until it is put back there.
type Event = event

// Time is when the new program was in place (CLOCK_MONOTONIC nanoseconds), as the programs of tool/proc take it.
func (e *event) Time() uint64 { return e.start }

// Seq is the number of its record.
func (e *event) Seq() uint64 { return e.seq }

// PID is the process id.
func (e *event) PID() uint32 { return e.pid }

// PPID is the process id of the parent.
func (e *event) PPID() uint32 { return e.ppid }

// ExecID counts the execs of the process and of those that it descends from.
func (e *event) ExecID() uint32 { return e.execID }

// Comm is the new name of the process.
func (e *event) Comm() []byte { return cString(e.comm[:]) }

// Args are the arguments, each ended by NUL; truncated says that some are missing.
func (e *event) Args() (args []byte, truncated bool) { return e.args(), e.truncated() }

// Size is how many bytes it holds, for bounds.
func (e *event) Size() int { return len(e.buf) }

// Joiner makes whole execs of their records.
type Joiner struct{ joiner }

// NewJoiner makes a Joiner; cgroups is nil where nobody asks for them.
func NewJoiner(cgroups Cgroups) *Joiner { return &Joiner{joiner{cgroups: cgroups}} }

// Take takes a record of an exec. done is called with each that is whole.
func (j *Joiner) Take(r prog.Record, done func(*Event) error) error { return j.take(r, done) }

// Rest ends the execs of which no more records come.
func (j *Joiner) Rest(done func(*Event) error) error { return j.rest(done) }

// Put gives an exec back.
func (j *Joiner) Put(e *Event) { j.put(e) }

// Notes are facts about completeness for the end of a run.
func (j *Joiner) Notes() []string { return j.notes() }

// Rows makes rows of execs.
type Rows struct{ maker *rowMaker }

// NewRows makes a Rows; noArgv says that the field argv is not looked at.
func NewRows(mono2wall int64, noArgv bool) *Rows {
	m := newRowMaker(mono2wall, false)
	m.noArgv = noArgv
	return &Rows{m}
}

// Make makes the row of an exec, of RowType. It is good until the next is made.
func (r *Rows) Make(e *Event) *prog.Row { return r.maker.make(e) }

// Want is what the programs are to gather for these fields of RowType: their constant "want".
func Want(fields []string) (want uint32) {
	if anyOf(fields, pathFields) {
		want |= wantPaths
	}
	if anyOf(fields, idFields) {
		want |= wantIDs
	}
	return want
}
