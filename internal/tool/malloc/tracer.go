package malloc

import (
	"time"

	"sonde/internal/print"
	"sonde/internal/profile"
	"sonde/internal/prog"
	"sonde/internal/stream"
)

// World is what the tracer asks, and tells, of processes.
type World interface {
	// Frames names an address: the function, and before it those that the compiler put into it there. caller says that the
	// address is one to return to, behind the call.
	Frames(pid uint32, addr uint64, caller bool) []profile.Frame
	// Function names a function that is probed, by its number.
	Function(number int) profile.Frame
	// Seen takes note of what a process has mapped where these addresses lie, so that they can be named when it has ended. Lies is
	// for one that has ended before: an address lies in a file.
	Seen(pid uint32, addrs []uint64)
	Lies(pid uint32, addr uint64, in Place)
	// Called is for it, too: a function that is probed is at that address.
	Called(pid uint32, number int, addr uint64)
	// Passed likewise: a place at that address was recognised by its code.
	Passed(pid uint32, addr uint64)
	// Began, Executed and Ended tell of processes of the target.
	Began(pid, parent uint32)
	Executed(pid uint32, code uint64) // code is where the code of the program begins
	Ended(pid uint32)
	// Mapped is told when the loader has mapped other files into a process, or is about to.
	Mapped(pid uint32)
}

// Show says what is shown, and where.
type Show struct {
	Sink      print.Sink
	World     World
	Maps      *stream.Maps
	Comm      func(comm []byte) bool // nil: all
	Mono2Wall int64                  // nanoseconds from CLOCK_MONOTONIC to the Unix epoch
	Top       int                    // only so many stacks; 0: all
	Every     time.Duration          // what came in that time is shown each time; 0: at the end only
	Options   Options
	// Ascending has the largest stack last.
	Ascending bool
}

// stack is one that was told of.
type stack struct {
	pid    uint32
	comm   string
	raw    *rawStack       // nil when it has been named
	frames []profile.Frame // the innermost first
	end    profile.End
	seen   amount // what was shown of it, with Every
}

// amount is what is counted of a stack.
type amount struct{ bytes, calls uint64 }

// Tracer keeps the stacks and shows what was counted for them. It belongs to one goroutine.
type Tracer struct {
	show    Show
	stacks  map[stackKey]*stack
	comms   map[uint32]string // of processes, the newest
	began   uint64            // CLOCK_MONOTONIC
	next    uint64            // when to show next, with Every
	now     uint64
	shown   uint64
	ended   bool
	table   stream.Table
	live    stream.Table
	execs   map[uint32]uint64 // when a process last put another program in its place
	unnamed uint64            // stacks in the table that were not told of
	mixed   uint64            // stacks whose CPUs do not agree
	rows    *rowMaker

	// In which files the addresses lie of the stack that is told next.
	places   []*Place
	placesOf uint32
}

// NewTracer makes a Tracer.
func NewTracer(show Show) *Tracer {
	now, _ := stream.Now()
	t := &Tracer{
		show: show, stacks: map[stackKey]*stack{}, comms: map[uint32]string{}, execs: map[uint32]uint64{}, began: now,
		rows: newRowMaker(),
	}
	if show.Every > 0 {
		t.next = now + uint64(show.Every)
	}
	return t
}

// Record takes a record.
func (t *Tracer) Record(rec prog.Record) error {
	switch rec.Type {
	case recordTreeEnded:
		t.ended = true
	case recordStack:
		s, err := decodeStack(rec)
		if err != nil {
			return err
		}
		t.learn(s)
	case recordFiles:
		pid, places, err := decodeFiles(rec)
		if err != nil {
			return err
		}
		t.places, t.placesOf = places, pid
	case recordFork, recordExec, recordExit, recordMapped:
		task, err := decodeTask(rec)
		if err != nil {
			return err
		}
		switch rec.Type {
		case recordMapped:
			t.show.World.Mapped(task.pid)
		case recordFork:
			t.show.World.Began(task.pid, task.parent)
		case recordExec:
			t.execs[task.pid] = rec.Time
			t.comms[task.pid] = task.comm
			t.show.World.Executed(task.pid, task.code)
		default:
			t.show.World.Ended(task.pid)
		}
	}
	return nil
}

