package guard

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// guard.h: WHO_*
const (
	whoExe = 1 << iota
	whoUID
	whoPID
	whoComm
	whoCgroup
	whoMntns
	whoTree
)

// everybody says that the Who narrows nothing.
func (w *ArmedWho) everybody() bool {
	return w.Exes == nil && w.UIDs == nil && w.PIDs == nil && w.Comms == nil && w.Cgroups == nil && w.Mntns == nil && !w.Tree
}

// putWho writes what a process has to be, and returns what of it is to be looked at.
func (l *loader) putWho(number uint32, w *ArmedWho) (mask uint32, err error) {
	put := func(kind uint32, a, b uint64) {
		if err == nil {
			err = l.put(bpfMapGuardWhos, tableWho{Generation: l.generation, Who: number<<8 | kind, Value: [2]uint64{a, b}}, uint8(1), "processes")
		}
	}
	if w.Exes != nil {
		mask |= whoExe
		for _, o := range w.Exes {
			put(whoExe, uint64(o.Dev), o.Ino)
		}
	}
	if w.UIDs != nil {
		mask |= whoUID
		for _, id := range w.UIDs {
			put(whoUID, uint64(id), 0)
		}
	}
	if w.PIDs != nil {
		mask |= whoPID
		for _, id := range w.PIDs {
			put(whoPID, uint64(id), 0)
		}
	}
	if w.Comms != nil {
		mask |= whoComm
		for _, comm := range w.Comms {
			a, b := commWords(comm)
			put(whoComm, a, b)
		}
	}
	if w.Cgroups != nil {
		mask |= whoCgroup
		for _, dir := range w.Cgroups {
			id, errOf := cgroupID(dir)
			if errOf != nil && err == nil {
				err = errOf
			}
			put(whoCgroup, id, 0)
		}
	}
	if w.Mntns != nil {
		mask |= whoMntns
		for _, ns := range w.Mntns {
			put(whoMntns, ns, 0)
		}
	}
	if w.Tree {
		mask |= whoTree
	}
	return mask, err
}

// commWords are the 16 bytes that the kernel has for the name of a process.
func commWords(comm string) (a, b uint64) {
	var words [16]byte
	copy(words[:15], comm)
	return nativeWord(words[:8]), nativeWord(words[8:])
}

// cgroupID is the number of a cgroup, which is that of its directory.
func cgroupID(dir string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return 0, fmt.Errorf("cgroup %s: %w", dir, err)
	}
	return st.Ino, nil
}

// noRoom explains a table that is full.
func noRoom(what string, err error) error {
	if errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ENOMEM) {
		return fmt.Errorf("guard: more %s in the rules than the tables that are loaded hold; start sonde anew with them: %w", what, err)
	}
	return fmt.Errorf("guard: %s of the rules: %w", what, err)
}

// settle is the second best way to wait for programs: they take microseconds.
func settle() { time.Sleep(100 * time.Millisecond) }
