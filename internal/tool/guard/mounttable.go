package guard

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// mounted is a line of proc_pid_mountinfo(5).
type mounted struct {
	id, parent uint64
	dev        uint32
	root       string // what of the file system is mounted
	point      string // where, from this process's root
	nfs        bool
}

// place is a file or directory by its path in its file system, which is one and the same whatever is mounted of that and
// where. The programs climb from directory to directory in this way too.
type place struct {
	dev  uint32
	path string
	// view is the mount where paths of different mounts cannot be compared: each export of an NFS server begins with "/".
	view uint64
}

func (p place) holds(q place) bool {
	if p.dev != q.dev || p.view != q.view {
		return false
	}
	_, ok := below(p.path, q.path)
	return ok
}

// below returns the rest of a path that leads through dir.
func below(dir, name string) (rest string, ok bool) {
	if dir != "/" {
		if name, ok = strings.CutPrefix(name, dir); !ok {
			return "", false
		}
	}
	return name, name == "" || name[0] == '/'
}

// mountTable is what is mounted in this mount namespace.
type mountTable struct {
	all  map[uint64]*mounted
	upon map[uint32][]*mounted // by the device of what each is mounted on, in the order of the table
}

func readMountTable(proc string) (*mountTable, error) {
	text, err := readCapped(proc+"/self/mountinfo", 16<<20)
	if err != nil {
		return nil, err
	}
	return parseMountTable(string(text)), nil
}

func parseMountTable(text string) *mountTable {
	t := &mountTable{all: make(map[uint64]*mounted), upon: make(map[uint32][]*mounted)}
	var order []*mounted
	for line := range strings.Lines(text) {
		// "36 35 98:0 /root /mount/point rw,noatime shared:1 - ext3 /dev/root rw"
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		m := &mounted{root: string(unescaped(f[3])), point: string(unescaped(f[4]))}
		var err1, err2 error
		m.id, err1 = strconv.ParseUint(f[0], 10, 64)
		m.parent, err2 = strconv.ParseUint(f[1], 10, 64)
		major, minor, ok := deviceOf(f[2])
		if err1 != nil || err2 != nil || !ok {
			continue
		}
		m.dev = kernelDev(major, minor)
		if i := slices.Index(f, "-"); i >= 0 && i+1 < len(f) {
			m.nfs = strings.HasPrefix(f[i+1], "nfs")
		}
		t.all[m.id] = m
		order = append(order, m)
	}
	for _, m := range order {
		if on := t.all[m.parent]; on != nil {
			t.upon[on.dev] = append(t.upon[on.dev], m)
		}
	}
	return t
}

// place returns where a name that was reached through a mount is in the file system of that.
func (t *mountTable) place(mount uint64, name string) (place, bool) {
	m := t.all[mount]
	if m == nil {
		return place{}, false
	}
	rest, ok := below(m.point, name)
	p := m.top()
	p.path = path.Join(p.path, rest)
	return p, ok
}

// top is the place that is mounted.
func (m *mounted) top() place {
	p := place{dev: m.dev, path: m.root}
	if m.nfs {
		p.view = m.id
	}
	return p
}

// below calls each with every mount that is somewhere below top, be it only through another mount of the same directory.
// What is mounted below that one follows if each says so.
func (t *mountTable) below(top place, each func(m *mounted) bool) {
	met := make(map[*mounted]bool)
	known := map[place]bool{top: true}
	for tops := []place{top}; len(tops) > 0; tops = tops[1:] {
		for _, m := range t.upon[tops[0].dev] {
			if met[m] {
				continue
			}
			if on, ok := t.place(m.parent, m.point); !ok || !tops[0].holds(on) {
				continue
			}
			met[m] = true
			if next := m.top(); each(m) && !known[next] {
				known[next] = true
				tops = append(tops, next)
			}
		}
	}
}

// mountTop is a directory that rules are about with all below it, and what was mounted there: true if its own place became
// such a directory too.
type mountTop struct {
	place place
	was   map[mounted]bool
}

// changed returns where something was mounted or unmounted since.
func (t *mountTable) changed(top mountTop) (point string, changed bool) {
	n := 0
	t.below(top.place, func(m *mounted) bool {
		follow, known := top.was[*m]
		if n++; !known && !changed {
			point, changed = m.point, true
		}
		return follow
	})
	return point, changed || n != len(top.was)
}