// maxStacks bounds how many stacks are kept; the table in the kernel is smaller.
const maxStacks = 1 << 22

func (t *Tracer) learn(raw rawStack) {
	if t.stacks[raw.key] != nil || len(t.stacks) >= maxStacks {
		return
	}
	s := &stack{pid: raw.key.pid, comm: raw.comm, raw: &raw}
	pid := raw.key.pid
	t.show.World.Seen(pid, raw.frames)
	t.show.World.Called(pid, raw.number, raw.frames[0])
	for _, addr := range raw.frames[1 : raw.direct-1] {
		t.show.World.Passed(pid, addr)
	}
	if pid == t.placesOf && len(t.places) > 0 {
		t.lie(&raw)
	}
	t.stacks[raw.key] = s
	t.comms[pid] = raw.comm
}

// name gives a stack's addresses their names. It is left until somebody is to read them: the symbols of a large program take their
// time, and other processes may end meanwhile.
func (t *Tracer) name(s *stack) {
	raw := s.raw
	if raw == nil {
		return
	}
	s.raw = nil
	first := t.show.World.Function(raw.number)
	first.Address = raw.frames[0]
	s.frames = append(s.frames, first)
	for _, addr := range raw.frames[1:] {
		s.frames = append(s.frames, t.show.World.Frames(s.pid, addr, true)...)
	}
	s.frames, s.end = judge(s.frames, raw.end)
}

// pageOffset is the part of an address that is the same wherever a file is mapped.
const pageOffset = 1<<12 - 1

// lie tells in which files the addresses of a stack lie. The kernel's own walk begins with the function, and on some kernels
// with its caller; then come the frames. Behind what we took for the last frame it may have found more by chance.
func (t *Tracer) lie(raw *rawStack) {
	frames := raw.frames[raw.direct:]
	for _, first := range []int{1, 2} {
		fits := 0
		for i, addr := range frames {
			if first+i >= len(t.places) {
				break
			}
			if p := t.places[first+i]; p != nil {
				if p.Offset&pageOffset != addr&pageOffset {
					fits = -1
					break
				}
				fits++
			}
		}
		if fits <= 0 {
			continue
		}
		for i, addr := range frames {
			if first+i < len(t.places) && t.places[first+i] != nil {
				t.show.World.Lies(raw.key.pid, addr, *t.places[first+i])
			}
		}
		break
	}
	if p := t.places[0]; p != nil && p.Offset&pageOffset == raw.frames[0]&pageOffset {
		t.show.World.Lies(raw.key.pid, raw.frames[0], *p)
	}
	t.places = nil
}

// Release is told the time, again and again.
func (t *Tracer) Release(now uint64) error {
	if t.show.Every == 0 {
		return nil
	}
	clock, err := stream.Now()
	if err != nil || clock < t.next {
		return err
	}
	for t.next <= clock {
		t.next += uint64(t.show.Every)
	}
	return t.report(true)
}

// Holds says whether Release wants to be called though nothing comes.
func (t *Tracer) Holds() bool { return t.show.Every > 0 }

// TreeEnded says whether the last process of the followed tree has ended.
func (t *Tracer) TreeEnded() bool { return t.ended }

// Finish shows what there is to show at the end.
func (t *Tracer) Finish() error {
	if t.show.Every > 0 {
		return t.report(true)
	}
	return t.report(false)
}

// Events counts the stacks that were shown.
func (t *Tracer) Events() uint64 { return t.shown }

// Profile is all that was counted, for files.
func (t *Tracer) Profile() (*profile.Profile, error) { return t.profile() }
