//go:build guest

package guard

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// What is mounted on a directory of a path is told; a mount elsewhere is not.
func TestGuestWatchMounts(t *testing.T) {
	root := grow(t, "a/b/f", "elsewhere/")
	rules := parse(t, "deny "+root+"/a/b/f")
	armed, err := Arm(rules, Env{})
	must(t, err)
	w, err := Watch(armed, Env{})
	must(t, err)
	defer w.Close()
	mount(t, "tmpfs", root+"/elsewhere", "tmpfs", "")
	mount(t, "tmpfs", root+"/a", "tmpfs", "")
	if got := next(t, w); got != root+"/a" && got != root+"/a/b" { // it is both that lead elsewhere
		t.Errorf("told of %s", got)
	}
	must(t, os.Mkdir(root+"/a/b", 0o755), os.WriteFile(root+"/a/b/f", nil, 0o644))
	armed, err = Arm(rules, Env{})
	must(t, err)
	must(t, w.Update(armed))
	if armed.Objects[lockedAs(t, root+"/a/b/f")] == nil {
		t.Errorf("%+v", armed.Objects)
	}
	must(t, unix.Mount(root+"/elsewhere", root+"/a/b", "", unix.MS_BIND, ""))
	t.Cleanup(func() { unix.Unmount(root+"/a/b", unix.MNT_DETACH) })
	if got := next(t, w); got != root+"/a/b" {
		t.Errorf("told of %s", got)
	}
	must(t, unix.Unmount(root+"/a/b", 0))
}
