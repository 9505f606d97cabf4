package target

import (
	"slices"
	"strings"
	"testing"
)

func TestGroups(t *testing.T) {
	h := fixture(t, containerHost)
	const top = "/sys/fs/cgroup"
	web := top + "/system.slice/docker-" + cid("aaaa1") + ".scope"
	for _, tc := range []struct {
		cgroups   []string
		container string
		want      []string
		err       string
	}{
		{nil, "", nil, ""},
		{[]string{"system.slice", "/machine.slice"}, "", []string{top + "/system.slice", top + "/machine.slice"}, ""},
		{nil, "web", nil, "that can be"},
		{nil, "aaaa1", []string{web}, ""},
		{[]string{"machine.slice", "system.slice"}, "aaaa1", []string{web}, ""},
		{[]string{"machine.slice"}, "aaaa1", nil, "container aaaa1: it runs in none of the cgroups given; leave one of the two out"},
		{[]string{"none"}, "", nil, "cgroup none: no such cgroup"},
		{nil, "none", nil, "container none: no running container has that name or id"},
	} {
		dirs, mntns, err := h.groups(tc.cgroups, tc.container)
		switch {
		case tc.err != "":
			if err == nil || !strings.Contains(err.Error(), tc.err) || strings.HasPrefix(err.Error(), "--") {
				t.Errorf("%q, %q: %v, want %s", tc.cgroups, tc.container, err, tc.err)
			}
		case err != nil || len(mntns) > 0 || !slices.Equal(dirs, tc.want):
			t.Errorf("%q, %q: %q, %v, %v", tc.cgroups, tc.container, dirs, mntns, err)
		}
	}
}
