package target

import "strings"

// Runtimes that ContainerOf tells.
const (
	Docker     = "docker"
	Containerd = "containerd"
	CRIO       = "cri-o"
	Podman     = "podman"
	Kubernetes = "kubernetes" // a pod path without the runtime's name in it
	Nspawn     = "systemd-nspawn"
	LXC        = "lxc"
)

// ContainerOf returns the id of the container that a process is in and the runtime that made it, from the text of
// /proc/PID/cgroup, cgroup v1 or v2. Of containers inside one another it is the innermost. The id is 64 hexadecimal digits;
// for systemd-nspawn and LXC, whose containers have no ids, it is the name. Both are "" outside of containers; the runtime
// is "" where the path does not tell it.
//
// The names of cgroups are recognised by these forms:
//
//	/docker/ID  docker-ID.scope                              Docker, drivers cgroupfs and systemd
//	/NAMESPACE/ID  cri-containerd-ID.scope  nerdctl-ID.scope  containerd
//	…:cri-containerd:ID                                      containerd, the two drivers mixed up
//	crio-ID.scope  crio-ID                                   CRI-O (crio-conmon-ID is its helper, not the container)
//	libpod-ID.scope  libpod-ID  libpod-payload-ID            Podman (the last: --cgroups=split)
//	/kubepods…/pod…/ID                                       Kubernetes
//	machine-NAME.scope  systemd-nspawn@NAME.service          systemd-nspawn
//	/lxc/NAME  lxc.payload.NAME  lxc.payload/NAME            LXC, LXD, Incus
func ContainerOf(procCgroup []byte) (id, runtime string) {
	for line := range cgroupLines(procCgroup) {
		if line.v2 || id == "" {
			for _, m := range containersIn(line.path) {
				id, runtime = m.id, m.runtime
			}
		}
		if line.v2 && id != "" {
			return id, runtime
		}
	}
	return id, runtime
}

// member is a container that a cgroup path leads through.
type member struct {
	id, runtime string
	end         int // the container's own cgroup is path[:end]
}

// containersIn returns the containers of a cgroup path, outermost first.
func containersIn(path string) (found []member) {
	var parent string
	pod, depth := false, 0
	for at := 0; at < len(path); {
		if path[at] == '/' {
			at++
			continue
		}
		end := len(path)
		if i := strings.IndexByte(path[at:], '/'); i >= 0 {
			end = at + i
		}
		name := path[at:end]
		depth++
		id, runtime := containerName(name, parent, pod, depth)
		if id != "" {
			found = append(found, member{id, runtime, end})
			pod, depth = false, 0
		} else if strings.HasPrefix(name, "kubepods") {
			pod = true
		}
		parent = name
		at = end
	}
	return found
}

// containerName recognises one name of a cgroup path by itself and by what leads to it: the name before it, whether that
// is in a Kubernetes pod, and how many names there are since the root or the last container.
func containerName(name, parent string, pod bool, depth int) (id, runtime string) {
	if isID(name) {
		switch {
		case parent == "docker":
			return name, Docker
		case pod:
			return name, Kubernetes
		case depth == 2:
			return name, Containerd
		}
		return name, ""
	}
	if parent == "lxc" || parent == "lxc.payload" {
		if machineName(name) {
			return name, LXC
		}
		return "", ""
	}
	if machine, ok := strings.CutPrefix(name, "lxc.payload."); ok && machineName(machine) {
		return machine, LXC
	}
	if machine, ok := strings.CutPrefix(name, "systemd-nspawn@"); ok {
		if machine, ok = strings.CutSuffix(machine, ".service"); ok {
			return nspawn(machine)
		}
		return "", ""
	}
	name, scope := strings.CutSuffix(name, ".scope")
	if machine, ok := strings.CutPrefix(name, "machine-"); ok && scope {
		return nspawn(machine)
	}
	cut := len(name) - 65
	if cut < 0 || !isID(name[cut+1:]) {
		return "", ""
	}
	id = name[cut+1:]
	switch mark := name[:cut]; name[cut] {
	case '-':
		if runtime = runtimeMarks[mark]; runtime != "" {
			return id, runtime
		}
	case ':':
		if mark = mark[strings.LastIndexByte(mark, ':')+1:]; runtimeMarks[mark] != "" {
			return id, runtimeMarks[mark]
		}
	}
	return "", ""
}

// runtimeMarks are what stands before an id.
var runtimeMarks = map[string]string{
	"docker":         Docker,
	"cri-containerd": Containerd,
	"nerdctl":        Containerd,
	"crio":           CRIO,
	"libpod":         Podman,
	"libpod-payload": Podman,
}

// nspawn returns the machine name in a systemd unit name. Virtual machines have such scopes too: libvirt names them
// "qemu-1-NAME" and "lxc-1-NAME", with the dashes escaped.
func nspawn(escaped string) (id, runtime string) {
	if strings.HasPrefix(escaped, `qemu\x2d`) || strings.HasPrefix(escaped, `lxc\x2d`) {
		return "", ""
	}
	machine := strings.ReplaceAll(escaped, `\x2d`, "-")
	if !machineName(machine) {
		return "", ""
	}
	return machine, Nspawn
}

// isID says whether s is a full container id: 64 lower-case hexadecimal digits.
func isID(s string) bool { return len(s) == 64 && isHex(s) }

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// machineName says whether s can be the name of a machine: letters, digits, '-', '_' and '.', not too long.
func machineName(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '.' {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
