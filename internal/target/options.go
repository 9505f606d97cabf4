package target

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
)

// Options are the values of the target flags as they were typed. An empty string or slice is a flag that was not given;
// whoever parses the command line must refuse `-u ""` itself.
//
// PIDs and Trees and Command are a union: a process is traced when it is in one of them. Everything else narrows.
type Options struct {
	PIDs      []string // -p: process ids; each element is one, or several with commas
	Trees     []string // --tree: as PIDs, with all descendants
	Command   []string // -- COMMAND ARG...: started held, and followed with all descendants
	User      string   // -u: name or number; the real user id
	PPID      string   // -P: process id of the parent
	Comm      string   // -n: regular expression on the command name, tried in user space
	Cgroups   []string // --cgroup: cgroup v2 paths, descendants included; up to 8, a union
	Container string   // --container: name, id, or at least four digits of an id
	CgroupMap string   // --cgroupmap: path of a pinned hash map of cgroup ids
	MntnsMap  string   // --mntnsmap: path of a pinned hash map of mount namespace inodes
}

const (
	maxPID     = 1 << 22       // PID_MAX_LIMIT of 64-bit kernels
	maxUID     = 1<<32 - 2     // 2³²-1 means "no user"
	maxCgroups = 8             // TARGET_CGROUPS in bpf/target.bpf.h
	maxPIDs    = 1 << 16       // of one flag; a bound for the map that is made for them
	maxPasswd  = 64 << 20      // bytes of /etc/passwd
	passwd     = "/etc/passwd" // names known elsewhere (LDAP) must be given by number
	bpffsMagic = 0xcafe4a11    // BPF_FS_MAGIC
)

// Resolve checks every flag against the running host and returns what they mean. Errors are one line and name the flag,
// its value and a way out; a COMMAND that cannot be started is a *CommandError, with the exit status a shell would give.
// /proc is searched only for --container.
func (o Options) Resolve() (*Target, error) { return live.resolve(o) }

