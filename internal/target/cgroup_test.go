package target

import (
	"slices"
	"strings"
	"testing"
)

func TestCgroupDir(t *testing.T) {
	v2 := fixture(t, map[string]string{
		"proc/self/mountinfo":                     mountinfoV2,
		"sys/fs/cgroup/system.slice/ssh.service":  "dir",
		"sys/fs/cgroup/system.slice/cgroup.procs": "",
	})
	hybrid := fixture(t, map[string]string{
		"proc/self/mountinfo":                 mountinfoHybrid,
		"sys/fs/cgroup/unified/system.slice":  "dir",
		"sys/fs/cgroup/memory/docker/abc":     "dir",
		"sys/fs/cgroup/unified/sys/fs/cgroup": "dir",
	})
	v1 := fixture(t, map[string]string{"proc/self/mountinfo": strings.Join(strings.SplitAfter(mountinfoHybrid, "\n")[:3], "")})
	part := fixture(t, map[string]string{ // the tree below /a is mounted, at a place with a blank in its name; and /b/c
		"proc/self/mountinfo": "40 22 0:28 /b/cc /other rw - cgroup2 x rw\n41 22 0:28 /a /sys/fs/cgroup\\040two rw - cgroup2 x rw\nbroken line\n",
		"sys/fs/cgroup two/x": "dir",
	})
	part.fsType = func(string) (int64, error) { return 0x63677270, nil }

	for _, tc := range []struct {
		name string
		h    host
		in   string
		want string // a path, or the error
	}{
		{"absolute", v2, "/sys/fs/cgroup/system.slice/ssh.service", "/sys/fs/cgroup/system.slice/ssh.service"},
		{"trailing slash", v2, "/sys/fs/cgroup/system.slice/", "/sys/fs/cgroup/system.slice"},
		{"relative", v2, "system.slice/ssh.service", "/sys/fs/cgroup/system.slice/ssh.service"},
		{"as in /proc", v2, "/system.slice/ssh.service", "/sys/fs/cgroup/system.slice/ssh.service"},
		{"the root", v2, "/", "/sys/fs/cgroup"},
		{"the mount", v2, "/sys/fs/cgroup", "/sys/fs/cgroup"},
		{"none", v2, "/system.slice/none", "--cgroup: no such cgroup (/sys/fs/cgroup/system.slice/none); find its path"},
		{"below a file", v2, "/system.slice/cgroup.procs/x", "--cgroup: no such cgroup"},
		{"out of it", v2, "/../x", "--cgroup: `..` leads out of"},
		{"hybrid", hybrid, "/system.slice", "/sys/fs/cgroup/unified/system.slice"},
		{"hybrid, in the mount", hybrid, "/sys/fs/cgroup/unified/system.slice", "/sys/fs/cgroup/unified/system.slice"},
		{"hybrid, v1", hybrid, "/sys/fs/cgroup/memory/docker/abc", "--cgroup: a cgroup v1, and the kernel can check only v2; give a path below /sys/fs/cgroup/unified"},
		{"no v2", v1, "/x", "--cgroup: no cgroup v2 file system is mounted; `mount -t cgroup2"},
		{"part, as in /proc", part, "/a/x", "/sys/fs/cgroup two/x"},
		{"part, relative", part, "x", "/sys/fs/cgroup two/x"},
		{"part, outside", part, "/b/x", "--cgroup: only /a and what is below it is mounted, at /sys/fs/cgroup two"},
	} {
		got, err := tc.h.cgroupDir("--cgroup", tc.in)
		if err != nil {
			got = err.Error()
		}
		if got != tc.want && (err == nil || !strings.HasPrefix(got, tc.want)) {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}

	v2.fsType = func(string) (int64, error) { return 0x9fa0, nil }
	if _, err := v2.cgroupDir("--cgroup", "system.slice"); err == nil || !strings.Contains(err.Error(), "not a cgroup v2") {
		t.Errorf("another file system: %v", err)
	}
}

// Every process is in some cgroup, and this host's kernel takes what is found here.
func TestCgroupLive(t *testing.T) {
	m, err := live.cgroup2()
	if err != nil {
		t.Skip("no cgroup v2 mounted")
	}
	got, err := live.cgroupDir("--cgroup", "/")
	if m.top == "/" && (err != nil || got != m.dir) {
		t.Errorf("%s, %v, want %s", got, err, m.dir)
	}
}

func TestNarrow(t *testing.T) {
	for _, tc := range []struct {
		dirs []string
		dir  string
		want []string
	}{
		{[]string{"/c/a"}, "/c/a/b", []string{"/c/a/b"}},
		{[]string{"/c/a/b", "/c/x", "/c/a/d"}, "/c/a", []string{"/c/a/b", "/c/a/d"}},
		{[]string{"/c/a"}, "/c/ab", nil},
		{[]string{"/c/x", "/c/a"}, "/c/a", []string{"/c/a"}},
	} {
		if got := narrow(tc.dirs, tc.dir); !slices.Equal(got, tc.want) {
			t.Errorf("%v in %s: %v, want %v", tc.dirs, tc.dir, got, tc.want)
		}
	}
}
