package proc

import (
	"cmp"
	"slices"

	"sonde/internal/tool/exec"
)

// History keeps the processes of a run: who started whom, what each was and when, how it ended. It is told of everything in
// the order in which it happened.
type History struct {
	all   []*process
	alive map[uint32]*process
	bytes int    // of arguments
	left  uint64 // processes that are not in it: there were too many
	page  uint64 // the size of a page
	first uint64 // the time of the first event
	last  uint64
}

// Bounds of memory.
const (
	maxHistory      = 1 << 18
	maxHistoryBytes = 64 << 20
)

// process is one process of the run.
type process struct {
	pid, ppid  uint32
	parent     *process // nil: not in the history
	children   []*process
	start, end uint64 // when it was first and last heard of (CLOCK_MONOTONIC nanoseconds)
	images     []image
	ended      bool
	how        end // if it has ended
}

// image is what a process was from some time on.
type image struct {
	at   uint64
	name string
	args []byte // each ended by NUL; nil: as its parent, or not known
	fork bool   // not by an exec: the program is the parent's
}

// NewHistory makes a History; page is the size of a page of memory.
func NewHistory(page uint64) *History { return &History{alive: make(map[uint32]*process), page: page} }

// Len is how many processes it has.
func (h *History) Len() int { return len(h.all) }

// Left is how many processes were too many for it.
func (h *History) Left() uint64 { return h.left }

func (h *History) forked(f *fork) {
	h.heard(f.time)
	delete(h.alive, f.pid) // one of that id has ended, and that was not heard of
	if p := h.enter(f.pid, f.ppid, f.time); p != nil {
		p.images = append(p.images, image{at: f.time, name: string(cString(f.comm[:])), fork: true})
	}
}

func (h *History) execed(e *exec.Event) {
	h.heard(e.Time())
	p := h.alive[e.PID()]
	if p == nil {
		if p = h.enter(e.PID(), e.PPID(), e.Time()); p == nil {
			return
		}
	}
	args, _ := e.Args()
	if h.bytes+len(args) > maxHistoryBytes {
		args = nil
	}
	h.bytes += len(args)
	p.images = append(p.images, image{at: e.Time(), name: string(e.Comm()), args: append([]byte(nil), args...)})
}

func (h *History) ended(e *end) {
	h.heard(e.time)
	p := h.alive[e.pid]
	if p != nil && p.start < e.start {
		p = nil // an earlier one of that id
		delete(h.alive, e.pid)
	}
	if p == nil {
		if p = h.enter(e.pid, e.ppid, e.start); p == nil {
			return
		}
		p.images = append(p.images, image{at: e.start, name: string(cString(e.comm[:])), fork: true})
	}
	p.ended, p.end, p.how = true, e.time, *e
	delete(h.alive, e.pid)
}

func (h *History) heard(time uint64) {
	if h.first == 0 {
		h.first = time
	}
	h.last = max(h.last, time)
}

// enter adds a process, or returns nil if there are too many.
func (h *History) enter(pid, ppid uint32, start uint64) *process {
	if len(h.all) >= maxHistory {
		h.left++
		return nil
	}
	p := &process{pid: pid, ppid: ppid, start: start, parent: h.alive[ppid]}
	h.all = append(h.all, p)
	h.alive[pid] = p
	if p.parent != nil {
		p.parent.children = append(p.parent.children, p)
	}
	return p
}

// finish gives those that live an end, and puts all in the order in which they began.
func (h *History) finish() {
	older := func(a, b *process) int { return cmp.Compare(a.start, b.start) }
	for _, p := range h.all {
		if !p.ended {
			p.end = max(h.last, p.start)
		}
		slices.SortStableFunc(p.children, older)
	}
	slices.SortStableFunc(h.all, older)
}

// now is what a process was last.
func (p *process) now() *image {
	if len(p.images) == 0 {
		return &image{}
	}
	return &p.images[len(p.images)-1]
}
