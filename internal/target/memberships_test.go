package target

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func TestCgroupsOf(t *testing.T) {
	root := t.TempDir() + "/"
	set := func(pid, text string) {
		file := filepath.Join(root, "proc", pid, "cgroup")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	type asked struct {
		pid          uint32
		cgroup, css  uint64
		path, inside string
	}
	check := func(c *Cgroups, name string, list ...asked) {
		t.Helper()
		for _, a := range list {
			path, inside := c.Of(a.pid, a.cgroup, a.css)
			if string(path) != a.path || string(inside) != a.inside {
				t.Errorf("%s: %+v: %q %q", name, a, path, inside)
			}
		}
	}

	set("self", "0::/init.scope\n")
	set("10", "0::/system.slice/docker-"+id1+".scope\n")
	docker := "/system.slice/docker-" + id1 + ".scope"
	c := newCgroups(root)
	check(c, "v2",
		asked{11, 5, 1, "", ""}, // ended, and nothing is known
		asked{10, 5, 1, docker, id1},
		asked{11, 5, 2, docker, id1}, // of the same cgroup, whatever its css_set
		asked{11, 6, 1, "", ""},
	)
	for i := range uint64(maxMemberships) {
		c.Of(10, 100+i, 0)
	}
	if len(c.known) > maxMemberships {
		t.Errorf("%d cgroups are kept", len(c.known))
	}

	set("self", "4:memory:/\n0::/\n")
	set("10", "4:memory:/docker/"+id1+"\n0::/\n")
	c = newCgroups(root)
	now := time.Unix(1000, 0)
	c.now = func() time.Time { return now }
	check(c, "hybrid",
		asked{10, 1, 7, "/docker/" + id1, id1},
		asked{11, 1, 7, "/docker/" + id1, id1}, // the same css_set
		asked{11, 1, 8, "", ""},                // the same v2 cgroup says nothing of v1
	)
	set("12", "4:memory:/other\n0::/\n")
	check(c, "hybrid, soon", asked{12, 1, 7, "/docker/" + id1, id1})
	now = now.Add(2 * time.Second)
	check(c, "hybrid, later, with nobody to ask", asked{11, 1, 7, "/docker/" + id1, id1})
	check(c, "hybrid, later", asked{12, 1, 7, "/other", ""})
}

func TestCgroupsLive(t *testing.T) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	pid := os.Getpid()
	path, _ := NewCgroups().Of(uint32(pid), 1, 1)
	if string(path) != CgroupPath(text) {
		t.Errorf("process %s: %q, want %q", strconv.Itoa(pid), path, CgroupPath(text))
	}
}