func (h host) resolve(o Options) (*Target, error) {
	t := &Target{host: h}
	byPID := len(o.PIDs) > 0 || len(o.Trees) > 0 || len(o.Command) > 0 || o.PPID != ""
	if h.ownPIDs() {
		t.mode |= modeNotSelf
	} else if byPID {
		return nil, errors.New("-p, --tree, -P and -- COMMAND need the host's process ids, and this process runs in a pid namespace of its own: run sonde on the host (docker run --pid=host)")
	}
	for _, step := range []func(*Target, Options) error{
		h.resolveProcesses, h.resolveUser, h.resolvePatterns, h.resolveGroups, h.resolvePins, h.resolveCommand,
	} {
		if err := step(t, o); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (h host) resolveProcesses(t *Target, o Options) (err error) {
	if t.pids, err = h.processIDs("-p", o.PIDs); err != nil {
		return err
	}
	if t.roots, err = h.processIDs("--tree", o.Trees); err != nil {
		return err
	}
	if len(t.pids) > 0 {
		t.mode |= modePID
	}
	if len(t.roots) > 0 {
		t.mode |= modeTree
		if len(t.pids) == 0 {
			t.mode |= modeTreeEnds
		}
	}
	if o.PPID == "" {
		return nil
	}
	n, err := number("-P", o.PPID, "process id", 0, maxPID)
	if err != nil {
		return err
	}
	if n != 0 { // 0 is the parent of init and of kthreadd
		if err := h.processExists("-P", n); err != nil {
			return err
		}
	}
	t.ppid = n
	t.mode |= modePPID
	return nil
}

// processIDs returns the ids in lists, each once, in the order given.
func (h host) processIDs(flag string, lists []string) (ids []uint32, err error) {
	seen := make(map[uint32]bool)
	for _, list := range lists {
		for s := range strings.SplitSeq(list, ",") {
			id, err := number(flag, strings.TrimSpace(s), "process id", 1, maxPID)
			if err != nil {
				return nil, err
			}
			if seen[id] {
				continue
			}
			if err := h.processExists(flag, id); err != nil {
				return nil, err
			}
			if len(ids) == maxPIDs {
				return nil, fmt.Errorf("%s: more than %d processes; use --cgroup or --tree", flag, maxPIDs)
			}
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// processExists returns an error unless pid is a process that runs now, rather than one of a process's other threads.
func (h host) processExists(flag string, pid uint32) error {
	data, err := h.read(fmt.Sprintf("/proc/%d/status", pid), 64<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s %d: no process %d", flag, pid, pid)
	}
	if err != nil {
		return fmt.Errorf("%s %d: %w", flag, pid, err)
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case key == "State" && (strings.HasPrefix(value, "Z") || strings.HasPrefix(value, "X")):
			return fmt.Errorf("%s %d: process %d has already ended; it waits for its parent", flag, pid, pid)
		case key == "Tgid" && value != strconv.FormatUint(uint64(pid), 10):
			return fmt.Errorf("%s %d: %d is a thread of process %s; give that number", flag, pid, pid, value)
		}
	}
	return nil
}

// number reads a decimal number of a flag.
func number(flag, s, what string, least, most uint64) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil && !decimal(s) {
		return 0, fmt.Errorf("%s %q: not a %s; give a number from %d to %d", flag, s, what, least, most)
	}
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s %s: out of range; a %s is from %d to %d", flag, s, what, least, most)
	}
	return uint32(n), nil
}

// decimal says whether s is a decimal number, also a negative or too large one.
func decimal(s string) bool {
	s = strings.TrimLeft(s, "+-")
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (h host) resolveUser(t *Target, o Options) error {
	if o.User == "" {
		return nil
	}
	t.mode |= modeUID
	if decimal(o.User) {
		n, err := number("-u", o.User, "user id", 0, maxUID)
		t.uid = n
		return err
	}
	data, err := h.read(passwd, maxPasswd)
	if err != nil {
		return fmt.Errorf("-u %s: %w; give the user's number", o.User, err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(line, ":", 4)
		if len(f) < 4 || f[0] != o.User {
			continue
		}
		n, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			return fmt.Errorf("-u %s: %s has no number for that user; give the number", o.User, passwd)
		}
		t.uid = uint32(n)
		return nil
	}
	return fmt.Errorf("unknown user %q (-u): it is not in %s; give a name from there, or a number", o.User, passwd)
}

func (h host) resolvePatterns(t *Target, o Options) (err error) {
	if o.Comm != "" {
		t.comm, err = Regexp("-n", o.Comm)
	}
	return err
}

func (h host) resolveGroups(t *Target, o Options) error {
	for _, s := range o.Cgroups {
		dir, err := h.cgroupDir("--cgroup "+s, s)
		if err != nil {
			return err
		}
		t.cgroups = append(t.cgroups, dir)
	}
	if o.Container != "" {
		dir, inodes, err := h.container(o.Container)
		switch {
		case err != nil:
			return err
		case dir == "" && o.MntnsMap != "":
			return fmt.Errorf("--container %s: on this host's cgroups v1 it is told by its mount namespace, which --mntnsmap decides already; give one of the two", o.Container)
		case dir == "":
			t.mntns = inodes
			t.mode |= modeMntnsMap
		case len(t.cgroups) == 0:
			t.cgroups = []string{dir}
		default:
			if t.cgroups = narrow(t.cgroups, dir); len(t.cgroups) == 0 {
				return fmt.Errorf("--container %s: it runs in none of the cgroups given by --cgroup; leave one of the two out", o.Container)
			}
		}
	}
	if len(t.cgroups) > maxCgroups {
		return fmt.Errorf("--cgroup: %d cgroups, and %d are possible; give a common ancestor", len(t.cgroups), maxCgroups)
	}
	if len(t.cgroups) > 0 {
		t.mode |= modeCgroup
	}
	return nil
}

func (h host) resolvePins(t *Target, o Options) error {
	for _, p := range []struct {
		flag, path, name string
		mode             mode
	}{
		{"--cgroupmap", o.CgroupMap, mapCgroups, modeCgroupMap},
		{"--mntnsmap", o.MntnsMap, mapMntns, modeMntnsMap},
	} {
		if p.path == "" {
			continue
		}
		if err := h.pinned(p.flag, p.path); err != nil {
			return err
		}
		if t.pins == nil {
			t.pins = make(map[string]string)
		}
		t.pins[p.name] = p.path
		t.mode |= p.mode
	}
	return nil
}

func (h host) resolveCommand(t *Target, o Options) error {
	if len(o.Command) == 0 {
		return nil
	}
	path, err := lookPath(o.Command[0])
	if err != nil {
		return err
	}
	t.command, t.commandPath = o.Command, path
	t.mode |= modeTree | modeTreeEnds
	return nil
}

// Regexp compiles the value of a flag that is a regular expression (RE2, tried anywhere in the text). The error says where
// in it the fault lies.
func Regexp(flag, expr string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(expr)
	if err == nil {
		return re, nil
	}
	return nil, fmt.Errorf("%s %q: %s", flag, expr, regexpFault(expr, err))
}
