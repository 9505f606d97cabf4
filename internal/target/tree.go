package target

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
)

// process is a line of the process table.
type process struct {
	pid, parent uint32
	ended       bool // a zombie: its exit has been seen already
}

// processes reads the process table. Processes that end while it is read are left out.
func (h host) processes() ([]process, error) {
	ids, err := h.processList()
	if err != nil {
		return nil, err
	}
	table := make([]process, 0, len(ids))
	for _, id := range ids {
		stat, err := h.read("/proc/"+id+"/stat", 4<<10)
		if err != nil {
			continue
		}
		if p, ok := parseStat(stat); ok {
			table = append(table, p)
		}
	}
	return table, nil
}

// Alive says whether a process has not ended. One that has, and was not waited for yet, counts as ended.
func Alive(pid uint32) bool { return live.alive(pid) }

func (h host) alive(pid uint32) bool {
	stat, err := h.read("/proc/"+strconv.FormatUint(uint64(pid), 10)+"/stat", 4<<10)
	if err != nil {
		return false
	}
	p, ok := parseStat(stat)
	return ok && !p.ended
}

// processList returns the names of the folders of /proc that are processes.
func (h host) processList() ([]string, error) {
	dir, err := os.Open(h.path("/proc"))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	ids := names[:0]
	for _, name := range names {
		if strings.Trim(name, "0123456789") == "" {
			ids = append(ids, name)
		}
	}
	return ids, nil
}

// parseStat reads "PID (COMM) STATE PPID ...", proc_pid_stat(5). The command name may hold anything, parentheses too.
func parseStat(stat []byte) (p process, ok bool) {
	open, shut := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 1 || shut < open {
		return p, false
	}
	pid, err := strconv.ParseUint(strings.TrimSpace(string(stat[:open])), 10, 32)
	if err != nil {
		return p, false
	}
	rest := strings.Fields(string(stat[shut+1:]))
	if len(rest) < 2 {
		return p, false
	}
	parent, err := strconv.ParseUint(rest[1], 10, 32)
	if err != nil {
		return p, false
	}
	return process{pid: uint32(pid), parent: uint32(parent), ended: rest[0] == "Z" || rest[0] == "X"}, true
}

// descendants returns the processes that have one of roots for an ancestor, parents before their children; roots are not
// among them. Ended ones are left out, their children are not: a zombie's children have another parent already.
func descendants(table []process, roots map[uint32]bool) (found []uint32) {
	children := make(map[uint32][]uint32)
	for _, p := range table {
		if !p.ended {
			children[p.parent] = append(children[p.parent], p.pid)
		}
	}
	seen := make(map[uint32]bool, len(roots))
	queue := make([]uint32, 0, len(roots))
	for pid := range roots {
		seen[pid] = true
		queue = append(queue, pid)
	}
	for len(queue) > 0 {
		pid := queue[0]
		queue = queue[1:]
		for _, child := range children[pid] {
			if !seen[child] {
				seen[child] = true
				found = append(found, child)
				queue = append(queue, child)
			}
		}
	}
	return found
}

// Reseed completes the followed tree with the processes that the roots of --tree had started before the probes were on.
// It is called once, when the probes are on, and returns how many processes it left in the tree: 0 when all of them have
// ended, which no probe will tell any more. Without --tree it does nothing and returns 0.
//
// put enters a process into target_tree and says whether it was missing. It must count the process in target_live before
// it enters it and take the count back when it was there, for it may end at once. drop takes a process out, and counts it
// off only if it was still there.
//
// From the moment a process is entered, its children enter by themselves. So the table is read again until nothing was
// missing: then every process was either entered, or born to one that had been. Not found is what lost its parent before
// it was seen here: the kernel has forgotten whose descendant it is.
func (t *Target) Reseed(put func(tgid uint32) (added bool, err error), drop func(tgid uint32) error) (alive int, err error) {
	if len(t.roots) == 0 {
		return 0, nil
	}
	return t.host.reseed(t.roots, put, drop)
}

func (h host) reseed(roots []uint32, put func(uint32) (bool, error), drop func(uint32) error) (int, error) {
	entered := make(map[uint32]bool)
	for _, pid := range roots {
		entered[pid] = true
	}
	const most = 100
	for range most {
		table, err := h.processes()
		if err != nil {
			return 0, err
		}
		running := make(map[uint32]bool, len(table))
		for _, p := range table {
			running[p.pid] = !p.ended
		}
		// One may have ended before the probes were on, or while it was being entered.
		for pid := range entered {
			if running[pid] {
				continue
			}
			if err := drop(pid); err != nil {
				return 0, err
			}
			delete(entered, pid)
		}
		grew := false
		for _, pid := range descendants(table, entered) {
			added, err := put(pid)
			if err != nil {
				return 0, err
			}
			entered[pid] = true
			grew = grew || added
		}
		if !grew {
			return len(entered), nil
		}
	}
	return 0, errors.New("--tree: its processes multiply faster than they can be found; start it with `-- COMMAND`")
}
