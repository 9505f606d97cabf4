package target

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"

	"github.com/cilium/ebpf"

	"sonde/internal/prog"
)

// mode is target_mode of bpf/target.bpf.h.
type mode uint32

const (
	modeUID mode = 1 << iota
	modePPID
	modePID
	modeTree
	modeCgroup
	modeCgroupMap
	modeMntnsMap
	modeNotSelf
	modeTreeEnds
)

// Names that bpf/target.bpf.h gives to its maps and programs.
const (
	mapPIDs        = "target_pids"
	mapTree        = "target_tree"
	mapCgroupArray = "target_cgroups"
	mapCgroups     = "cgroupmap"
	mapMntns       = "mntnsmap"
	progFork       = "target_fork"
	progExit       = "target_exit"
)

// Target is whom to trace: flags that were found right. Make one with Options.Resolve.
type Target struct {
	host      host
	mode      mode
	uid, ppid uint32
	pids      []uint32
	roots     []uint32 // of --tree
	child     uint32   // the started COMMAND, also a root
	cgroups   []string // folders in the cgroup2 mount
	mntns     []uint64 // inodes, of --container on cgroups v1
	pins      map[string]string
	comm      *regexp.Regexp

	command     []string
	commandPath string
}

// PIDs returns the process ids of -p.
func (t *Target) PIDs() []uint32 { return slices.Clone(t.pids) }

// Roots returns the processes whose descendants are followed: those of --tree and, once it is started, COMMAND.
func (t *Target) Roots() []uint32 {
	roots := slices.Clone(t.roots)
	if t.child != 0 {
		roots = append(roots, t.child)
	}
	return roots
}

// FollowsTree says whether the fork and exit of processes are followed: --tree or -- COMMAND was given.
func (t *Target) FollowsTree() bool { return t.mode&modeTree != 0 }

// EndsWithTree says whether the run ends when the followed tree has ended. With -p it goes on, unless there is a COMMAND.
func (t *Target) EndsWithTree() bool { return t.mode&modeTreeEnds != 0 }

// HasCommand says whether there is a COMMAND to start.
func (t *Target) HasCommand() bool { return len(t.command) > 0 }

// Start starts COMMAND held, with these as its standard input, output and error (nil is closed), and makes it a root of
// the followed tree. It comes before Apply. The caller must Release or Cancel what it returns.
func (t *Target) Start(stdio [3]*os.File) (*Command, error) {
	if !t.HasCommand() {
		return nil, errors.New("target: no COMMAND to start")
	}
	c, err := start(t.commandPath, t.command, stdio)
	if err != nil {
		return nil, err
	}
	t.child = uint32(c.Pid())
	return c, nil
}

// MatchComm says whether a command name is one that -n wants; without -n, every name is. A NUL ends the name.
func (t *Target) MatchComm(comm []byte) bool {
	if t.comm == nil {
		return true
	}
	if i := bytes.IndexByte(comm, 0); i >= 0 {
		comm = comm[:i]
	}
	return t.comm.Match(comm)
}

// Apply writes the target into a spec whose programs include bpf/target.bpf.h: constants, first contents of maps, pins. It
// takes out the programs that follow fork and exit when no tree is followed, and shrinks the maps that are not used.
// Programs that have a constant target_self never trace this process.
//
// Of --tree only the roots are entered here; what they had for descendants before the probes were on is added by Reseed.
func (t *Target) Apply(s *prog.Spec) error {
	if t.HasCommand() && t.child == 0 {
		return errors.New("target: COMMAND is not started yet")
	}
	roots := t.Roots()
	if err := t.setConstants(s, len(roots)); err != nil {
		return fmt.Errorf("%s: target: %w", s.Name, err)
	}
	if t.FollowsTree() {
		for _, name := range []string{progFork, progExit} {
			if s.Collection.Programs[name] == nil {
				return fmt.Errorf("%s: target: no program %s, so no tree can be followed", s.Name, name)
			}
		}
	} else {
		delete(s.Collection.Programs, progFork)
		delete(s.Collection.Programs, progExit)
		s.Probes = slices.DeleteFunc(slices.Clone(s.Probes), func(p prog.Probe) bool {
			return p.Program == progFork || p.Program == progExit
		})
	}
	if err := t.fillMaps(s, roots); err != nil {
		return fmt.Errorf("%s: target: %w", s.Name, err)
	}
	return nil
}

func (t *Target) setConstants(s *prog.Spec, live int) error {
	mode := t.mode
	if self := s.Collection.Variables["target_self"]; self == nil {
		mode &^= modeNotSelf
	} else if err := self.Set(uint32(os.Getpid())); err != nil {
		return err
	}
	for _, c := range []struct {
		name  string
		value any
		used  bool
	}{
		{"target_mode", uint32(mode), true},
		{"target_uid", t.uid, mode&modeUID != 0},
		{"target_ppid", t.ppid, mode&modePPID != 0},
		{"target_cgroup_count", uint32(len(t.cgroups)), mode&modeCgroup != 0},
		{"target_live", uint64(live), mode&modeTree != 0},
	} {
		v := s.Collection.Variables[c.name]
		if v == nil {
			if c.used {
				return fmt.Errorf("the programs have no variable %s", c.name)
			}
			continue
		}
		if err := v.Set(c.value); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

func (t *Target) fillMaps(s *prog.Spec, roots []uint32) error {
	var fill []prog.MapFill
	for _, id := range t.pids {
		fill = append(fill, prog.MapFill{Map: mapPIDs, Key: id, Value: uint8(1)})
	}
	for _, id := range roots {
		fill = append(fill, prog.MapFill{Map: mapTree, Key: id, Value: uint8(1)})
	}
	for i, dir := range t.cgroups {
		fill = append(fill, prog.MapFill{Map: mapCgroupArray, Key: uint32(i), Value: prog.CgroupPath(dir)})
	}
	for _, inode := range t.mntns {
		fill = append(fill, prog.MapFill{Map: mapMntns, Key: inode, Value: uint64(1)})
	}
	for _, f := range fill {
		if s.Collection.Maps[f.Map] == nil {
			return fmt.Errorf("the programs have no map %s", f.Map)
		}
	}
	for name, path := range t.pins {
		if s.Collection.Maps[name] == nil {
			return fmt.Errorf("the programs have no map %s", name)
		}
		if s.Pins == nil {
			s.Pins = make(map[string]string)
		}
		s.Pins[name] = path
	}
	s.Fill = append(slices.Clip(s.Fill), fill...)

	// A hash map costs memory for all the entries it may have.
	size(s.Collection.Maps[mapPIDs], len(t.pids))
	if !t.FollowsTree() {
		size(s.Collection.Maps[mapTree], 0)
	}
	if t.pins[mapCgroups] == "" {
		size(s.Collection.Maps[mapCgroups], 0)
	}
	if t.pins[mapMntns] == "" {
		size(s.Collection.Maps[mapMntns], len(t.mntns))
	}
	return nil
}

func size(m *ebpf.MapSpec, entries int) {
	if m != nil {
		m.MaxEntries = uint32(max(1, entries))
	}
}
