package guard

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/tool/guard/rule"
)

// vital is something that no rule may deny by accident.
type vital struct {
	what   string // as the refusal says it
	access rule.Access
	warn   bool // it is noted only
	obj    Object
	above  map[Object]bool // the directories that it lies in, and itself if it is one
	ends   []Entry         // by which names it is reached
}

const (
	running = rule.Read | rule.Exec // what happens to a file when it is run
	anyWay  = rule.AllAccess
)

// findVital lists what must stay within reach. What of it is not there is left out.
func (a *armer) findVital() {
	for _, dir := range []string{"/", "/dev", "/proc", "/sys", "/sys/fs/bpf", "/sys/kernel/tracing", "/sys/kernel/btf"} {
		a.addVital(dir, dir, anyWay, false)
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "console"} {
		a.addVital("/dev/"+name, "/dev/"+name, anyWay, false)
	}
	a.addVital("/etc/ld.so.cache", "the dynamic loader's cache", rule.Read, false)
	a.addExecutable("self", "sonde itself", false)
	a.addExecutable("1", "process 1", false)
	if file := a.out.File; file != "" {
		a.addVital(file, "the rule file "+file, rule.Read, false)
	}
	programs := []string{"/bin/sh", "/bin/ls", "/usr/bin/env", "/sbin/init"}
	for _, pid := range append([]string{"1"}, a.parents()...) {
		if exe, err := os.Readlink(a.env.Proc + "/" + pid + "/exe"); err == nil {
			programs = append(programs, exe)
		}
	}
	loaders := make(map[string]bool)
	for _, name := range programs {
		if loader := a.interpreter(name); loader != "" {
			loaders[loader] = true
		}
	}
	for _, loader := range slices.Sorted(maps.Keys(loaders)) {
		a.addVital(loader, "the dynamic loader", running, false)
		for _, lib := range a.libraries(loader) {
			a.addVital(lib, "the C library", running, false)
		}
	}
	for _, pid := range a.parents() {
		a.addExecutable(pid, "the program that this session runs in", true)
	}
	a.addVital("/bin/sh", "the shell", running, true)
	a.addVital("/usr/sbin/sshd", "sshd", running, true)
}

// addVital adds a path, if it is there and not vital for another reason.
func (a *armer) addVital(name, what string, access rule.Access, warn bool) {
	f, err := a.walker.walk(name)
	if err != nil {
		return
	}
	defer f.close()
	if len(f.missing) > 0 || a.isVital(f.obj.Object) {
		return
	}
	v := vital{what: what, access: access, warn: warn, obj: f.obj.Object, above: make(map[Object]bool), ends: f.ends}
	for _, d := range f.stack {
		v.above[d.obj.Object] = true
	}
	a.vital = append(a.vital, v)
}

