package guard

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/target"
	"sonde/internal/tool/guard/rule"
)

// Holder is a process that had a file open or mapped before the rules were armed: what it does with that needs no open, and
// so is not all seen.
type Holder struct {
	PID    uint32
	Comm   string
	FD     int    // -1: it is mapped
	Path   string // as the kernel tells it, from that process's root
	Access rule.Access
	Rule   int // the rule that would decide on an open
}

// Limits of what is believed of /proc: its content is other processes'.
const (
	maxHolders  = 10_000
	maxProcs    = 1 << 22
	maxOpen     = 1 << 20 // descriptors of one process
	maxMaps     = 64 << 20
	maxPathText = 4096 + len(" (deleted)")
)

// Holders lists who has files open or mapped that rules deny or kill for, by process and descriptor. Processes that end
// meanwhile are left out, and sonde itself. It needs root for those of others: the error then says how many could not be
// looked at, beside what was found.
func Holders(a *Armed) ([]Holder, error) { return holders(a, Env{Proc: "/proc"}) }

func holders(a *Armed, env Env) ([]Holder, error) {
	s := newHolderSearch(a, env)
	d, err := os.Open(env.Proc)
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(maxProcs)
	d.Close()
	if err != nil && len(names) == 0 {
		return nil, fmt.Errorf("%s: %w", env.Proc, err)
	}
	for _, name := range names {
		pid, err := strconv.ParseUint(name, 10, 32)
		if err == nil && int(pid) != os.Getpid() {
			s.process(uint32(pid))
		}
		if len(s.found) >= maxHolders {
			return s.sorted(), fmt.Errorf("more than %d descriptors and mappings are held already; those of other processes were not looked for", maxHolders)
		}
	}
	if s.denied > 0 {
		return s.sorted(), fmt.Errorf("%d processes could not be looked at for files that they hold already; run as root", s.denied)
	}
	return s.sorted(), nil
}

type holderSearch struct {
	armed  *Armed
	env    Env
	ids    *identities
	found  []Holder
	denied int

	// Of the process at hand.
	pid   uint32
	dir   string
	comm  string
	who   *process
	above map[string][]Object // of a directory, as its name is told: itself and those that it lies in
}

func newHolderSearch(a *Armed, env Env) *holderSearch {
	return &holderSearch{armed: a, env: env, ids: &identities{proc: env.Proc}, above: make(map[string][]Object)}
}

func (s *holderSearch) sorted() []Holder {
	sort.Slice(s.found, func(i, j int) bool { // package slices would add its code for this one type
		a, b := &s.found[i], &s.found[j]
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.FD, b.FD), cmp.Compare(a.Path, b.Path)) < 0
	})
	return s.found
}

func (s *holderSearch) process(pid uint32) {
	s.pid, s.who = pid, nil
	s.dir = fmt.Sprintf("%s/%d", s.env.Proc, pid)
	clear(s.above)
	comm, err := readCapped(s.dir+"/comm", 64)
	if err != nil {
		return
	}
	s.comm = strings.TrimSuffix(string(comm), "\n")
	if err := s.descriptors(); errors.Is(err, fs.ErrPermission) {
		s.denied++
		return
	}
	s.mappings()
}

// descriptors looks at what is open.
func (s *holderSearch) descriptors() error {
	d, err := os.Open(s.dir + "/fd")
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(maxOpen)
	d.Close()
	for _, name := range names {
		fd, err := strconv.ParseUint(name, 10, 31)
		if err == nil {
			s.descriptor(int(fd), name)
		}
	}
	return err
}

func (s *holderSearch) descriptor(fd int, name string) {
	link := s.dir + "/fd/" + name
	// What the file system knows already is enough: a server that does not answer must not hold up the guard.
	obj, err := s.ids.statx(unix.AT_FDCWD, link, unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC)
	if err != nil || obj.mode&unix.S_IFMT != unix.S_IFREG && !obj.isDir() && obj.mode&unix.S_IFMT != unix.S_IFBLK && obj.mode&unix.S_IFMT != unix.S_IFCHR {
		return
	}
	access := s.opened(name)
	if access == 0 {
		return
	}
	text, err := readlinkCapped(link)
	if err != nil {
		return
	}
	s.judge(obj.Object, text, access, fd)
}

