package guard

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/tool/guard/rule"
)

// glob arms what a glob matches now, and the last name of it in each directory that it leads to for what comes. Links are
// followed up to the first name with anything special in it; behind that they are others' affair.
func (a *armer) glob(pattern string) {
	steps := names(pattern)
	first := 0
	for first < len(steps)-1 && !rule.HasMeta(steps[first]) {
		steps[first] = rule.Unescape(steps[first])
		first++
	}
	prefix := "/" + strings.Join(steps[:first], "/")
	f, err := a.walker.walk(prefix)
	if err != nil {
		a.failed(err)
		return
	}
	defer f.close()
	a.watchSteps(f)
	if len(f.missing) > 0 {
		a.note("%s is not there: %s is armed as soon as it is made", prefix, pattern)
		return
	}
	if !f.obj.isDir() {
		a.problem(a.pattern.Pos, fmt.Sprintf("%q is no directory", prefix), "write a glob in a directory")
		return
	}
	x := expansion{armer: a}
	x.expand(f.top(), steps[first:], 0)
	x.end()
}

// expansion is the search for what a glob matches.
type expansion struct {
	*armer
	matches int
	seen    int
	cut     bool // it was too much to be looked at
}

func (x *expansion) end() {
	switch {
	case x.matches > maxMatches && !x.env.IKnow:
		x.danger(fmt.Sprintf("%s matches more than %d files", x.pattern.Path, maxMatches), "name a tree instead, or fewer files")
	case x.cut:
		x.note("%s leads through more than %d names or %d directories deep: not all of what it matches now was looked at for hard links", x.pattern.Path, maxSeen, maxDepth)
	}
}

// full says whether no more is looked at.
func (x *expansion) full(depth int) bool {
	if x.seen > maxSeen || depth > maxDepth {
		x.cut = true
		return true
	}
	return x.matches > maxMatches && !x.env.IKnow
}

// expand goes through what steps match below d.
func (x *expansion) expand(d dir, steps []string, depth int) {
	if x.full(depth) {
		return
	}
	name, rest := steps[0], steps[1:]
	switch {
	case name == "**":
		for len(rest) > 0 && rest[0] == "**" {
			rest = rest[1:]
		}
		x.below(d, rest, depth)
	case len(rest) == 0:
		x.last(d, name)
	case !rule.HasMeta(name):
		name = rule.Unescape(name)
		x.watchDir(d.path, name, Object{})
		x.enter(d, name, func(sub dir) {
			x.watchDir(d.path, name, sub.obj.Object)
			x.addStep(d.obj.Object, name, sub.obj.Object, false)
			x.expand(sub, rest, depth+1)
		})
	default:
		x.watchAll(d.path)
		x.list(d, func(entry dirEntry) {
			if entry.maybeDir() && rule.MatchName(name, entry.name) {
				x.enter(d, entry.name, func(sub dir) {
					x.addStep(d.obj.Object, entry.name, sub.obj.Object, false)
					x.expand(sub, rest, depth+1)
				})
			}
		})
	}
}

// last arms the last name of a glob in one directory.
func (x *expansion) last(d dir, name string) {
	if rule.HasMeta(name) {
		x.addGlob(GlobAt{Dir: d.obj.Object, Pattern: name, Rule: x.index})
	} else {
		x.addEntry(Entry{d.obj.Object, rule.Unescape(name)})
	}
	x.objects(d, name)
}

// objects arms what is in a directory now and has such a name.
func (x *expansion) objects(d dir, name string) {
	if !rule.HasMeta(name) {
		x.object(d, rule.Unescape(name))
		return
	}
	x.list(d, func(entry dirEntry) {
		if rule.MatchName(name, entry.name) {
			x.object(d, entry.name)
		}
	})
}

func (x *expansion) object(d dir, name string) {
	obj, err := x.walker.ids.of(d.fd, name)
	if err != nil {
		return // it went, or the kernel will meet it by its name
	}
	if x.matches++; x.matches <= maxMatches || x.env.IKnow {
		x.addObject(obj.Object, path.Join(d.path, name))
	}
}