// addExecutable adds what a process runs: the file that it is, and the names that lead to it. The name that the kernel tells
// may be one of another root, or of a file that is no more.
func (a *armer) addExecutable(pid, what string, warn bool) {
	link := a.env.Proc + "/" + pid + "/exe"
	name, err := os.Readlink(link)
	if err != nil {
		return
	}
	what = fmt.Sprintf("%s (%s)", what, name)
	fd, err := unix.Open(link, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	obj, err := a.walker.ids.of(fd, "")
	if err != nil {
		return
	}
	a.addVital(name, what, running, warn)
	if !a.isVital(obj.Object) {
		a.vital = append(a.vital, vital{what: what, access: running, warn: warn, obj: obj.Object})
	}
}

func (a *armer) isVital(o Object) bool {
	return slices.ContainsFunc(a.vital, func(v vital) bool { return v.obj == o })
}

// parents are the processes that this one descends from, without process 1.
func (a *armer) parents() (pids []string) {
	pid := "self"
	for range 32 {
		data, err := readCapped(a.env.Proc+"/"+pid+"/stat", 4096)
		if err != nil {
			break
		}
		// "PID (COMM) STATE PPID ...": a COMM may hold brackets and blanks.
		f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
		if len(f) < 2 {
			break
		}
		pid = string(f[1])
		if n, err := strconv.Atoi(pid); err != nil || n <= 1 {
			break
		}
		pids = append(pids, pid)
	}
	return pids
}

// interpreter is the dynamic loader that a program asks for, "" if it is none.
func (a *armer) interpreter(name string) string {
	f, err := elf.Open(a.env.Root + name)
	if err != nil {
		return ""
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz == 0 || p.Filesz > 4096 {
			continue
		}
		text, err := io.ReadAll(p.Open())
		if err != nil {
			return ""
		}
		loader := string(bytes.TrimRight(text, "\x00"))
		if path.IsAbs(loader) {
			return loader
		}
	}
	return ""
}

// libraries are the C libraries beside a loader: in the directory that it lies in, and in that which its name leads to.
func (a *armer) libraries(loader string) (found []string) {
	f, err := a.walker.walk(loader)
	if err != nil {
		return nil
	}
	defer f.close()
	for _, dir := range []string{path.Dir(loader), f.top().path} {
		for _, name := range []string{"libc.so.6", "libc.so"} {
			found = append(found, path.Join(dir, name))
		}
	}
	return found
}

// hurts says whether the rule at hand could do harm to v.
func (a *armer) hurts(v *vital) bool {
	return (a.rule.Action.Denies() || a.rule.Action.Kills()) && a.rule.Access&v.access != 0
}

// catches remembers what is vital of what the rule at hand is about.
func (a *armer) catches(is func(v *vital) bool) {
	for i := range a.vital {
		v := &a.vital[i]
		if !a.hurts(v) || slices.Contains(a.caught, v) || !is(v) {
			continue
		}
		a.caught = append(a.caught, v)
	}
}

// harmful says whether what was caught so far refuses the rule.
func (a *armer) harmful() bool {
	return !a.env.IKnow && slices.ContainsFunc(a.caught, func(v *vital) bool { return !v.warn })
}

// judge refuses the pattern at hand for all that it catches, or notes it.
func (a *armer) judge() {
	const most = 4
	var vital, others []string
	for _, v := range a.caught {
		if v.warn {
			others = append(others, v.what)
		} else {
			vital = append(vital, v.what)
		}
	}
	a.caught = nil
	if len(vital) > 0 {
		a.danger(fmt.Sprintf("%s would catch %s", a.pattern.Path, listed(vital, most)), "name what is meant more closely (fewer files, or only some accesses)")
	} else if len(others) > 0 {
		a.note("%s catches %s", a.pattern.Path, listed(others, most))
	}
}

// listed joins names, at most so many of them.
func listed(names []string, most int) string {
	if more := len(names) - most; more > 0 {
		names = append(names[:most:most], fmt.Sprintf("%d others", more))
	}
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// danger refuses the rule at hand for doing harm, unless the user knows.
func (a *armer) danger(what, todo string) {
	if a.env.IKnow {
		a.note("%s, and is armed (--i-know)", what)
		return
	}
	a.problem(a.pattern.Pos, what, todo+"; --i-know arms it nevertheless")
}

func (a *armer) checkObject(o Object) { a.catches(func(v *vital) bool { return v.obj == o }) }

func (a *armer) checkEntry(e Entry) {
	a.catches(func(v *vital) bool { return slices.Contains(v.ends, e) })
}

func (a *armer) checkTree(o Object) { a.catches(func(v *vital) bool { return v.above[o] }) }

func (a *armer) checkName(name string) {
	a.catches(func(v *vital) bool {
		return slices.ContainsFunc(v.ends, func(e Entry) bool { return e.Name == name })
	})
}

func (a *armer) checkGlob(g GlobAt) {
	a.catches(func(v *vital) bool {
		return slices.ContainsFunc(v.ends, func(e Entry) bool {
			in := g.Dir == Object{} || g.Dir == e.Dir || g.Below && v.above[g.Dir]
			return in && rule.MatchName(g.Pattern, e.Name)
		})
	})
}
