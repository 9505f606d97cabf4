package exec

import (
	"fmt"

	"sonde/internal/prog"
)

// joiner makes whole execs of their records, which come in parts where the arguments are many.
type joiner struct {
	cgroups Cgroups  // nil: not wanted
	open    []*event // per CPU: an exec whose arguments are still arriving
	pool    []*event
	pooled  int // bytes in the pool's buffers
	badly   uint64
	noteErr error
}

// take takes one record; done gets an exec that is whole, and has it until it is put back.
func (j *joiner) take(r prog.Record, done func(*event) error) error {
	switch r.Type {
	case recordExec:
		if err := j.closeOpen(r.CPU, done); err != nil {
			return err
		}
		e := j.get()
		if err := e.decodeExec(r.Body); err != nil {
			j.bad(err)
			return nil
		}
		e.start, e.seq = r.Time, r.Seq
		if j.cgroups != nil {
			e.cgroup, e.container = j.cgroups.Of(e.pid, e.cgroupID, e.cssSet)
		}
		if e.flags&flagMore != 0 {
			j.setOpen(r.CPU, e)
			return nil
		}
		return done(e)
	case recordArgs:
		e := j.opened(r.CPU)
		if e == nil {
			return nil // its exec record was lost, and counted
		}
		last, err := e.addArgs(r.Body)
		if err != nil {
			j.bad(err)
			return nil
		}
		if last {
			j.setOpen(r.CPU, nil)
			return done(e)
		}
	}
	return nil
}

// rest ends the execs that are not whole: nothing more comes.
func (j *joiner) rest(done func(*event) error) error {
	for cpu := range j.open {
		if err := j.closeOpen(uint16(cpu), done); err != nil {
			return err
		}
	}
	return nil
}

func (j *joiner) opened(cpu uint16) *event {
	if int(cpu) < len(j.open) {
		return j.open[cpu]
	}
	return nil
}

func (j *joiner) setOpen(cpu uint16, e *event) {
	for int(cpu) >= len(j.open) {
		j.open = append(j.open, nil)
	}
	j.open[cpu] = e
}

// closeOpen ends the exec that was under way on that CPU: what comes now shows that the rest of it was lost.
func (j *joiner) closeOpen(cpu uint16, done func(*event) error) error {
	e := j.opened(cpu)
	if e == nil {
		return nil
	}
	j.open[cpu] = nil
	e.argsMissed = true
	return done(e)
}

func (j *joiner) bad(err error) {
	j.badly++
	if j.noteErr == nil {
		j.noteErr = err
	}
}

func (j *joiner) get() *event {
	if n := len(j.pool); n > 0 {
		e := j.pool[n-1]
		j.pool = j.pool[:n-1]
		j.pooled -= cap(e.buf)
		return e
	}
	return new(event)
}

func (j *joiner) put(e *event) {
	if n := j.pooled + cap(e.buf); cap(e.buf) <= maxPooledEvent && n <= orderBytes {
		j.pool, j.pooled = append(j.pool, e), n
	}
}

func (j *joiner) notes() []string {
	if j.badly == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d records could not be read, which is a bug of sonde: %v", j.badly, j.noteErr)}
}
