package target

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// named is a name that a runtime's state gives to a container. For Kubernetes it is NAMESPACE/POD/CONTAINER.
type named struct {
	id, name string
	pod      bool
}

// matches says whether somebody who types want means this container. Of a Kubernetes name the namespace, and then the pod,
// may be left out.
func (n named) matches(want string) bool {
	want = strings.TrimPrefix(want, "/") // docker inspect shows names so
	return want != "" && (n.name == want || n.pod && strings.HasSuffix(n.name, "/"+want))
}

// names are what the runtimes' state files tell. No daemon is asked: files answer when it is stopped or its socket is
// not for us.
type names struct {
	list   []named
	denied error // a file or folder that could not be read for lack of rights
}

const (
	maxState   = 4 << 20  // bytes of the state file of one container
	maxStorage = 64 << 20 // bytes of the state file of all containers of one storage
)

// containerNames reads all that is known. Files that are missing, too long or not what they should be are passed over:
// they are somebody else's, and change with its versions.
func (h host) containerNames() *names {
	n := &names{}
	h.dockerNames(n)
	h.storageNames(n)
	h.nerdctlNames(n)
	h.bundleNames(n)
	return n
}

func (n *names) add(id, name string) {
	if !isID(id) || name == "" {
		return
	}
	n.list = append(n.list, named{id: id, name: name})
	// The kubelet's names in Docker and CRI-O: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT. None of them can hold "_".
	if f := strings.Split(name, "_"); len(f) == 6 && f[0] == "k8s" && f[1] != "POD" {
		n.addPod(id, f[3], f[2], f[1])
	}
}

func (n *names) addPod(id, namespace, pod, container string) {
	if isID(id) && container != "" {
		n.list = append(n.list, named{id: id, name: namespace + "/" + pod + "/" + container, pod: true})
	}
}

func (n *names) failed(err error) {
	if errors.Is(err, fs.ErrPermission) && n.denied == nil {
		n.denied = err
	}
}

// load reads a JSON file into v and says whether that went well.
func (h host) load(n *names, file string, limit int64, v any) bool {
	data, err := h.read(file, limit)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	n.failed(err)
	return err == nil
}

// folder lists a folder of the host.
func (h host) folder(n *names, dir string) []fs.DirEntry {
	list, err := os.ReadDir(h.path(dir))
	n.failed(err)
	return list
}

// glob returns the paths, on the host, that match a pattern there.
func (h host) glob(pattern string) []string {
	found, _ := filepath.Glob(h.path(pattern))
	for i := range found {
		found[i] = strings.TrimPrefix(found[i], h.root)
	}
	return found
}

// dockerNames: one folder for each container, in the data root that daemon.json may name, and in those of rootless daemons.
func (h host) dockerNames(n *names) {
	roots := []string{"/var/lib/docker"}
	var daemon struct {
		DataRoot string `json:"data-root"`
	}
	if h.load(n, "/etc/docker/daemon.json", maxState, &daemon) && path.IsAbs(daemon.DataRoot) {
		roots = append(roots, daemon.DataRoot)
	}
	roots = append(roots, h.glob("/home/*/.local/share/docker")...)
	for _, root := range roots {
		for _, entry := range h.folder(n, path.Join(root, "containers")) {
			if !isID(entry.Name()) {
				continue
			}
			var state struct{ ID, Name string }
			if h.load(n, path.Join(root, "containers", entry.Name(), "config.v2.json"), maxState, &state) {
				n.add(state.ID, strings.TrimPrefix(state.Name, "/"))
			}
		}
	}
}

// storageNames: Podman and CRI-O share one file format, containers/storage; short-lived containers have a file of their own.
func (h host) storageNames(n *names) {
	for _, root := range []string{
		"/var/lib/containers/storage", "/run/containers/storage", "/home/*/.local/share/containers/storage",
		"/run/user/*/containers",
	} {
		for _, pattern := range []string{"/*-containers/containers.json", "/*-containers/volatile-containers.json"} {
			for _, file := range h.glob(root + pattern) {
				var list []struct {
					ID    string   `json:"id"`
					Names []string `json:"names"`
				}
				if !h.load(n, file, maxStorage, &list) {
					continue
				}
				for _, c := range list {
					for _, name := range c.Names {
						n.add(c.ID, name)
					}
				}
			}
		}
	}
	n.failed(h.readable("/var/lib/containers/storage"))
}

// readable returns why a folder cannot be read. Glob is silent about that.
func (h host) readable(dir string) error {
	f, err := os.Open(h.path(dir))
	if err != nil {
		return err
	}
	return f.Close()
}

// nerdctlNames: a file for each name, with the id in it (nerdctl's docs/dir.md).
func (h host) nerdctlNames(n *names) {
	dirs := append(h.glob("/var/lib/nerdctl/*/names/*"), h.glob("/home/*/.local/share/nerdctl/*/names/*")...)
	for _, dir := range dirs {
		for _, entry := range h.folder(n, dir) {
			if entry.IsDir() {
				continue
			}
			id, err := h.read(path.Join(dir, entry.Name()), 256)
			n.failed(err)
			n.add(strings.TrimSpace(string(id)), entry.Name())
		}
	}
}

// bundleNames: containerd keeps the bundle of each running container, and its CRI plugin notes there what Kubernetes
// calls it.
func (h host) bundleNames(n *names) {
	for _, state := range []string{"/run/containerd", "/run/k3s/containerd"} {
		for _, file := range h.glob(state + "/io.containerd.runtime.v2.task/*/*/config.json") {
			var bundle struct {
				Annotations map[string]string `json:"annotations"`
			}
			if !h.load(n, file, maxState, &bundle) || bundle.Annotations["io.kubernetes.cri.container-type"] == "sandbox" {
				continue
			}
			const cri = "io.kubernetes.cri."
			n.addPod(path.Base(path.Dir(file)), bundle.Annotations[cri+"sandbox-namespace"],
				bundle.Annotations[cri+"sandbox-name"], bundle.Annotations[cri+"container-name"])
		}
	}
}
