package target

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cid makes a full id from its first digits.
func cid(start string) string { return start + strings.Repeat("0", 64-len(start)) }

func pod(kind, container string) string {
	return `{"ociVersion":"1.1.0","annotations":{"io.kubernetes.cri.container-type":"` + kind +
		`","io.kubernetes.cri.sandbox-namespace":"prod","io.kubernetes.cri.sandbox-name":"web-1","io.kubernetes.cri.container-name":"` + container + `"}}`
}

var containerHost = map[string]string{
	"proc/self/mountinfo": mountinfoV2,
	"proc/self/ns/mnt":    "-> mnt:[1]",
	"proc/1/cgroup":       "0::/init.scope\n",
	"proc/meminfo":        "x",

	"proc/10/cgroup": "0::/system.slice/docker-" + cid("aaaa1") + ".scope\n",
	"proc/11/cgroup": "0::/system.slice/docker-" + cid("aaaa1") + ".scope/inner\n",
	"proc/12/cgroup": "0::/system.slice/docker-" + cid("aaaa2") + ".scope\n",
	"sys/fs/cgroup/system.slice/docker-" + cid("aaaa1") + ".scope":  "dir",
	"sys/fs/cgroup/system.slice/docker-" + cid("aaaa2") + ".scope":  "dir",
	"var/lib/docker/containers/" + cid("aaaa1") + "/config.v2.json": `{"ID":"` + cid("aaaa1") + `","Name":"/web","State":{"Pid":10}}`,
	"var/lib/docker/containers/" + cid("aaaa3") + "/config.v2.json": `{"ID":"` + cid("aaaa3") + `","Name":"/stopped"}`,
	"var/lib/docker/containers/" + cid("aaaa4") + "/config.v2.json": `{"ID":`,
	"var/lib/docker/containers/rubbish/config.v2.json":              `{"ID":"rubbish","Name":"/rubbish"}`,
	"etc/docker/daemon.json":                                                           `{"data-root":"/srv/docker"}`,
	"srv/docker/containers/" + cid("aaaa2") + "/config.v2.json":                        `{"ID":"` + cid("aaaa2") + `","Name":"/k8s_app_pod-1_ns1_uid_0"}`,
	"proc/20/cgroup":                                                                   "0::/machine.slice/libpod-" + cid("bbbb1") + ".scope/container\n",
	"sys/fs/cgroup/machine.slice/libpod-" + cid("bbbb1") + ".scope":                    "dir",
	"var/lib/containers/storage/overlay-containers/containers.json":                    `[{"id":"` + cid("bbbb1") + `","names":["db","database","link/front"]},{"id":"x","names":["bad"]},{"id":"` + cid("bbbb3") + `","names":["k8s_POD_pod-1_ns1_uid_0"]},{"id":"` + cid("bbbb2") + `"}]`,
	"home/ann/.local/share/containers/storage/vfs-containers/volatile-containers.json": `[{"id":"` + cid("bbbb3") + `","names":["web"]}]`,
	"proc/21/cgroup": "0::/user.slice/libpod-" + cid("bbbb3") + ".scope\n",
	"sys/fs/cgroup/user.slice/libpod-" + cid("bbbb3") + ".scope": "dir",
	"proc/30/cgroup":                               "0::/default/" + cid("cccc1") + "\n",
	"sys/fs/cgroup/default/" + cid("cccc1"):        "dir",
	"var/lib/nerdctl/1935db59/names/default/cache": cid("cccc1") + "\n",
	"proc/31/cgroup":                               "0::/kubepods/pod1/" + cid("dddd1") + "\n",
	"proc/32/cgroup":                               "0::/kubepods/pod1/" + cid("dddd2") + "\n",
	"sys/fs/cgroup/kubepods/pod1/" + cid("dddd1"):  "dir",
	"run/containerd/io.containerd.runtime.v2.task/k8s.io/" + cid("dddd1") + "/config.json": pod("container", "app"),
	"run/containerd/io.containerd.runtime.v2.task/k8s.io/" + cid("dddd2") + "/config.json": pod("sandbox", "pause"),
	"proc/40/cgroup": "0::/machine.slice/systemd-nspawn@deb.service/payload\n",
	"sys/fs/cgroup/machine.slice/systemd-nspawn@deb.service": "dir",
	"proc/50/cgroup": "0::/lost.slice/docker-" + cid("eeee1") + ".scope\n",
}

