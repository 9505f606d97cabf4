package target

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// running is a container that has processes now.
type running struct {
	id, runtime string
	pids        []string
	cgroup      string // its cgroup v2 as in /proc/PID/cgroup, "" if it has none of its own
}

func (c *running) String() string {
	id := c.id
	if isID(id) {
		id = id[:12]
	}
	if c.runtime == "" {
		return id
	}
	return c.runtime + " " + id
}

// container finds the running container that name means. It returns the folder of its cgroup v2 or, where the container
// has none of its own (cgroups v1), the inodes of its mount namespaces.
func (h host) container(name string) (dir string, mntns []uint64, err error) {
	flag := "--container " + name
	all, err := h.containers()
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", flag, err)
	}
	c, err := h.pick(name, all)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", flag, err)
	}
	if c.cgroup != "" {
		dir, err = h.cgroupDir(flag, c.cgroup)
		return dir, nil, err
	}
	mntns, err = h.mountNamespaces(c)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", flag, err)
	}
	return "", mntns, nil
}

// containers searches the cgroups of all processes. A container inside another one is found, and its processes belong to
// both.
func (h host) containers() (map[string]*running, error) {
	ids, err := h.processList()
	if err != nil {
		return nil, err
	}
	all := make(map[string]*running)
	for _, pid := range ids {
		text, err := h.read("/proc/"+pid+"/cgroup", 64<<10)
		if err != nil {
			continue // it ended
		}
		for line := range cgroupLines(text) {
			for _, m := range containersIn(line.path) {
				c := all[m.id]
				if c == nil {
					c = &running{id: m.id, runtime: m.runtime}
					all[m.id] = c
				}
				if len(c.pids) == 0 || c.pids[len(c.pids)-1] != pid {
					c.pids = append(c.pids, pid)
				}
				if line.v2 {
					c.cgroup, c.runtime = line.path[:m.end], m.runtime
				}
			}
		}
	}
	return all, nil
}

// pick chooses, in this order: the full id, the name, the beginning of an id (at least four digits).
func (h host) pick(name string, all map[string]*running) (*running, error) {
	if c := all[name]; c != nil {
		return c, nil
	}
	names := h.containerNames()
	var found []*running
	stopped := ""
	for _, n := range names.list {
		if !n.matches(name) {
			continue
		}
		c := all[n.id]
		if c == nil {
			stopped = n.id
		} else if !slices.Contains(found, c) {
			found = append(found, c)
		}
	}
	if len(found) == 0 && stopped == "" && len(name) >= 4 && len(name) < 64 && isHex(name) {
		for id, c := range all {
			if isID(id) && strings.HasPrefix(id, name) {
				found = append(found, c)
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("that can be %s; give more of its id", listed(found))
	case stopped != "":
		return nil, fmt.Errorf("the container %.12s has that name, but no process runs in it", stopped)
	case names.denied != nil:
		return nil, fmt.Errorf("no running container has that id, and names could not be read: %w; run as root, or give the id", names.denied)
	}
	return nil, errors.New("no running container has that name or id; `docker ps`, `podman ps` or `crictl ps` lists them")
}

// listed names the first few.
func listed(found []*running) string {
	names := make([]string, len(found))
	for i, c := range found {
		names[i] = c.String()
	}
	slices.Sort(names)
	const most = 5
	if len(names) > most {
		names = append(names[:most:most], fmt.Sprintf("%d others", len(names)-most))
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// mountNamespaces returns the inodes of the container's mount namespaces, each once. The one that this process is in is
// left out: a process of the container that went back into it would make the whole host the target.
func (h host) mountNamespaces(c *running) (inodes []uint64, err error) {
	own, err := h.namespace("self", "mnt")
	if err != nil {
		return nil, err
	}
	var denied error
	shared := false
	for _, pid := range c.pids {
		inode, err := h.namespace(pid, "mnt")
		switch {
		case err != nil:
			denied = err
		case inode == own:
			shared = true
		case !slices.Contains(inodes, inode):
			inodes = append(inodes, inode)
		}
	}
	switch {
	case len(inodes) > 0:
		slices.Sort(inodes)
		return inodes, nil
	case shared:
		return nil, errors.New("it shares the mount namespace that sonde runs in, and its cgroups are v1: it cannot be told apart; use --tree with its first process")
	case denied != nil:
		return nil, fmt.Errorf("its mount namespace cannot be read: %w; run as root", denied)
	}
	return nil, errors.New("it ended just now")
}