// below arms what rest matches anywhere below d; rest is empty for all of it.
func (x *expansion) below(d dir, rest []string, depth int) {
	switch len(rest) {
	case 0:
		x.tree(d)
	case 1:
		x.addGlob(GlobAt{Dir: d.obj.Object, Below: true, Pattern: rest[0], Rule: x.index})
		x.everyDir(d, depth, func(sub dir, _ int) { x.objects(sub, rest[0]) })
		x.mountedGlob(d, rest[0])
	default:
		x.note("%s: directories made later below %s are taken up a moment after they are made", x.pattern.Path, d.path)
		x.everyDir(d, depth, func(sub dir, depth int) {
			x.watchAll(sub.path)
			x.expand(sub, rest, depth)
		})
	}
}

// everyDir visits d and the directories below it.
func (x *expansion) everyDir(d dir, depth int, visit func(d dir, depth int)) {
	if x.full(depth) {
		return
	}
	visit(d, depth)
	x.list(d, func(entry dirEntry) {
		if entry.maybeDir() {
			x.enter(d, entry.name, func(sub dir) { x.everyDir(sub, depth+1, visit) })
		}
	})
}

// enter opens a directory in d, unless it is a link.
func (a *armer) enter(d dir, name string, visit func(sub dir)) {
	fd, err := unix.Openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		if !gone(err) && !errors.Is(err, unix.ELOOP) {
			a.note("%s: %v: what is in it was not looked at", path.Join(d.path, name), err)
		}
		return
	}
	defer unix.Close(fd)
	obj, err := a.walker.ids.of(fd, "")
	if err != nil {
		return
	}
	visit(dir{fd, obj, path.Join(d.path, name)})
}

// list reads a directory, up to what is looked at for one rule.
func (x *expansion) list(d dir, each func(entry dirEntry)) {
	x.armer.list(d, func(entry dirEntry) bool {
		x.seen++
		each(entry)
		return !x.full(0)
	})
}

// list reads a directory until each says that it is enough.
func (a *armer) list(d dir, each func(entry dirEntry) bool) {
	fd, err := unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		a.note("%s: %v: what is in it was not looked at", d.path, err)
		return
	}
	defer unix.Close(fd)
	if err := readDir(fd, each); err != nil {
		a.note("%s: %v: not all that is in it was looked at", d.path, err)
	}
}

// hardLinks arms, as objects, the files of a tree that have names outside of it.
func (a *armer) hardLinks(top dir) {
	s := linkSearch{armer: a, top: top.obj, inside: make(map[Object]uint32), names: make(map[Object]string)}
	s.search(top, 0)
	n := 0
	for obj, links := range s.names {
		if s.inside[obj] == 0 {
			continue // all of its names are in the tree
		}
		if n++; n > maxMatches {
			s.cut = true
			break
		}
		a.addObject(obj, links)
	}
	if s.cut {
		a.note("%s is larger than is searched for hard links (%d names, %d directories deep, %d files): of the rest those from outside are met only once they were used from inside", top.path, maxSeen, maxDepth, maxMatches)
	}
}

// linkSearch counts the names in a tree of files that have more than one.
type linkSearch struct {
	*armer
	top    object
	inside map[Object]uint32 // names still to be found
	names  map[Object]string
	seen   int
	cut    bool
}

func (s *linkSearch) search(d dir, depth int) {
	if depth > maxDepth {
		s.cut = true
		return
	}
	s.list(d, func(entry dirEntry) bool {
		if s.seen++; s.seen > maxSeen {
			s.cut = true
			return false
		}
		if entry.maybeDir() {
			s.enter(d, entry.name, func(sub dir) {
				// A subvolume has a device of its own, and is of the same mount.
				if sub.obj.Dev == s.top.Dev || sub.obj.mount == s.top.mount && sub.obj.mount != 0 {
					s.search(sub, depth+1)
				}
			})
			return !s.cut
		}
		var st unix.Stat_t
		if err := unix.Fstatat(d.fd, entry.name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT); err != nil || st.Nlink < 2 || st.Mode&unix.S_IFMT == unix.S_IFDIR {
			return true
		}
		obj, err := s.walker.ids.of(d.fd, entry.name)
		if err != nil || obj.links < 2 {
			return true
		}
		if _, again := s.names[obj.Object]; !again {
			s.names[obj.Object] = path.Join(d.path, entry.name)
			s.inside[obj.Object] = obj.links
		}
		if s.inside[obj.Object] > 0 {
			s.inside[obj.Object]--
		}
		return true
	})
}