func TestContainer(t *testing.T) {
	h := fixture(t, containerHost)
	const top = "/sys/fs/cgroup"
	for _, tc := range []struct{ name, in, want string }{
		{"full id", cid("aaaa1"), top + "/system.slice/docker-" + cid("aaaa1") + ".scope"},
		{"beginning of an id", "aaaa2", top + "/system.slice/docker-" + cid("aaaa2") + ".scope"},
		{"podman name", "database", top + "/machine.slice/libpod-" + cid("bbbb1") + ".scope"},
		{"nerdctl name", "cache", top + "/default/" + cid("cccc1")},
		{"kubernetes, whole name", "prod/web-1/app", top + "/kubepods/pod1/" + cid("dddd1")},
		{"kubernetes, pod and container", "web-1/app", top + "/kubepods/pod1/" + cid("dddd1")},
		{"kubernetes in docker's data root", "pod-1/app", top + "/system.slice/docker-" + cid("aaaa2") + ".scope"},
		{"a machine", "deb", top + "/machine.slice/systemd-nspawn@deb.service"},
		{"name of two", "web", "--container web: that can be docker aaaa10000000 or podman bbbb30000000; give more of its id"},
		{"container of two pods", "app", "--container app: that can be docker aaaa20000000 or kubernetes dddd10000000; give"},
		{"id of two", "aaaa", "--container aaaa: that can be docker aaaa10000000 or docker aaaa20000000; give"},
		{"too short an id", "aaa", "--container aaa: no running container has that name or id"},
		{"stopped", "stopped", "--container stopped: the container aaaa30000000 has that name, but no process runs in it"},
		{"unknown", "nothing", "--container nothing: no running container has that name or id"},
		{"the pod's own container", "pause", "--container pause: no running container"},
		{"a part of a name", "base", "--container base: no running container"},
		{"the last part of a Docker name with slashes", "front", "--container front: no running container"},
		{"the kubelet's pause container", "POD", "--container POD: no running container"},
		{"rubbish", "rubbish", "--container rubbish: no running container"},
		{"its cgroup is not to be seen", "eeee1", "--container eeee1: no such cgroup"},
	} {
		got, mntns, err := h.container(tc.in)
		if err != nil {
			got = err.Error()
		}
		if got != tc.want && (err == nil || !strings.HasPrefix(got, tc.want)) || mntns != nil {
			t.Errorf("%s: %s %v, want %s", tc.name, got, mntns, tc.want)
		}
	}
}

func TestContainerNarrowsCgroups(t *testing.T) {
	h := fixture(t, containerHost)
	dir := "/sys/fs/cgroup/system.slice/docker-" + cid("aaaa1") + ".scope"
	got, err := h.resolve(Options{Container: "aaaa1", Cgroups: []string{"machine.slice", "system.slice"}})
	if err != nil || !cmp.Equal(got.cgroups, []string{dir}) || got.mode&modeCgroup == 0 {
		t.Errorf("%+v, %v, want only %s", got, err, dir)
	}
	_, err = h.resolve(Options{Container: "aaaa1", Cgroups: []string{"machine.slice"}})
	if err == nil || !strings.Contains(err.Error(), "none of the cgroups") {
		t.Errorf("a container elsewhere: %v", err)
	}
}

// On cgroups v1 a container is told by its mount namespaces.
func TestContainerV1(t *testing.T) {
	in := func(id string) string { return "4:memory:/docker/" + id + "\n0::/\n" }
	files := map[string]string{
		"proc/self/mountinfo": mountinfoHybrid,
		"proc/self/ns/mnt":    "-> mnt:[1]",
		"proc/10/cgroup":      in(id1), "proc/10/ns/mnt": "-> mnt:[30]",
		"proc/11/cgroup": in(id1), "proc/11/ns/mnt": "-> mnt:[20]",
		"proc/12/cgroup": in(id1), "proc/12/ns/mnt": "-> mnt:[1]",
		"proc/13/cgroup": in(id1), "proc/13/ns/mnt": "-> mnt:[20]",
		"proc/14/cgroup": in(id2), "proc/14/ns/mnt": "-> mnt:[1]",
		"proc/15/cgroup": in(cid("ffff1")),
		"proc/16/cgroup": "0::/\n", "proc/16/ns/mnt": "-> mnt:[99]",
		"sys/fs/bpf/map": "",
	}
	h := fixture(t, files)
	got, err := h.resolve(Options{Container: id1})
	if err != nil || !cmp.Equal(got.mntns, []uint64{20, 30}) || got.mode != modeMntnsMap|modeNotSelf {
		t.Errorf("%+v, %v", got, err)
	}
	for _, tc := range []struct {
		in   Options
		want string
	}{
		{Options{Container: id2}, "shares the mount namespace that sonde runs in"},
		{Options{Container: cid("ffff1")}, "mount namespace cannot be read"},
		{Options{Container: id1, MntnsMap: "/sys/fs/bpf/map"}, "give one of the two"},
	} {
		if _, err := h.resolve(tc.in); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v, want %s", tc.in, err, tc.want)
		}
	}
}

// A state file that is too long is passed over, not read to its end.
func TestContainerStateCap(t *testing.T) {
	files := maps.Clone(containerHost)
	h := fixture(t, files)
	file := filepath.Join(h.root, "var/lib/docker/containers", cid("aaaa1"), "config.v2.json")
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 40); err != nil {
		t.Skip("no sparse files here")
	}
	got, _, err := h.container("web") // Podman's is left
	if err != nil || !strings.HasSuffix(got, cid("bbbb3")+".scope") {
		t.Errorf("%s, %v", got, err)
	}
}
