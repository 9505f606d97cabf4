//go:build guest

package guard_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/rule"
)

func mountAt(t *testing.T, source, target, kind string, flags uintptr) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(target, unix.MNT_DETACH) }) // it may be unmounted already
}

func arm(t *testing.T, line string) *guard.Armed {
	t.Helper()
	set, err := rule.ParseWords(strings.Fields(line), "/")
	if err != nil {
		t.Fatal(err)
	}
	a, err := guard.Arm(set, guard.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func allDirs(t *testing.T, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := os.MkdirAll(n, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// changeNames does in a directory, which has a file "secret", what hooks are asked about by names only.
func changeNames(dir string) map[string]error {
	in := func(name string) string { return filepath.Join(dir, name) }
	errs := map[string]error{
		"create":  unix.Mknod(in("new"), unix.S_IFREG|0o600, 0),
		"mkdir":   unix.Mkdir(in("dir"), 0o700),
		"symlink": unix.Symlink("x", in("soft")),
		"link":    unix.Link(in("secret"), in("hard")),
		"rename":  unix.Rename(in("secret"), in("renamed")),
		"chmod":   unix.Chmod(in("secret"), 0o600),
		"unlink":  unix.Unlink(in("secret")),
	}
	if fd, err := unix.Open(in("opened"), unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600); err != nil {
		errs["open to create"] = err
	} else {
		errs["open to create"] = nil
		unix.Close(fd)
	}
	return errs
}

func wantRefused(t *testing.T, dir string) {
	t.Helper()
	for what, err := range changeNames(dir) {
		if !errors.Is(err, unix.EACCES) {
			t.Errorf("%s in %s: %v, want EACCES", what, dir, err)
		}
	}
}

// A tree has what is mounted below it: file systems, directories and files of others, and what is mounted in those, be it by
// another way.
func TestGuestMountsBelow(t *testing.T) {
	everyMechanism(t, func(t *testing.T, g *armed) {
		root := t.TempDir()
		in := func(name string) string { return filepath.Join(root, name) }
		allDirs(t, in("t/m"), in("t/bound"), in("t/later"), in("t/view/at"), in("data/some/sub"), in("data/other"), in("seen"), in("outside"))
		write(t, in("t/file"))
		write(t, in("data/some/secret"))
		write(t, in("data/other/secret"))
		file := write(t, in("data/file"))
		mountAt(t, "tmpfs", in("t/m"), "tmpfs", 0)
		allDirs(t, in("t/m/d/deep"), in("t/m/inner"))
		mountAt(t, "tmpfs", in("t/m/inner"), "tmpfs", 0)
		mountAt(t, in("data/some"), in("t/bound"), "", unix.MS_BIND)
		mountAt(t, file, in("t/file"), "", unix.MS_BIND)
		mountAt(t, in("t/view"), in("seen"), "", unix.MS_BIND)
		mountAt(t, "tmpfs", in("seen/at"), "tmpfs", 0)
		mountAt(t, "tmpfs", in("outside"), "tmpfs", 0)
		for _, dir := range []string{"t/m", "t/m/d/deep", "t/m/inner", "seen/at", "outside"} {
			write(t, in(dir+"/secret"))
		}
		for _, line := range []string{"deny --write " + in("t"), "deny --write " + in("t/**")} {
			g.load(t, *arm(t, line))
			for _, dir := range []string{"t/m", "t/m/d/deep", "t/m/inner", "t/bound", "data/some", "seen/at"} {
				wantRefused(t, in(dir))
			}
			for _, name := range []string{in("t/file"), file} {
				if err := unix.Chmod(name, 0o600); !errors.Is(err, unix.EACCES) {
					t.Errorf("chmod %s: %v", name, err)
				}
			}
			for _, dir := range []string{"data/other", "outside"} {
				if err := os.WriteFile(in(dir+"/free"), nil, 0o600); err != nil {
					t.Errorf("in %s: %v", dir, err)
				}
			}
			g.off(t)
		}
		// The same of a glob of names.
		g.load(t, *arm(t, "deny --write "+in("t/**/new*")))
		for _, dir := range []string{"t/m", "t/m/d/deep", "t/m/inner", "seen/at", "data/some/sub"} {
			if err := unix.Mkdir(in(dir+"/newer"), 0o700); !errors.Is(err, unix.EACCES) {
				t.Errorf("mkdir in %s: %v", dir, err)
			}
			if err := unix.Mkdir(in(dir+"/older"), 0o700); err != nil {
				t.Errorf("mkdir in %s: %v", dir, err)
			}
		}
		g.off(t)
		// What is mounted when the rule is in force is armed as soon as the watcher has told.
		rules := "deny --write " + in("t")
		a := arm(t, rules)
		w, err := guard.Watch(a, guard.Env{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		g.load(t, *a)
		mountAt(t, "tmpfs", in("t/later"), "tmpfs", 0)
		if err := os.WriteFile(in("t/later/secret"), nil, 0o600); !errors.Is(err, unix.EACCES) {
			t.Logf("before the watcher has told: %v", err)
		}
		rearm := func(want string) {
			t.Helper()
			select {
			case got := <-w.Changes():
				if got != want {
					t.Errorf("told of %s, want %s", got, want)
				}
			case <-time.After(time.Minute):
				t.Fatal("no change was told")
			}
			a = arm(t, rules)
			if err := w.Update(a); err != nil {
				t.Fatal(err)
			}
			g.load(t, *a)
		}
		rearm(in("t/later"))
		later := objectOf(t, in("t/later"))
		if a.Trees[later] == nil {
			t.Errorf("%v is not among %v", later, a.Trees)
		}
		g.off(t)
		if _, err := os.Stat(in("t/later/secret")); err != nil {
			write(t, in("t/later/secret"))
		}
		g.load(t, *a)
		wantRefused(t, in("t/later"))
		// And no longer when it is not there any more: another file system may get its number.
		if err := unix.Unmount(in("t/later"), 0); err != nil {
			t.Fatal(err)
		}
		rearm("what was mounted below " + strings.TrimPrefix(in("t"), mountPointOf(t, in("t"))))
		if a.Trees[later] != nil {
			t.Errorf("%v is still armed", later)
		}
		g.off(t)
	})
}

// mountPointOf is where the file system of a directory is mounted, "" for /.
func mountPointOf(t *testing.T, dir string) string {
	t.Helper()
	dev := objectOf(t, dir).Dev
	for dir != "/" && objectOf(t, filepath.Dir(dir)).Dev == dev {
		dir = filepath.Dir(dir)
	}
	return strings.TrimSuffix(dir, "/")
}

// Something that nobody can do without, mounted in a tree, is left out, and said.
func TestGuestMountsBelowVital(t *testing.T) {
	root := t.TempDir()
	allDirs(t, root+"/proc", root+"/m")
	mountAt(t, "/proc", root+"/proc", "", unix.MS_BIND)
	mountAt(t, "tmpfs", root+"/m", "tmpfs", 0)
	a := arm(t, "deny "+root)
	if a.Trees[objectOf(t, "/proc")] != nil || a.Trees[objectOf(t, root+"/m")] == nil {
		t.Errorf("armed are %v", a.Trees)
	}
	if notes := strings.Join(a.Notes, "\n"); !strings.Contains(notes, root+"/proc (something vital") || !strings.Contains(notes, "("+root+"/m)") {
		t.Errorf("notes: %s", notes)
	}
}
