package guard

import (
	"slices"
	"testing"
)

const mountsText = `1 0 8:1 / / rw - ext4 /dev/a rw
2 1 0:20 / /t/m rw shared:1 - tmpfs tmpfs rw
3 2 0:21 / /t/m/x\040y rw - tmpfs tmpfs rw
4 1 8:1 /data/some /t/bound rw - ext4 /dev/a rw
5 1 0:22 / /data/some/in rw - tmpfs tmpfs rw
6 1 0:23 / /data/other rw - tmpfs tmpfs rw
7 1 0:24 / /tt rw - tmpfs tmpfs rw
8 1 8:1 /t/view /seen rw - ext4 /dev/a rw
9 8 0:25 / /seen/at rw - tmpfs tmpfs rw
10 1 0:30 / /n1 rw - nfs4 server:/a rw
11 1 0:30 / /n2 rw - nfs4 server:/b rw
12 11 0:31 / /n2/t/m rw - tmpfs tmpfs rw
13 1 0:4 net:[4026532] /t/ns rw - nsfs nsfs rw
14 99 0:40 / /t/lost rw - tmpfs tmpfs rw
15 1 0:41 /
`

func TestMountsBelow(t *testing.T) {
	for _, tt := range []struct {
		mount uint64
		name  string
		leave uint64
		want  []string
	}{
		{1, "/t", 0, []string{"/data/some/in", "/seen/at", "/t/bound", "/t/m", "/t/m/x y", "/t/ns"}},
		{1, "/t", 4, []string{"/seen/at", "/t/bound", "/t/m", "/t/m/x y", "/t/ns"}},
		{1, "/t/m", 0, []string{"/t/m", "/t/m/x y"}},
		{2, "/t/m", 0, []string{"/t/m/x y"}},
		{3, "/t/m/x y/z", 0, nil},
		{8, "/seen", 0, []string{"/seen/at"}},
		{10, "/n1/t", 0, nil},
		{11, "/n2/t", 0, []string{"/n2/t/m"}},
		{14, "/elsewhere", 0, nil},
		{77, "/t", 0, nil},
	} {
		table := parseMountTable(mountsText)
		var got []string
		if top, ok := table.place(tt.mount, tt.name); ok {
			table.below(top, func(m *mounted) bool {
				got = append(got, m.point)
				return m.id != tt.leave
			})
		}
		if slices.Sort(got); !slices.Equal(got, tt.want) {
			t.Errorf("below %s by mount %d: %q, want %q", tt.name, tt.mount, got, tt.want)
		}
	}
}

// Mounts that go round in a circle are met once each.
func TestMountsInACircle(t *testing.T) {
	table := parseMountTable("1 0 8:1 / / rw - ext4 a rw\n2 1 8:1 / /a rw - ext4 a rw\n3 2 8:1 /a /a/a rw - ext4 a rw\n")
	n := 0
	table.below(place{dev: 8<<20 | 1, path: "/"}, func(*mounted) bool { n++; return true })
	if n != 2 {
		t.Errorf("%d mounts, want 2", n)
	}
}

func TestMountsChanged(t *testing.T) {
	before, rest := parseMountTable(mountsText), mountsText
	top := mountTop{place{dev: 8<<20 | 1, path: "/t"}, make(map[mounted]bool)}
	before.below(top.place, func(m *mounted) bool {
		top.was[*m] = m.id != 4
		return top.was[*m]
	})
	for _, tt := range []struct {
		text  string
		point string
		told  bool
	}{
		{mountsText, "", false},
		{mountsText + "20 1 0:50 / /other rw - tmpfs t rw\n", "", false},
		{mountsText + "20 3 0:50 / /t/m/x\\040y/z rw - tmpfs t rw\n", "/t/m/x y/z", true},
		{mountsText + "20 1 0:50 / /data/some/more rw - tmpfs t rw\n", "", false}, // of what was left out
		{rest[:len("1 0 8:1 / / rw - ext4 /dev/a rw\n")], "", true},
	} {
		if point, told := parseMountTable(tt.text).changed(top); point != tt.point || told != tt.told {
			t.Errorf("told %q, %v, want %q, %v, of\n%s", point, told, tt.point, tt.told, tt.text)
		}
	}
}
