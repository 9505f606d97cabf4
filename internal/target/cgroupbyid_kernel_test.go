package target

import (
	"os"
	"path"
	"syscall"
	"testing"
)

// Where a process has ended its cgroup is known by its id, as long as it is there.
func TestKernelCgroupByID(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may open what a handle stands for")
	}
	m, err := live.cgroup2()
	if err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp(m.dir, "sonde-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Remove(dir) }()
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	want := path.Join(m.top, dir[len(m.dir):])
	if got := m.cgroupByID(st.Ino); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c := NewCgroups()
	found, _ := c.Of(1<<30, st.Ino, 1)
	if c.whole != (string(found) == want) {
		t.Errorf("of a process that is not there: %q, cgroup v2 alone: %v", found, c.whole)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	for _, id := range []uint64{st.Ino, 0, 1 << 60} {
		if got := m.cgroupByID(id); got != "" {
			t.Errorf("%d: got %q of a cgroup that is not there", id, got)
		}
	}
}
