package guard

import (
	"fmt"
	"path"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"sonde/internal/tool/guard/rule"
)

// Hooks that are asked about a name (to create, remove, rename it, to change its attributes) are not told the mount that it
// was reached through, and the programs' climb ends at the root of its file system. So what is mounted somewhere below a tree
// is armed as a tree itself, wherever else that may be reached.

// mountedTree arms what is mounted below a tree.
func (a *armer) mountedTree(d dir) {
	harms := func(obj object) bool {
		return a.harms(func(v *vital) bool { return v.obj == obj.Object || v.above[obj.Object] })
	}
	a.mountedBelow(d, harms, func(m *mounted, at dir) {
		if !at.obj.isDir() {
			a.addObject(at.obj.Object, at.path)
			return
		}
		a.identified(at.fd, at.path)
		a.addTree(at.obj.Object, at.path)
		if m.root != "/" { // otherwise all names of its files are in it
			a.hardLinks(at)
		}
	})
}

// mountedGlob arms a glob for what is mounted below its directory. Files that are mounted there were found by their names.
func (a *armer) mountedGlob(d dir, pattern string) {
	harms := func(obj object) bool {
		return a.harms(func(v *vital) bool {
			return v.above[obj.Object] && slices.ContainsFunc(v.ends, func(e Entry) bool { return rule.MatchName(pattern, e.Name) })
		})
	}
	a.mountedBelow(d, harms, func(_ *mounted, at dir) {
		if at.obj.isDir() {
			a.addGlob(GlobAt{Dir: at.obj.Object, Below: true, Pattern: pattern, Rule: a.index})
		}
	})
}

// harms says whether the rule at hand would be refused for something vital.
func (a *armer) harms(is func(v *vital) bool) bool {
	return !a.env.IKnow && slices.ContainsFunc(a.vital, func(v vital) bool { return !v.warn && a.hurts(&v) && is(&v) })
}

// mountedBelow calls arm with what is mounted below d. What would do harm is left out: of that only what hooks are asked with
// the mount is guarded, which are opens and what comes after.
func (a *armer) mountedBelow(d dir, harms func(obj object) bool, arm func(m *mounted, at dir)) {
	name, err := readlinkCapped(a.walker.ids.proc + "/self/fd/" + strconv.Itoa(d.fd))
	if err == nil && a.mounts == nil {
		a.mounts, err = readMountTable(a.walker.ids.proc)
	}
	if err != nil {
		a.note("what is mounted below %s cannot be told (%v): opens are covered there, other operations are not", d.path, err)
		return
	}
	place, ok := a.mounts.place(d.obj.mount, name)
	if !ok {
		return // in no mount of this namespace
	}
	top := mountTop{place, make(map[mounted]bool)}
	var armed, others []string
	a.mounts.below(place, func(m *mounted) bool {
		at, err := a.topOf(m)
		if err == nil {
			defer unix.Close(at.fd)
			if harms(at.obj) {
				err = fmt.Errorf("something vital is reached in it by other names too")
			}
		}
		top.was[*m] = err == nil
		if err != nil {
			others = append(others, fmt.Sprintf("%s (%v)", at.path, err))
			return false
		}
		arm(m, at)
		armed = append(armed, at.path)
		return true
	})
	a.out.mounts = append(a.out.mounts, top)
	const most = 4
	if len(armed) > 0 {
		a.note("%s has file systems or directories mounted in it (%s): they are armed too, by whatever names they are reached", d.path, listed(armed, most))
	}
	if len(others) > 0 {
		a.note("%s has mounted in it %s: opens are covered there, creating, removing and renaming are not", d.path, listed(others, most))
	}
}

// topOf opens what is mounted. Close its descriptor if there is no error.
func (a *armer) topOf(m *mounted) (dir, error) {
	at := dir{fd: -1, path: m.point}
	if root := path.Clean(a.env.Root); a.env.Root != "" {
		if rest, ok := below(root, m.point); ok {
			at.path = path.Join("/", rest)
		}
	}
	fd, err := unix.Open(m.point, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return at, err
	}
	at.fd = fd
	if at.obj, err = a.walker.ids.of(fd, ""); err == nil && at.obj.mount != m.id {
		err = fmt.Errorf("hidden by another mount")
	}
	if err != nil {
		unix.Close(fd)
	}
	return at, err
}
