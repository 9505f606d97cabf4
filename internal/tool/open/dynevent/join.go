package dynevent

import (
	"golang.org/x/sys/unix"

	"sonde/internal/fileevent"
	"sonde/internal/prog"
)

// call is an open under way.
type call struct {
	start  uint64
	cpu    uint16
	reads  bool // its event has a name to be read
	named  bool // the kernel has looked for the name
	inside bool // an open of the kernel's own: it began with the look for the name, and ends when that is found
	how    fileevent.How
	marks  fileevent.Mark
	dirfd  int32
	mode   uint16
	flags  uint64
	path   []byte
	comm   [16]byte
}

// joiner puts opens together from their events, which must come in the order of their times.
type joiner struct {
	tasks  *tasks
	record func(prog.Record) error
	keep   func(*fileevent.Event) bool // nil: all
	number uint16                      // of the records
	looks  bool                        // the look for a name is told of
	adds   bool                        // flags are those that the kernel has added O_LARGEFILE to, as it does for every 64-bit program
	opens  map[uint32]*call
	free   []*call
	body   []byte

	endless   uint64 // opens whose end was not seen
	startless uint64 // ends whose start was not seen
	unread    uint64 // opens whose name was not in memory
	strangers uint64 // opens by threads whose process is not known
}

// fmodeExec is the flag of the opens that an exec does (__FMODE_EXEC of linux/fs.h).
const fmodeExec = 0x20

var largeFile = func() uint64 {
	f, _ := fileevent.FlagNamed("O_LARGEFILE")
	return f.Mask
}()

// tmpfileOnly is what O_TMPFILE has besides O_DIRECTORY: with it or with O_CREAT, the mode means something.
const tmpfileOnly = unix.O_TMPFILE &^ unix.O_DIRECTORY

// see takes one event. The error is record's.
func (j *joiner) see(e *event) error {
	switch e.part {
	case partNewTask, partExec:
		j.tasks.see(e)
		return nil
	case partEnded:
		if c := j.opens[e.task]; c != nil {
			j.endless++
			j.close(e.task, c)
		}
		j.tasks.see(e)
		return nil
	}
	c := j.opens[e.task]
	switch e.part {
	case partEnter:
		if c != nil {
			j.endless++
			j.close(e.task, c)
		}
		j.begin(e, fileevent.How(e.source.how), false)
	case partName:
		switch {
		case c == nil || c.inside:
			if c != nil {
				j.endless++
				j.close(e.task, c)
			}
			how := fileevent.ByHook
			if e.flags&fmodeExec != 0 {
				how = fileevent.ByExec
			}
			j.begin(e, how, true)
		default:
			c.named = true
			if e.known {
				c.path = append(c.path[:0], e.path...)
				c.marks &^= fileevent.NoPath
			}
		}
	case partOpened:
		if c != nil && c.inside {
			ret := int32(0)
			if e.ret < 0 && e.ret >= -4095 { // a pointer, or an error in its place
				ret = int32(e.ret)
			}
			return j.end(e, c, ret)
		}
	case partExit:
		if c != nil && c.inside { // its end was lost
			j.endless++
			j.close(e.task, c)
			c = nil
		}
		if c == nil {
			j.startless++
			c = j.begin(e, fileevent.How(e.source.how), false)
			c.marks |= fileevent.Untimed | fileevent.NoDirFD
		}
		return j.end(e, c, int32(e.ret))
	}
	return nil
}

func (j *joiner) begin(e *event, how fileevent.How, inside bool) *call {
	var c *call
	if n := len(j.free); n > 0 {
		c, j.free = j.free[n-1], j.free[:n-1]
	} else {
		c = new(call)
	}
	*c = call{
		start: e.time, reads: e.source.path >= 0, cpu: e.cpu, inside: inside, how: how, dirfd: e.dirfd, mode: e.mode, flags: e.flags,
		path: append(c.path[:0], e.path...), comm: e.comm,
	}
	if !e.known {
		c.marks |= fileevent.NoPath
	}
	if e.source.dirfd.size == 0 {
		c.marks |= fileevent.NoDirFD
	}
	if j.adds {
		c.flags &^= largeFile
	}
	if how == fileevent.ByCreat {
		c.flags = creatFlags
	}
	j.opens[e.task] = c
	return c
}

func (j *joiner) close(tid uint32, c *call) {
	delete(j.opens, tid)
	j.free = append(j.free, c)
}

func (j *joiner) end(e *event, c *call, ret int32) error {
	defer j.close(e.task, c)
	pid, ok := j.tasks.of(e.task)
	if pid == 0 {
		j.strangers++
	}
	if !ok || pid == 0 {
		return nil
	}
	ev := fileevent.Event{
		Time: c.start, Duration: e.time - c.start, PID: pid, TID: e.task, DirFD: c.dirfd, Ret: ret,
		Flags: c.flags, Mode: c.mode, How: c.how, Marks: c.marks | fileevent.NoFile,
	}
	// Before 5.11 an empty string is told of like one that was not in memory. Of all names only that one fails so before it is
	// looked for.
	if j.looks && !c.named && !c.inside && ret == -int32(unix.ENOENT) {
		ev.Marks &^= fileevent.NoPath
	}
	if c.flags&(unix.O_CREAT|tmpfileOnly) == 0 {
		ev.Marks |= fileevent.NoMode
	}
	if j.keep != nil && !j.keep(&ev) {
		return nil
	}
	if ev.Marks&(fileevent.NoPath|fileevent.Untimed) == fileevent.NoPath && c.reads {
		j.unread++
	}
	j.body = ev.AppendBody(j.body[:0], c.comm, c.path)
	return j.record(prog.Record{Type: j.number, CPU: c.cpu, Time: c.start, Body: j.body})
}
