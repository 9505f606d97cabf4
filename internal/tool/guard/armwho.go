package guard

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sonde/internal/tool/guard/rule"
)

// who resolves the names in a description of processes. What is not there matches nobody.
func (a *armer) who(w *rule.Who) ArmedWho {
	armed := ArmedWho{UIDs: w.UIDs, PIDs: w.PIDs, Comms: w.Comm, Tree: w.Tree}
	if len(w.Exe) > 0 {
		armed.Exes = []Object{}
	}
	for _, name := range w.Exe {
		f, err := a.walker.walk(name)
		if err != nil {
			a.problem(w.Pos, err.Error(), "write the path of an executable")
			continue
		}
		for _, s := range f.steps {
			a.watchDir(s.path, s.name, s.obj) // another version is another file
		}
		switch {
		case len(f.missing) > 0:
			a.note("the executable %s is not there: nobody is meant by it until it is", name)
		case f.obj.isDir():
			a.problem(w.Pos, fmt.Sprintf("%q is a directory", name), "an executable is a file; write a path for each")
		default:
			armed.Exes = append(armed.Exes, f.obj.Object)
		}
		f.close()
	}
	for _, name := range w.Users {
		uid, err := a.env.user(name)
		if err != nil {
			a.problem(w.Pos, err.Error(), "give a name from /etc/passwd, or a number")
			continue
		}
		armed.UIDs = append(armed.UIDs[:len(armed.UIDs):len(armed.UIDs)], uid)
	}
	if len(w.Cgroups) > 0 || w.Container != "" {
		dirs, mntns, err := a.env.groups(w.Cgroups, w.Container)
		if err != nil {
			what, todo, split := strings.Cut(err.Error(), "; ")
			if !split {
				todo = "find it in /proc/PID/cgroup"
			}
			a.problem(w.Pos, what, todo)
		}
		armed.Cgroups, armed.Mntns = dirs, mntns
	}
	return armed
}

const maxPasswd = 64 << 20 // bytes of /etc/passwd

// user looks a name up.
func (e Env) user(name string) (uint32, error) {
	if e.User != nil {
		return e.User(name)
	}
	data, err := readCapped(e.Root+"/etc/passwd", maxPasswd)
	if err != nil {
		return 0, fmt.Errorf("user %q: %w", name, err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(line, ":", 4)
		if len(f) < 4 || f[0] != name {
			continue
		}
		uid, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			return 0, fmt.Errorf("user %q: /etc/passwd has no number for it", name)
		}
		return uint32(uid), nil
	}
	return 0, errors.New("unknown user " + strconv.Quote(name))
}
