package proc

// Arguments tells the argument vector of a process that lives, each argument ended by NUL; cut says that there is more of
// it, and ok is false where it is not known.
type Arguments func(pid uint32) (args []byte, cut, ok bool)

// lives remembers of living processes what their end does not tell: when they became what they are, and by which arguments. It is
// told of everything in the order in which it happened.
type lives struct {
	of      map[uint32]life
	argv    bool      // arguments are wanted
	ask     Arguments // of processes whose exec was not seen; nil: nobody
	bytes   int       // of arguments
	refused uint64    // processes whose arguments are not kept, for there are too many
	forgot  uint64    // processes that are not remembered any more
}

// Bounds of memory.
const (
	maxLives    = 1 << 18
	maxArgBytes = 64 << 20 // of the arguments of all
)

type life struct {
	last   uint64 // the time of the last that was heard of it
	exec   uint64 // when it became what it is; 0: not seen
	id     uint32 // the count of its execs
	sure   bool   // id is known
	argued *argued
}

// argued is an argument vector; the children that a process made share it.
type argued struct {
	args      []byte
	truncated bool
	users     int
}

func newLives(argv bool, ask Arguments) *lives {
	return &lives{of: make(map[uint32]life), argv: argv, ask: ask}
}

// seed enters a process that lived before the programs were on.
func (l *lives) seed(pid uint32, args []byte, cut bool) {
	if _, ok := l.of[pid]; !ok {
		l.put(pid, life{argued: l.keep(args, cut)})
	}
}

func (l *lives) forked(f *fork) {
	if !l.argv {
		return
	}
	parent, ok := l.of[f.ppid]
	if !ok && l.ask != nil {
		if args, cut, known := l.ask(f.ppid); known {
			l.seed(f.ppid, args, cut)
			parent, ok = l.of[f.ppid]
		}
	}
	child := life{last: f.time, id: f.execID, sure: true}
	if ok && (!parent.sure || parent.id == f.execID) {
		if child.argued = parent.argued; child.argued != nil {
			child.argued.users++
		}
	}
	l.put(f.pid, child)
}

func (l *lives) execed(pid uint32, time uint64, id uint32, args []byte, truncated bool) {
	l.put(pid, life{last: time, exec: time, id: id, sure: true, argued: l.keep(args, truncated)})
}

// ended forgets a process, and says what is known of it. What was known of an earlier process of that id, or before an exec
// that was not heard of, is not.
func (l *lives) ended(e *end) (was life) {
	was, ok := l.of[e.pid]
	if !ok {
		return life{}
	}
	l.release(was.argued)
	delete(l.of, e.pid)
	if was.last != 0 && was.last < e.start || was.sure && was.id != e.execID {
		return life{}
	}
	return was
}

func (l *lives) put(pid uint32, now life) {
	if was, ok := l.of[pid]; ok {
		l.release(was.argued)
	} else if len(l.of) >= maxLives {
		l.forgot += uint64(len(l.of))
		l.bytes = 0
		clear(l.of)
	}
	l.of[pid] = now
}

func (l *lives) keep(args []byte, truncated bool) *argued {
	if !l.argv {
		return nil
	}
	if l.bytes+len(args) > maxArgBytes {
		l.refused++
		return nil
	}
	l.bytes += len(args)
	return &argued{args: append([]byte(nil), args...), truncated: truncated, users: 1}
}

func (l *lives) release(a *argued) {
	if a == nil {
		return
	}
	if a.users--; a.users == 0 {
		l.bytes = max(0, l.bytes-len(a.args)) // all may have been forgotten meanwhile
	}
}
