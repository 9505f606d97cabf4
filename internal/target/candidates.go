package target

import (
	"os"
	"path"
	"strconv"
	"strings"
)

// Running lists processes that run now and may be of the target, for what has to be done for each of them before the programs in
// the kernel decide. Where it cannot tell, it takes them all.
func (t *Target) Running() ([]uint32, error) {
	ids, err := t.host.processList()
	if err != nil {
		return nil, err
	}
	var found []uint32
	self := uint32(os.Getpid())
	for _, id := range ids {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil || uint32(n) == self {
			continue
		}
		if t.mayBe(id) {
			found = append(found, uint32(n))
		}
	}
	return found, nil
}

func (t *Target) mayBe(id string) bool {
	if t.mode&(modeUID|modePPID) != 0 {
		text, err := t.host.read("/proc/"+id+"/status", 64<<10)
		if err != nil {
			return false
		}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			fields := strings.Fields(value)
			if len(fields) == 0 {
				continue
			}
			switch {
			case key == "Uid" && t.mode&modeUID != 0 && fields[0] != strconv.FormatUint(uint64(t.uid), 10),
				key == "PPid" && t.mode&modePPID != 0 && fields[0] != strconv.FormatUint(uint64(t.ppid), 10):
				return false
			}
		}
	}
	if t.comm != nil {
		name, err := t.host.read("/proc/"+id+"/comm", 4<<10)
		if err != nil || !t.MatchComm([]byte(strings.TrimSuffix(string(name), "\n"))) {
			return false
		}
	}
	if t.mode&modeCgroup != 0 && !t.inCgroups(id) {
		return false
	}
	if len(t.mntns) > 0 {
		inode, err := t.host.namespace(id, "mnt")
		if err != nil {
			return false
		}
		in := false
		for _, one := range t.mntns {
			in = in || one == inode
		}
		return in
	}
	return true
}

// inCgroups says whether a process is in one of the cgroups or below. What cannot be compared counts as in.
func (t *Target) inCgroups(id string) bool {
	m, err := t.host.cgroup2()
	if err != nil {
		return true
	}
	text, err := t.host.read("/proc/"+id+"/cgroup", 64<<10)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		where, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !ok {
			continue
		}
		where, ok = strings.CutPrefix(where, strings.TrimSuffix(m.top, "/"))
		if !ok {
			return true
		}
		for _, dir := range t.cgroups {
			if beneath(path.Join(m.dir, where), dir) {
				return true
			}
		}
		return false
	}
	return true
}
