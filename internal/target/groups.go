package target

import (
	"fmt"
	"strings"
)

// Groups finds the control groups that --cgroup and --container mean, for who narrows by other ways than flags: the folders
// of cgroups v2, or the inodes of mount namespaces where the container has no cgroup of its own. With both given a process
// must be in one of the cgroups and in the container; container is "" for none.
func Groups(cgroups []string, container string) (dirs []string, mntns []uint64, err error) {
	return live.groups(cgroups, container)
}

func (h host) groups(cgroups []string, container string) (dirs []string, mntns []uint64, err error) {
	for _, name := range cgroups {
		dir, err := h.cgroupDir("cgroup "+name, name)
		if err != nil {
			return nil, nil, err
		}
		dirs = append(dirs, dir)
	}
	if container == "" {
		return dirs, nil, nil
	}
	dir, mntns, err := h.container(container)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "--"))
	case dir == "":
		return dirs, mntns, nil
	case len(dirs) == 0:
		return []string{dir}, nil, nil
	}
	if dirs = narrow(dirs, dir); len(dirs) == 0 {
		return nil, nil, fmt.Errorf("container %s: it runs in none of the cgroups given; leave one of the two out", container)
	}
	return dirs, nil, nil
}
