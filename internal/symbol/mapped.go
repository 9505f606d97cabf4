package symbol

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mapping is what is known from elsewhere of a range of a process's memory.
type Mapping struct {
	Start, End uint64
	Page       uint64 // the number of the file's page that it begins with
	// Of the file: its file system's device as the kernel numbers it, the major number from bit 20 on; its inode; its path
	// in that file system, which may be mounted anywhere.
	Device uint32
	Inode  uint64
	Path   string
}

// Mapped says what a process has mapped, should it have ended before it could be observed.
func (p *Processes) Mapped(pid uint32, m Mapping) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.known[pid]
	if known == nil {
		p.makeRoom()
		known = &process{ended: true}
		p.known[pid] = known
	}
	if newest := known.newest(); newest != nil {
		if at := newest.at(m.Start); at != nil && at.start == m.Start {
			return // it was observed in time
		}
	}
	each := mapping{start: m.Start, end: m.End, offset: m.Page * uint64(os.Getpagesize()), inode: m.Inode, path: m.Path}
	if m.Path == "" || m.End <= m.Start {
		return
	}
	for _, path := range p.mounts.places(m.Device, m.Path) {
		f, info, err := openInside("/", path)
		if err != nil {
			continue
		}
		if info.Ino != m.Inode {
			f.Close()
			continue
		}
		each.path, each.file = path, p.files.hold(f, info, path)
		break
	}
	if each.file == nil {
		return
	}
	image := known.newest()
	if image == nil || image.birth != (birth{}) {
		image = &memory{}
		p.add(known, image)
	}
	// What was assumed of the file is less exact.
	image.mappings = slices.DeleteFunc(image.mappings, func(old mapping) bool { return old.start < each.end && each.start < old.end })
	image.mappings = append(image.mappings, each)
	slices.SortFunc(image.mappings, func(x, y mapping) int { return order(x.start < y.start) })
	p.clock++
	known.used, known.checked = p.clock, time.Now()
}

// mounts are the mounts that we see, by device.
type mounts struct {
	read time.Time
	by   map[string][]mount
}

type mount struct{ root, point string }

const (
	mountsKept = time.Second
	maxMounts  = 64 << 20
)

// places are the paths by which what has a path in a file system may be reached.
func (ms *mounts) places(device uint32, path string) (found []string) {
	if ms.by == nil || time.Since(ms.read) > mountsKept {
		ms.by, ms.read = readMounts("/proc/self/mountinfo"), time.Now()
	}
	for _, m := range ms.by[strconv.Itoa(int(device>>20))+":"+strconv.Itoa(int(device&(1<<20-1)))] {
		rest, under := strings.CutPrefix(path, strings.TrimSuffix(m.root, "/")+"/")
		if under {
			found = append(found, strings.TrimSuffix(m.point, "/")+"/"+rest)
		}
	}
	return found
}

// readMounts reads proc_pid_mountinfo(5): "36 35 98:0 /root /mount/point options...".
func readMounts(table string) map[string][]mount {
	by := map[string][]mount{}
	text, err := os.ReadFile(table)
	if err != nil || len(text) > maxMounts {
		return by
	}
	for line := range strings.Lines(string(text)) {
		field := strings.Fields(line)
		if len(field) < 5 {
			continue
		}
		by[field[2]] = append(by[field[2]], mount{unescape(field[3]), unescape(field[4])})
	}
	return by
}

// unescape undoes what the kernel writes for blanks and backslashes in mount tables.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
