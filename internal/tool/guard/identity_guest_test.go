//go:build guest

package guard

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What overlayfs says of device and inode depends on where its layers lie, on xino, and on whether a file was copied up. The
// kernel's programs see the overlay's own.
func TestGuestIdentityOnOverlay(t *testing.T) {
	for _, tt := range []struct {
		name, options string
		apart         bool // the layers are on file systems of their own
	}{
		{"one", "", false},
		{"two", "", true},
		{"two with xino", ",xino=on", true},
		{"two without xino", ",xino=off", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := t.TempDir()
			mount(t, "tmpfs", base, "tmpfs", "")
			for _, dir := range []string{"lower", "lower2", "up", "merged"} {
				must(t, os.Mkdir(filepath.Join(base, dir), 0o755))
			}
			if tt.apart {
				mount(t, "tmpfs", base+"/lower", "tmpfs", "")
				mount(t, "tmpfs", base+"/lower2", "tmpfs", "")
				mount(t, "tmpfs", base+"/up", "tmpfs", "")
			}
			must(t, os.MkdirAll(base+"/up/upper", 0o755), os.MkdirAll(base+"/up/work", 0o755),
				os.MkdirAll(base+"/lower/dir/only", 0o755), os.MkdirAll(base+"/up/upper/dir", 0o755))
			for _, f := range []string{"lower/low", "lower/dir/low", "lower2/low2", "lower/copied", "lower/fresh", "up/upper/up", "up/upper/dir/up", "lower/hard"} {
				must(t, os.WriteFile(filepath.Join(base, f), []byte(f), 0o644))
			}
			must(t, os.Link(base+"/lower/hard", base+"/lower/hard2"))
			layers := "lowerdir=" + base + "/lower:" + base + "/lower2,upperdir=" + base + "/up/upper,workdir=" + base + "/up/work" + tt.options
			merged := base + "/merged"
			mount(t, "overlay", merged, "overlay", layers)
			copied, err := os.OpenFile(merged+"/copied", os.O_RDWR, 0)
			must(t, err)
			must(t, copied.Close(), os.WriteFile(merged+"/made", nil, 0o644))
			all := []string{"", "dir", "dir/only", "low", "dir/low", "low2", "copied", "up", "dir/up", "made", "hard", "hard2"}
			for _, name := range all {
				sameObject(t, filepath.Join(merged, name))
			}
			// A copy up after the arming, and a look from the start.
			before := lockedAs(t, merged+"/fresh")
			must(t, os.WriteFile(merged+"/fresh", []byte("x"), 0o644))
			if after := lockedAs(t, merged+"/fresh"); after != before {
				t.Logf("copied up, %v became %v", before, after)
			}
			sameObject(t, merged+"/fresh")
			must(t, os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0))
			for _, name := range append(all, "fresh") {
				sameObject(t, filepath.Join(merged, name))
			}
			// A rule on the merged file is armed as what the kernel sees.
			armed, err := Arm(parse(t, "deny "+merged+"/dir/low"), Env{})
			must(t, err)
			if armed.Objects[lockedAs(t, merged+"/dir/low")] == nil || armed.Entries[Entry{lockedAs(t, merged+"/dir"), "low"}] == nil {
				t.Errorf("%+v", armed)
			}
			// Who has it open or mapped is found, whatever inode the kernel tells of a mapping there.
			must(t, os.WriteFile(merged+"/held", make([]byte, 4096), 0o644))
			pid := holds(t, "r:"+merged+"/held", "map:"+merged+"/held")
			armed, err = Arm(parse(t, "deny "+merged+"/held"), Env{})
			must(t, err)
			s := newHolderSearch(armed, Env{Proc: "/proc"})
			s.process(pid)
			if len(s.found) != 2 {
				t.Errorf("%d are found of a descriptor and a mapping: %+v", len(s.found), s.found)
			}
		})
	}
}

// A bind mount is the same object by another way, and a mount in a tree is said.
func TestGuestArmMounts(t *testing.T) {
	root := grow(t, "a/b/f", "other/", "t/m/")
	must(t, unix.Mount(root+"/a", root+"/other", "", unix.MS_BIND, ""))
	t.Cleanup(func() { unix.Unmount(root+"/other", unix.MNT_DETACH) })
	mount(t, "tmpfs", root+"/t/m", "tmpfs", "")
	sameObject(t, root+"/t/m")
	sameObject(t, root+"/other/b/f")
	one, err := Arm(parse(t, "deny "+root+"/a/b/f"), Env{})
	must(t, err)
	two, err := Arm(parse(t, "deny "+root+"/other/b/f"), Env{})
	must(t, err)
	for o := range one.Objects {
		if two.Objects[o] == nil {
			t.Errorf("%v by one way, %v by the other", one.Objects, two.Objects)
		}
	}
	tree, err := Arm(parse(t, "deny "+root+"/t"), Env{})
	must(t, err)
	if !strings.Contains(strings.Join(tree.Notes, "\n"), "/t has file systems or directories mounted in it ("+root+"/t/m)") {
		t.Errorf("notes: %q", tree.Notes)
	}
	if tree.Trees[lockedAs(t, root+"/t/m")] == nil {
		t.Errorf("armed are %v", tree.Trees)
	}
	// The files of that mount are found below it.
	must(t, os.WriteFile(root+"/t/m/f", nil, 0o644))
	glob, err := Arm(parse(t, "deny "+root+"/t/**/f"), Env{})
	must(t, err)
	if glob.Objects[lockedAs(t, root+"/t/m/f")] == nil {
		t.Errorf("%+v", glob)
	}
}

func mount(t *testing.T, source, target, kind, options string) {
	t.Helper()
	must(t, unix.Mount(source, target, kind, 0, options))
	t.Cleanup(func() { unix.Unmount(target, unix.MNT_DETACH) })
}