func readlinkCapped(name string) (string, error) {
	buf := make([]byte, maxPathText)
	n, err := unix.Readlink(name, buf)
	return string(buf[:max(n, 0)]), err
}

// opened returns what a descriptor is good for: nothing if it is O_PATH, whose use is another open.
func (s *holderSearch) opened(name string) rule.Access {
	data, err := readCapped(s.dir+"/fdinfo/"+name, 1<<20)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		text, ok := strings.CutPrefix(line, "flags:")
		if !ok {
			continue
		}
		flags, err := strconv.ParseUint(strings.TrimSpace(text), 8, 64)
		switch {
		case err != nil || flags&unix.O_PATH != 0:
			return 0
		case flags&unix.O_ACCMODE == unix.O_RDONLY:
			return rule.Read
		case flags&unix.O_ACCMODE == unix.O_WRONLY:
			return rule.Write | rule.Truncate
		}
		return rule.Read | rule.Write | rule.Truncate
	}
	return 0
}

// mappings looks at what is mapped. Its device is the kernel's own.
func (s *holderSearch) mappings() {
	f, err := os.Open(s.dir + "/maps")
	if err != nil {
		return
	}
	defer f.Close()
	type mapped struct {
		obj  Object
		text string
	}
	all := make(map[mapped]rule.Access)
	left := maxMaps
	lines := bufio.NewScanner(f)
	for lines.Scan() && left > 0 {
		line := lines.Text()
		left -= len(line)
		obj, access, text, ok := mapping(line)
		if ok {
			all[mapped{obj, text}] |= access
		}
	}
	for m, access := range all {
		s.judge(m.obj, m.text, access, -1)
	}
}

// mapping reads a line of /proc/PID/maps that is about a file: "7f00-7f10 r-xp 00000000 08:01 1234   /lib/x".
func mapping(line string) (obj Object, access rule.Access, text string, ok bool) {
	f := make([]string, 5)
	rest := line
	for i := range f {
		f[i], rest, ok = strings.Cut(strings.TrimLeft(rest, " "), " ")
		if !ok && i < 4 {
			return Object{}, 0, "", false
		}
	}
	major, minor, _ := strings.Cut(f[3], ":")
	a, err1 := strconv.ParseUint(major, 16, 12)
	b, err2 := strconv.ParseUint(minor, 16, 20)
	ino, err3 := strconv.ParseUint(f[4], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil || ino == 0 || len(f[1]) != 4 {
		return Object{}, 0, "", false
	}
	if f[1][0] == 'r' {
		access |= rule.Read
	}
	if f[1][1] == 'w' && f[1][3] == 's' {
		access |= rule.Write
	}
	if f[1][2] == 'x' {
		access |= rule.Exec
	}
	return Object{kernelDev(uint32(a), uint32(b)), ino}, access, unescapeMapped(strings.TrimLeft(rest, " ")), access != 0
}

// unescapeMapped undoes the one escape that the kernel writes in these lines, that of a newline.
func unescapeMapped(s string) string { return strings.ReplaceAll(s, `\012`, "\n") }

// judge adds a holder if the rule that decides on such a file wants more than to be told.
func (s *holderSearch) judge(obj Object, text string, access rule.Access, fd int) {
	i := s.decide(obj, text, access)
	if i < 0 || len(s.found) >= maxHolders {
		return
	}
	if r := &s.armed.Rules[i]; r.Action.Denies() || r.Action.Kills() {
		s.found = append(s.found, Holder{s.pid, s.comm, fd, text, access & r.Access, i})
	}
}

// decide returns the first rule that is about the file, an access and the process, -1 if there is none.
func (s *holderSearch) decide(obj Object, text string, access rule.Access) int {
	best := -1
	try := func(rules []int) {
		for _, i := range rules {
			if best >= 0 && i >= best {
				return
			}
			if s.applies(&s.armed.Rules[i], access) {
				best = i
				return
			}
		}
	}
	a := s.armed
	try(a.Objects[obj])
	name := path.Base(text)
	try(a.Names[strings.TrimSuffix(name, " (deleted)")])
	if len(a.Trees) == 0 && len(a.Entries) == 0 && len(a.Globs) == 0 {
		return best
	}
	try(a.Trees[obj])
	above := s.ancestors(path.Dir(text))
	for _, dir := range above {
		try(a.Trees[dir])
	}
	if len(above) > 0 {
		try(a.Entries[Entry{above[0], name}])
	}
	for i := range a.Globs {
		g := &a.Globs[i]
		in := g.Dir == Object{} || len(above) > 0 && g.Dir == above[0] || g.Below && slices.Contains(above, g.Dir)
		if in && rule.MatchName(g.Pattern, name) {
			try([]int{g.Rule})
		}
	}
	return best
}

// ancestors returns a directory, by the name that the kernel tells of it in that process, and those that it lies in.
func (s *holderSearch) ancestors(name string) []Object {
	if known, ok := s.above[name]; ok {
		return known
	}
	if !strings.HasPrefix(name, "/") {
		return nil
	}
	var above []Object
	// The name is without links. One that has come since is not followed.
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_SYMLINKS}
	root, err := unix.Open(s.dir+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		fd, err := unix.Openat2(root, name, &how)
		unix.Close(root)
		if err == nil {
			above = s.climb(fd)
		}
	}
	s.above[name] = above
	return above
}

