package target

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	id1 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	id2 = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
	uid = "74c13223-5a00-11e9-b385-42010a80018d"
)

var recognised = []struct{ name, cgroup, id, runtime, path string }{
	{"no container, v2", "0::/user.slice/user-0.slice/session-1.scope\n", "", "", "/user.slice/user-0.slice/session-1.scope"},
	{"v2 root", "0::/\n", "", "", "/"},
	{"empty", "", "", "", ""},
	{"docker, cgroupfs, v2", "0::/docker/" + id1 + "\n", id1, Docker, "/docker/" + id1},
	{"docker, no newline at the end", "0::/docker/" + id1, id1, Docker, "/docker/" + id1},
	{"docker, systemd, v2", "0::/system.slice/docker-" + id1 + ".scope\n", id1, Docker, "/system.slice/docker-" + id1 + ".scope"},
	{"docker, a cgroup inside", "0::/system.slice/docker-" + id1 + ".scope/init\n", id1, Docker, "/system.slice/docker-" + id1 + ".scope/init"},
	{"docker, cgroupfs, v1", "12:cpu,cpuacct:/docker/" + id1 + "\n11:memory:/docker/" + id1 + "\n1:name=systemd:/docker/" + id1 + "\n", id1, Docker, "/docker/" + id1},
	{"docker on a hybrid host", "4:memory:/docker/" + id1 + "\n1:name=systemd:/docker/" + id1 + "\n0::/system.slice/containerd.service\n", id1, Docker, "/system.slice/containerd.service"},
	{"docker on a hybrid host, v2 left at the root", "4:memory:/docker/" + id1 + "\n3:cpu:/\n0::/\n", id1, Docker, "/docker/" + id1},
	{"docker, rootless", "0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + id1 + ".scope\n", id1, Docker, "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + id1 + ".scope"},
	{"docker, a parent of its own", "0::/a/b/" + id1 + "\n", id1, "", "/a/b/" + id1},
	{"docker in docker", "0::/docker/" + id1 + "/docker/" + id2 + "\n", id2, Docker, "/docker/" + id1 + "/docker/" + id2},
	{"docker, deleted", "0::/docker/" + id1 + " (deleted)\n", id1, Docker, "/docker/" + id1},
	{"containerd, cgroupfs", "0::/default/" + id1 + "\n", id1, Containerd, "/default/" + id1},
	{"containerd, systemd", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uid + ".slice/cri-containerd-" + id1 + ".scope\n", id1, Containerd, "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uid + ".slice/cri-containerd-" + id1 + ".scope"},
	{"containerd, drivers mixed", "0::/system.slice/containerd.service/kubepods-besteffort-pod" + uid + ".slice:cri-containerd:" + id1 + "\n", id1, Containerd, "/system.slice/containerd.service/kubepods-besteffort-pod" + uid + ".slice:cri-containerd:" + id1},
	{"nerdctl", "0::/system.slice/nerdctl-" + id1 + ".scope\n", id1, Containerd, "/system.slice/nerdctl-" + id1 + ".scope"},
	{"cri-o", "0::/kubepods.slice/kubepods-pod" + uid + ".slice/crio-" + id1 + ".scope\n", id1, CRIO, "/kubepods.slice/kubepods-pod" + uid + ".slice/crio-" + id1 + ".scope"},
	{"cri-o, cgroupfs", "11:pids:/kubepods/burstable/pod" + uid + "/crio-" + id1 + "\n", id1, CRIO, "/kubepods/burstable/pod" + uid + "/crio-" + id1},
	{"cri-o's helper", "0::/kubepods.slice/crio-conmon-" + id1 + ".scope\n", "", "", "/kubepods.slice/crio-conmon-" + id1 + ".scope"},
	{"podman", "0::/machine.slice/libpod-" + id1 + ".scope/container\n", id1, Podman, "/machine.slice/libpod-" + id1 + ".scope/container"},
	{"podman's helper", "0::/machine.slice/libpod-conmon-" + id1 + ".scope\n", "", "", "/machine.slice/libpod-conmon-" + id1 + ".scope"},
	{"podman, cgroupfs", "9:memory:/libpod_parent/libpod-" + id1 + "\n0::/\n", id1, Podman, "/libpod_parent/libpod-" + id1},
	{"podman, rootless", "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id1 + ".scope\n", id1, Podman, "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id1 + ".scope"},
	{"podman, split", "0::/system.slice/web.service/libpod-payload-" + id1 + "\n", id1, Podman, "/system.slice/web.service/libpod-payload-" + id1},
	{"podman's pod", "0::/machine.slice/machine-libpod_pod_" + id2 + ".slice/libpod-" + id1 + ".scope\n", id1, Podman, "/machine.slice/machine-libpod_pod_" + id2 + ".slice/libpod-" + id1 + ".scope"},
	{"kubernetes, cgroupfs", "11:cpuset:/kubepods/besteffort/pod" + uid + "/" + id1 + "\n", id1, Kubernetes, "/kubepods/besteffort/pod" + uid + "/" + id1},
	{"kubernetes, docker", "0::/kubepods.slice/kubepods-pod" + uid + ".slice/docker-" + id1 + ".scope\n", id1, Docker, "/kubepods.slice/kubepods-pod" + uid + ".slice/docker-" + id1 + ".scope"},
	{"v2 tells more than v1", "4:memory:/docker/" + id1 + "\n0::/docker/" + id1 + "/docker/" + id2 + "\n", id2, Docker, "/docker/" + id1 + "/docker/" + id2},
	{"kubernetes in docker", "0::/docker/" + id1 + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + uid + ".slice/cri-containerd-" + id2 + ".scope\n", id2, Containerd, "/docker/" + id1 + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + uid + ".slice/cri-containerd-" + id2 + ".scope"},
	{"systemd-nspawn, scope", `0::/machine.slice/machine-deb\x2d12.scope/payload` + "\n", "deb-12", Nspawn, `/machine.slice/machine-deb\x2d12.scope/payload`},
	{"systemd-nspawn, service", "0::/machine.slice/systemd-nspawn@deb.service/payload\n", "deb", Nspawn, "/machine.slice/systemd-nspawn@deb.service/payload"},
	{"a virtual machine", `0::/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt` + "\n", "", "", `/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt`},
	{"lxc", "0::/lxc.payload.web/init.scope\n", "web", LXC, "/lxc.payload.web/init.scope"},
	{"lxc, old", "5:memory:/lxc/101/ns\n", "101", LXC, "/lxc/101/ns"},
	{"lxc's monitor", "0::/lxc.monitor.web\n", "", "", "/lxc.monitor.web"},
	{"docker in lxc", "5:memory:/lxc/101/docker/" + id1 + "\n", id1, Docker, "/lxc/101/docker/" + id1},
	{"digits that are no id", "0::/docker/" + id1[1:] + "\n", "", "", "/docker/" + id1[1:]},
	{"65 digits", "0::/docker/a" + id1 + "\n", "", "", "/docker/a" + id1},
	{"capitals", "0::/docker/" + strings.ToUpper(id1) + "\n", "", "", "/docker/" + strings.ToUpper(id1)},
	{"an unknown mark", "0::/system.slice/other-" + id1 + ".scope\n", "", "", "/system.slice/other-" + id1 + ".scope"},
	{"a hostile name", "0::/lxc.payload.a\x1b[2J\n", "", "", "/lxc.payload.a\x1b[2J"},
	{"outside of the cgroup namespace", "0::/../docker-" + id1 + ".scope\n", id1, Docker, "/../docker-" + id1 + ".scope"},
	{"colons in a path", "1:name=systemd:/a:b:c\n", "", "", "/a:b:c"},
	{"not these lines", "rubbish\n0:\n::\n0::relative\n", "", "", ""},
}

func TestContainerOf(t *testing.T) {
	for _, tc := range recognised {
		id, runtime := ContainerOf([]byte(tc.cgroup))
		if id != tc.id || runtime != tc.runtime {
			t.Errorf("%s: %q of %q, want %q of %q", tc.name, id, runtime, tc.id, tc.runtime)
		}
		if got := CgroupPath([]byte(tc.cgroup)); got != tc.path {
			t.Errorf("%s: path %q, want %q", tc.name, got, tc.path)
		}
	}
}

func TestContainersIn(t *testing.T) {
	outer := "/docker/" + id1
	inner := outer + "/kubelet/kubepods/pod" + uid + "/" + id2
	want := []member{{id1, Docker, len(outer)}, {id2, Kubernetes, len(inner)}}
	got := containersIn(inner + "/x")
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(member{})); diff != "" {
		t.Error(diff)
	}
}

func FuzzContainerOf(f *testing.F) {
	for _, tc := range recognised {
		f.Add([]byte(tc.cgroup))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		id, runtime := ContainerOf(text)
		if id == "" && runtime != "" {
			t.Errorf("a runtime %q without a container", runtime)
		}
		if id != "" && !isID(id) && !machineName(id) {
			t.Errorf("not an id: %q", id)
		}
		if id != "" && runtime != Nspawn && !strings.Contains(string(text), id) {
			t.Errorf("%q is not in the text", id)
		}
		path := CgroupPath(text)
		if path != "" && path[0] != '/' || strings.Contains(path, "\n") {
			t.Errorf("not a path: %q", path)
		}
		for _, m := range containersIn(path) {
			if m.end > len(path) || m.runtime != Nspawn && !strings.Contains(path[:m.end], m.id) {
				t.Errorf("%+v of %q", m, path)
			}
		}
	})
}
