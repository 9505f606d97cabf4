//go:build guest

package guard_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/rule"
	"sonde/internal/vmtest"
)

// armed is a guard at work, for the length of a test. Loading its programs takes seconds in a guest, so that tests
// load other rules into it.
type armed struct {
	*attach.Session
	t          *testing.T
	mechanism  guard.Mechanism
	loaded     *guard.Loaded
	generation uint32
}

// everyMechanism runs a test under each mechanism that this kernel has and that denies.
func everyMechanism(t *testing.T, test func(t *testing.T, g *armed)) {
	for m, feature := range map[guard.Mechanism]kernel.Feature{guard.LSM: kernel.LSM, guard.FmodRet: kernel.FmodRet} {
		t.Run(string(m), func(t *testing.T) {
			vmtest.Need(t, feature)
			test(t, begin(t, guard.Options{Mechanism: m}))
		})
	}
}

// begin loads and attaches the programs, with no rules yet.
func begin(t *testing.T, opt guard.Options, change ...func(*prog.Spec)) *armed {
	t.Helper()
	spec, err := guard.Spec(opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(spec)
	}
	kept := spec.Probes[:0]
	for _, p := range spec.Probes {
		if p.Program == "target_fork" || p.Program == "target_exit" { // no tree is followed here
			delete(spec.Collection.Programs, p.Program)
			continue
		}
		kept = append(kept, p)
	}
	spec.Probes = kept
	s, err := attach.Open(spec)
	if err != nil {
		var refused *ebpf.VerifierError
		if errors.As(err, &refused) {
			t.Log(strings.Join(refused.Log[max(0, len(refused.Log)-60):], "\n"))
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	g := &armed{Session: s, t: t, mechanism: opt.Mechanism}
	g.set(guard.ModeWord, guard.ModeArmed)
	if err := s.Attach(); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *armed) set(word string, n uint64) {
	g.t.Helper()
	if err := g.SetWord(word, n); err != nil {
		g.t.Fatal(err)
	}
}

// load puts these rules in the place of those before.
func (g *armed) load(t *testing.T, a guard.Armed) {
	t.Helper()
	if err := g.reload(a); err != nil {
		t.Fatal(err)
	}
}

func (g *armed) reload(a guard.Armed) error {
	before := g.loaded
	g.generation++
	loaded, err := guard.Load(g.Session, &a, g.generation)
	if err != nil {
		return err
	}
	if err := loaded.Switch(g.Session); err != nil {
		return err
	}
	g.loaded = loaded
	if before == nil {
		return nil
	}
	_, err = before.Drop(g.Session)
	return err
}

// off lets everything through again.
func (g *armed) off(t *testing.T) { g.load(t, guard.Armed{}) }

func (g *armed) counts(t *testing.T) []guard.Counts {
	t.Helper()
	c, err := g.loaded.Counts(g.Session)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// objectOf is the file at that path as the kernel knows it.
func objectOf(t *testing.T, path string) guard.Object {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return guard.Object{Dev: unix.Major(st.Dev)<<20 | unix.Minor(st.Dev), Ino: st.Ino}
}

func deny(errno unix.Errno, access rule.Access) guard.ArmedRule {
	return guard.ArmedRule{Name: "test", Access: access, Action: rule.Deny, Errno: int(errno)}
}

func objectRule(o guard.Object, r guard.ArmedRule) guard.Armed {
	return guard.Armed{Rules: []guard.ArmedRule{r}, Objects: map[guard.Object][]int{o: {0}}}
}

func write(t *testing.T, path string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func reads(path string) error {
	f, err := os.Open(path)
	if err == nil {
		f.Close()
	}
	return err
}

// Each way to name a file leads to its rule, and to no other file's.
func TestGuestPlaces(t *testing.T) {
	everyMechanism(t, func(t *testing.T, g *armed) {
		dir := t.TempDir()
		file := write(t, filepath.Join(dir, "secret"))
		above := filepath.Dir(dir)
		other := write(t, filepath.Join(t.TempDir(), "other"))
		for name, a := range map[string]guard.Armed{
			"object":        {Objects: map[guard.Object][]int{objectOf(t, file): {0}}},
			"entry":         {Entries: map[guard.Entry][]int{{Dir: objectOf(t, dir), Name: "secret"}: {0}}},
			"tree":          {Trees: map[guard.Object][]int{objectOf(t, above): {0}}},
			"name":          {Names: map[string][]int{"secret": {0}}},
			"glob":          {Globs: []guard.GlobAt{{Dir: objectOf(t, dir), Pattern: "sec*[a-t]", Rule: 0}}},
			"glob below":    {Globs: []guard.GlobAt{{Dir: objectOf(t, above), Below: true, Pattern: "s?cre*t", Rule: 0}}},
			"glob anywhere": {Globs: []guard.GlobAt{{Pattern: "*cret", Rule: 0}}},
		} {
			t.Run(name, func(t *testing.T) {
				a.Rules = []guard.ArmedRule{deny(unix.ENOENT, rule.Read)}
				g.load(t, a)
				if err := reads(file); !errors.Is(err, unix.ENOENT) {
					t.Errorf("open: %v", err)
				}
				if name != "tree" {
					if err := reads(other); err != nil {
						t.Errorf("another file: %v", err)
					}
				}
				if n := g.counts(t)[0]; n.Denied != n.Matches || n.Denied == 0 || name != "tree" && n.Denied != 1 {
					t.Errorf("counted %+v", n)
				}
			})
		}
		g.off(t)
	})
}

// What each access means is denied, and nothing else.
func TestGuestAccesses(t *testing.T) {
	everyMechanism(t, func(t *testing.T, g *armed) {
		dir := t.TempDir()
		type op struct {
			name   string
			access rule.Access
			do     func(file, fresh string) error
		}
		open := func(flags int) func(string, string) error {
			return func(file, _ string) error {
				fd, err := unix.Open(file, flags|unix.O_CLOEXEC, 0)
				if err == nil {
					unix.Close(fd)
				}
				return err
			}
		}
		mmap := func(flags, prot, how int) func(string, string) error {
			return func(file, _ string) error {
				fd, err := unix.Open(file, flags|unix.O_CLOEXEC, 0)
				if err != nil {
					return fmt.Errorf("open, before: %v", err)
				}
				defer unix.Close(fd)
				mem, err := unix.Mmap(fd, 0, 1, prot, how)
				if err == nil {
					_ = unix.Munmap(mem)
				}
				return err
			}
		}
		at := unix.AT_FDCWD
		for _, o := range []op{
			{"read", rule.Read, open(unix.O_RDONLY)},
			{"write", rule.Write, open(unix.O_WRONLY)},
			{"append", rule.Write, open(unix.O_WRONLY | unix.O_APPEND)},
			{"read and write", rule.Read, open(unix.O_RDWR)},
			{"O_TRUNC", rule.Truncate, open(unix.O_WRONLY | unix.O_TRUNC)},
			{"truncate", rule.Truncate, func(file, _ string) error { return unix.Truncate(file, 3) }},
			{"ftruncate", rule.Truncate, func(file, _ string) error {
				fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
				if err != nil {
					return fmt.Errorf("open: %v", err)
				}
				defer unix.Close(fd)
				return unix.Ftruncate(fd, 3)
			}},
			{"chmod", rule.Metadata, func(file, _ string) error { return unix.Chmod(file, 0o600) }},
			{"chown", rule.Metadata, func(file, _ string) error { return unix.Chown(file, 1, 1) }},
			{"utimes", rule.Metadata, func(file, _ string) error { return unix.UtimesNanoAt(at, file, nil, 0) }},
			{"utimes set", rule.Metadata, func(file, _ string) error {
				return unix.UtimesNanoAt(at, file, []unix.Timespec{{Sec: 1}, {Sec: 1}}, 0)
			}},
			{"setxattr", rule.Metadata, func(file, _ string) error { return unix.Setxattr(file, "trusted.x", []byte("y"), 0) }},
			{"removexattr", rule.Metadata, func(file, _ string) error {
				err := unix.Removexattr(file, "trusted.x")
				if errors.Is(err, unix.ENODATA) {
					err = nil
				}
				return err
			}},
			{"link", rule.Link, func(file, fresh string) error { return unix.Link(file, fresh) }},
			{"rename", rule.Rename, func(file, fresh string) error { return unix.Rename(file, fresh) }},
			{"rename over", rule.Rename, func(file, fresh string) error {
				if err := os.WriteFile(fresh, nil, 0o644); err != nil {
					return fmt.Errorf("before: %v", err)
				}
				return unix.Rename(fresh, file)
			}},
			{"replace", rule.Delete, func(file, fresh string) error {
				if err := os.WriteFile(fresh, nil, 0o644); err != nil {
					return fmt.Errorf("before: %v", err)
				}
				return unix.Rename(fresh, file)
			}},
			{"unlink", rule.Delete, func(file, _ string) error { return unix.Unlink(file) }},
			{"mmap exec", rule.Exec, mmap(unix.O_RDONLY, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)},
			{"mmap exec only", rule.Exec, mmap(unix.O_RDONLY, unix.PROT_EXEC, unix.MAP_PRIVATE)},
			{"exec", rule.Exec, func(file, _ string) error {
				if err := os.Chmod(file, 0o755); err != nil {
					return err
				}
				err := exec.Command(file).Run()
				if errors.Is(err, unix.ENOEXEC) {
					return nil // it is no program: the kernel looked into it
				}
				return err
			}},
		} {
			t.Run(o.name, func(t *testing.T) {
				file := write(t, filepath.Join(dir, "f "+o.name))
				fresh := filepath.Join(dir, "fresh "+o.name)
				r := deny(unix.EPERM, o.access)
				for _, a := range []guard.Armed{
					objectRule(objectOf(t, file), r),
					{Rules: []guard.ArmedRule{r}, Entries: map[guard.Entry][]int{{Dir: objectOf(t, dir), Name: filepath.Base(file)}: {0}}},
				} {
					g.load(t, a)
					if err := o.do(file, fresh); !errors.Is(err, unix.EPERM) {
						t.Errorf("%v, want EPERM", err)
					}
					if n := g.counts(t)[0]; n.Denied != 1 {
						t.Errorf("counted %+v", n)
					}
					g.off(t)
					os.Remove(fresh)
				}
				if content, err := os.ReadFile(file); err != nil || string(content) != "secret" {
					t.Errorf("it is now %q, %v", content, err)
				}
				// All accesses but this one.
				g.load(t, objectRule(objectOf(t, file), deny(unix.EPERM, rule.AllAccess&^(o.access|needed(o.name)))))
				if err := o.do(file, fresh); err != nil {
					t.Errorf("without a rule about it: %v", err)
				}
				g.off(t)
			})
		}
	})
}

// needed is what an operation does besides.
func needed(op string) rule.Access {
	switch op {
	case "read and write":
		return rule.Write
	case "O_TRUNC", "ftruncate", "append":
		return rule.Write
	case "rename over", "replace":
		return rule.Delete | rule.Create | rule.Rename
	case "mmap exec", "mmap exec only":
		return rule.Read
	case "exec":
		return rule.Metadata
	}
	return 0
}

// Names that are to be made are denied though there is nothing yet.
func TestGuestCreations(t *testing.T) {
	everyMechanism(t, func(t *testing.T, g *armed) {
		dir := t.TempDir()
		from := write(t, filepath.Join(dir, "from"))
		name := filepath.Join(dir, "to be")
		for what, do := range map[string]func() error{
			"open": func() error {
				fd, err := unix.Open(name, unix.O_CREAT|unix.O_WRONLY, 0o600)
				if err == nil {
					unix.Close(fd)
				}
				return err
			},
			"mkdir":   func() error { return unix.Mkdir(name, 0o700) },
			"mknod":   func() error { return unix.Mknod(name, unix.S_IFIFO|0o600, 0) },
			"symlink": func() error { return unix.Symlink("x", name) },
			"link":    func() error { return unix.Link(from, name) },
			"rename":  func() error { return unix.Rename(from, name) },
		} {
			t.Run(what, func(t *testing.T) {
				for _, a := range []guard.Armed{
					{Entries: map[guard.Entry][]int{{Dir: objectOf(t, dir), Name: "to be"}: {0}}},
					{Trees: map[guard.Object][]int{objectOf(t, dir): {0}}},
					{Names: map[string][]int{"to be": {0}}},
					{Globs: []guard.GlobAt{{Pattern: "to*", Rule: 0}}},
				} {
					a.Rules = []guard.ArmedRule{deny(unix.EACCES, rule.Create)}
					g.load(t, a)
					if err := do(); !errors.Is(err, unix.EACCES) {
						t.Errorf("%v", err)
					}
					if n := g.counts(t)[0]; n.Denied != 1 {
						t.Errorf("counted %+v", n)
					}
				}
				g.off(t)
				if _, err := os.Lstat(name); err == nil {
					t.Error("it is there")
				}
			})
		}
		g.load(t, guard.Armed{Rules: []guard.ArmedRule{deny(unix.EACCES, rule.Delete)}, Trees: map[guard.Object][]int{objectOf(t, dir): {0}}})
		below := filepath.Join(dir, "below")
		if err := unix.Mkdir(below, 0o700); err != nil {
			t.Error(err)
		}
		if err := unix.Rmdir(below); !errors.Is(err, unix.EACCES) {
			t.Errorf("rmdir: %v", err)
		}
		g.off(t)
	})
}

// A file keeps its rules when it is reached by another name, or was moved.
func TestGuestLearns(t *testing.T) {
	everyMechanism(t, func(t *testing.T, g *armed) {
		tree, outside := t.TempDir(), t.TempDir()
		file := write(t, filepath.Join(tree, "file"))
		early := filepath.Join(outside, "early")
		if err := os.Link(file, early); err != nil {
			t.Fatal(err)
		}
		sub := filepath.Join(tree, "sub")
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(sub, "inner"))
		g.load(t, guard.Armed{Rules: []guard.ArmedRule{deny(unix.EACCES, rule.Read)}, Trees: map[guard.Object][]int{objectOf(t, tree): {0}}})
		denied := func(what, path string) {
			t.Helper()
			if err := reads(path); !errors.Is(err, unix.EACCES) {
				t.Errorf("%s: %v", what, err)
			}
		}
		denied("in the tree", file) // and now it is known under all its names
		denied("by a link that was there before", early)
		late := filepath.Join(outside, "late")
		lone := write(t, filepath.Join(tree, "lone"))
		if err := os.Link(lone, late); err != nil {
			t.Fatal(err)
		}
		denied("by a new link", late)
		moved := filepath.Join(outside, "moved")
		if err := os.Rename(write(t, filepath.Join(tree, "goes")), moved); err != nil {
			t.Fatal(err)
		}
		denied("moved", moved)
		if err := os.Rename(sub, filepath.Join(outside, "sub")); err != nil {
			t.Fatal(err)
		}
		denied("in a directory that was moved", filepath.Join(outside, "sub", "inner"))
		if err := reads(write(t, filepath.Join(outside, "stranger"))); err != nil {
			t.Errorf("a file that never was in the tree: %v", err)
		}
		learnt := func() int {
			keys, err := g.Keys("guard_learnt")
			if err != nil {
				t.Fatal(err)
			}
			return len(keys)
		}
		if n := learnt(); n != 3 { // file, lone and what was moved
			t.Errorf("%d files are remembered", n)
		}
		g.off(t)
		if n := learnt(); n != 0 {
			t.Errorf("%d files are remembered for rules that are gone", n)
		}
		if err := reads(early); err != nil {
			t.Errorf("after other rules were loaded: %v", err)
		}
		// A number that is given again is not the file that had it.
		gone := write(t, filepath.Join(outside, "gone"))
		g.load(t, objectRule(objectOf(t, gone), deny(unix.EACCES, rule.Read)))
		denied("the object", gone)
		fd, err := unix.Open(gone, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := os.Remove(gone); err != nil {
			t.Fatal(err)
		}
		denied("without a name", fmt.Sprintf("/proc/self/fd/%d", fd))
		g.off(t)
	})
}

// The first rule that matches decides, whatever it was found by.
func TestGuestFirstMatch(t *testing.T) {
	everyMechanism(t, func(t *testing.T, g *armed) {
		dir := t.TempDir()
		file := write(t, filepath.Join(dir, "file"))
		object, in := objectOf(t, file), objectOf(t, dir)
		rules := []guard.ArmedRule{
			{Name: "write", Access: rule.Write, Action: rule.Deny, Errno: 1},
			{Name: "allow", Access: rule.Read, Action: rule.Allow, Who: guard.ArmedWho{UIDs: []uint32{12345}}},
			{Name: "second", Access: rule.AllAccess, Action: rule.Deny, Errno: 13},
			{Name: "third", Access: rule.AllAccess, Action: rule.Deny, Errno: 2},
		}
		for name, a := range map[string]guard.Armed{
			"tree first":   {Objects: map[guard.Object][]int{object: {3}}, Trees: map[guard.Object][]int{in: {0, 1, 2}}},
			"object first": {Objects: map[guard.Object][]int{object: {0, 1, 2}}, Trees: map[guard.Object][]int{in: {3}}},
			"glob first":   {Entries: map[guard.Entry][]int{{Dir: in, Name: "file"}: {0, 3}}, Globs: []guard.GlobAt{{Dir: in, Pattern: "f*", Rule: 2}, {Dir: in, Pattern: "*", Rule: 1}}},
			"name first":   {Names: map[string][]int{"file": {2}}, Globs: []guard.GlobAt{{Pattern: "f*", Rule: 3}}, Entries: map[guard.Entry][]int{{Dir: in, Name: "file"}: {0, 1}}},
		} {
			t.Run(name, func(t *testing.T) {
				a.Rules = rules
				g.load(t, a)
				if err := reads(file); !errors.Is(err, unix.EACCES) {
					t.Errorf("read: %v", err)
				}
				if _, err := os.OpenFile(file, os.O_RDWR, 0); !errors.Is(err, unix.EPERM) {
					t.Errorf("write: %v", err)
				}
				if c := g.counts(t); c[0].Matches != 1 || c[1].Matches != 0 || c[2].Matches != 1 || c[3].Matches != 0 {
					t.Errorf("%v", c)
				}
			})
		}
		rules[1].Who = guard.ArmedWho{}
		g.load(t, guard.Armed{Rules: rules, Objects: map[guard.Object][]int{object: {0, 1, 2, 3}}})
		if err := reads(file); err != nil {
			t.Errorf("allowed: %v", err)
		}
		if c := g.counts(t); c[1].Allowed != 1 {
			t.Errorf("%v", c)
		}
		g.off(t)
	})
}
