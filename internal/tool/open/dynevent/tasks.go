package dynevent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// cloneThread is the flag of a new task that belongs to the process of its maker (CLONE_THREAD).
const cloneThread = 0x10000

// tasks knows which process a thread belongs to, and which are to be traced. Events tell of threads only.
type tasks struct {
	proc    string            // the mount point of procfs
	process map[uint32]uint32 // of each thread that is known to live
	self    uint32            // never traced
	wanted  map[uint32]bool   // processes, with -p
	tree    map[uint32]int    // processes of the followed tree, with how many of their threads live
	follows bool
	ended   bool
}

func newTasks(self uint32, pids []uint32, follows bool) *tasks {
	t := &tasks{proc: "/proc", process: make(map[uint32]uint32), self: self, follows: follows}
	if len(pids) > 0 || follows {
		t.wanted, t.tree = make(map[uint32]bool), make(map[uint32]int)
	}
	for _, pid := range pids {
		t.wanted[pid] = true
	}
	return t
}

// of returns the process of a thread that is to be traced; ok is false for others. A process that is not known is 0.
func (t *tasks) of(tid uint32) (pid uint32, ok bool) {
	pid, known := t.process[tid]
	if !known {
		if pid = t.look(tid); pid != 0 {
			t.process[tid] = pid
		}
	}
	if pid == t.self {
		return pid, false
	}
	return pid, t.wanted == nil || t.wanted[pid] || t.tree[pid] > 0
}

// look asks /proc for the process of a thread that lived before the events were on. 0: it has ended.
func (t *tasks) look(tid uint32) uint32 {
	status, err := os.ReadFile(t.proc + "/" + strconv.FormatUint(uint64(tid), 10) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "Tgid:"); ok {
			pid, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32)
			if err != nil {
				return 0
			}
			return uint32(pid)
		}
	}
	return 0
}

// add enters a thread. It may be there already.
func (t *tasks) add(tid, pid uint32, inTree bool) {
	old, known := t.process[tid]
	if known && old == pid && (!inTree || t.tree[pid] > 0) {
		return
	}
	if known {
		t.drop(tid)
	}
	t.process[tid] = pid
	if inTree {
		t.tree[pid]++
		t.ended = false
	}
}

func (t *tasks) drop(tid uint32) {
	pid, known := t.process[tid]
	if !known {
		return
	}
	delete(t.process, tid)
	if n := t.tree[pid]; n > 1 {
		t.tree[pid] = n - 1
	} else if n == 1 {
		delete(t.tree, pid)
		t.ended = len(t.tree) == 0
	}
}

// see follows what an event tells of tasks.
func (t *tasks) see(e *event) {
	switch e.part {
	case partNewTask:
		pid := e.other
		maker, ok := t.process[e.task]
		if !ok {
			maker = t.look(e.task)
		}
		if e.flags&cloneThread != 0 {
			pid = maker
		}
		if pid != 0 {
			t.add(e.other, pid, t.tree[maker] > 0)
		}
	case partExec:
		if e.other != e.task { // a thread took its process's own number on the way
			inTree := t.tree[t.process[e.other]] > 0
			t.add(e.task, e.task, inTree)
			t.drop(e.other)
		}
	case partEnded:
		t.drop(e.task)
	}
}

// enter adds a process with all of its threads. It is called again until it says that none was missing: those that are known
// are told to the kernel's filter, and what they make follows by itself.
func (t *tasks) enter(pid uint32, inTree bool) (missing []uint32, err error) {
	threads, err := t.threads(pid)
	if err != nil {
		return nil, err
	}
	for _, tid := range threads {
		if _, known := t.process[tid]; !known || inTree && t.tree[pid] == 0 {
			missing = append(missing, tid)
		}
	}
	for _, tid := range missing {
		t.process[tid] = pid
		if inTree {
			t.tree[pid]++
		}
	}
	return missing, nil
}

func (t *tasks) threads(pid uint32) (ids []uint32, err error) {
	dir, err := os.Open(fmt.Sprintf("%s/%d/task", t.proc, pid))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil && len(names) == 0 {
		return nil, nil // it has ended
	}
	for _, name := range names {
		if id, err := strconv.ParseUint(name, 10, 32); err == nil {
			ids = append(ids, uint32(id))
		}
	}
	return ids, nil
}

// scan notes the threads that live now, so that what the short-lived of them do is known to be theirs.
func (t *tasks) scan() error {
	dir, err := os.Open(t.proc)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		pid, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			continue
		}
		threads, err := t.threads(uint32(pid))
		if err != nil {
			continue
		}
		for _, tid := range threads {
			if _, known := t.process[tid]; !known {
				t.process[tid] = uint32(pid)
			}
		}
	}
	return nil
}