// climb goes from a directory to the top, and closes it.
func (s *holderSearch) climb(fd int) (above []Object) {
	defer func() { unix.Close(fd) }()
	for range maxDepth {
		obj, err := s.ids.of(fd, "")
		if err != nil || len(above) > 0 && above[len(above)-1] == obj.Object {
			return above
		}
		above = append(above, obj.Object)
		up, err := unix.Openat(fd, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return above
		}
		unix.Close(fd)
		fd = up
	}
	return above
}

func (s *holderSearch) applies(r *ArmedRule, access rule.Access) bool {
	if r.Access&access == 0 {
		return false
	}
	if s.who == nil {
		s.who = s.look()
	}
	return s.who.is(&r.Who) && !slices.ContainsFunc(r.Except, func(w ArmedWho) bool { return s.who.is(&w) })
}

// process is what a rule may ask of one.
type process struct {
	pid    uint32
	comm   string
	uid    uint32
	exe    Object
	cgroup string // the folder of its cgroup v2
	mntns  uint64
}

// look reads what there is to know of the process at hand. What cannot be read is zero.
func (s *holderSearch) look() *process {
	p := &process{pid: s.pid, comm: s.comm, uid: 1<<32 - 1}
	if exe, err := s.ids.statx(unix.AT_FDCWD, s.dir+"/exe", unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC); err == nil {
		p.exe = exe.Object
	}
	if status, err := readCapped(s.dir+"/status", 64<<10); err == nil {
		if _, after, ok := bytes.Cut(status, []byte("\nUid:\t")); ok {
			uid, _, _ := bytes.Cut(after, []byte("\t"))
			if n, err := strconv.ParseUint(string(uid), 10, 32); err == nil {
				p.uid = uint32(n)
			}
		}
	}
	if groups, err := readCapped(s.dir+"/cgroup", 64<<10); err == nil {
		if dirs, _, err := s.env.groups([]string{target.CgroupPath(groups)}, ""); err == nil && len(dirs) == 1 {
			p.cgroup = dirs[0]
		}
	}
	if ns, err := os.Readlink(s.dir + "/ns/mnt"); err == nil {
		number := strings.TrimSuffix(strings.TrimPrefix(ns, "mnt:["), "]")
		if n, err := strconv.ParseUint(number, 10, 64); err == nil {
			p.mntns = n
		}
	}
	return p
}

// is says whether w describes the process. COMMAND and its descendants hold nothing yet.
func (p *process) is(w *ArmedWho) bool {
	in := func(dir string) bool { return p.cgroup == dir || strings.HasPrefix(p.cgroup, dir+"/") }
	switch {
	case w.Tree,
		w.Exes != nil && !slices.Contains(w.Exes, p.exe),
		w.UIDs != nil && !slices.Contains(w.UIDs, p.uid),
		w.PIDs != nil && !slices.Contains(w.PIDs, p.pid),
		w.Comms != nil && !slices.Contains(w.Comms, p.comm),
		w.Cgroups != nil && !slices.ContainsFunc(w.Cgroups, in),
		w.Mntns != nil && !slices.Contains(w.Mntns, p.mntns):
		return false
	}
	return true
}
