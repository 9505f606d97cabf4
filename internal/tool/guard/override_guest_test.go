//go:build guest

package guard_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/fileevent"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/rule"
	"sonde/internal/vmtest"
)

// withoutHelper leaves the call of bpf_override_return out of the programs of kprobes where the kernel lacks it, as every stock one
// of Debian does: they decide, and tell, and the call goes on. denies says whether it is in.
func withoutHelper(t *testing.T, spec *prog.Spec) (denies bool) {
	t.Helper()
	if attach.Try(kernel.OverrideReturn).State == kernel.Present {
		return true
	}
	if err := spec.Collection.Variables["guard_overrides"].Set(uint32(0)); err != nil {
		t.Fatal(err)
	}
	return false
}

// onCalls runs a test under override: by kprobes, which without bpf_override_return have no effect but are seen to decide, and, where
// the kernel lets programs modify what system calls return, by those.
func onCalls(t *testing.T, test func(t *testing.T, g *armed, denies bool)) {
	t.Run("kprobe", func(t *testing.T) {
		vmtest.Need(t, kernel.Kprobe)
		var denies bool
		g := begin(t, guard.Options{Mechanism: guard.Override}, func(s *prog.Spec) {
			denies = withoutHelper(t, s)
			if g := vmtest.Guest(); g == "6.1" || g == "6.12" { // putting a program on all calls takes its time: the oldest and the newest kernel stand for those between
				s.Probes = slices.DeleteFunc(s.Probes, func(p prog.Probe) bool {
					return p.Kind == prog.Kprobe && p.Name != "__x64_sys_openat" && p.Name != "__x64_sys_renameat" && p.Name != "__x64_sys_renameat2"
				})
			}
		})
		test(t, g, denies)
	})
	t.Run("fmod_ret", func(t *testing.T) {
		vmtest.Need(t, kernel.FmodRetSyscall)
		test(t, begin(t, guard.Options{Mechanism: guard.Override, Modifies: attach.ModifiesReturn}), true)
	})
}

// armedFor resolves rules that deny everything about these patterns.
func armedFor(t *testing.T, patterns ...rule.Pattern) guard.Armed {
	t.Helper()
	a, err := guard.Arm(&rule.Set{Rules: []rule.Rule{{Name: "test", What: patterns, Access: rule.AllAccess, Action: rule.Deny, Errno: rule.ENOENT}}}, guard.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return *a
}

// What is written for a path leads to the rules about it, however it is written, and to no others.
func TestGuestWritten(t *testing.T) {
	onCalls(t, func(t *testing.T, g *armed, denies bool) {
		t.Run("records", func(t *testing.T) { writtenRecords(t, g) })
		// Working directories are this thread's.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			t.Fatal(err)
		}
		base := t.TempDir()
		long := strings.Repeat("n", 255)
		for _, dir := range []string{"in/dir/sub", "other", "in/12345678/1234567890123456"} {
			if err := os.MkdirAll(filepath.Join(base, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"in/dir/secret", "in/dir/" + long, "in/12345678/1234567890123456/x", "other/secret", "in/a.key"} {
			write(t, filepath.Join(base, name))
		}
		for _, link := range []string{"link", "in/dir/sub/up"} {
			if err := os.Symlink(filepath.Join(base, "in"), filepath.Join(base, link)); err != nil {
				t.Fatal(err)
			}
		}
		file := func(p string) rule.Pattern { return rule.Pattern{Kind: rule.File, Path: filepath.Join(base, p)} }
		tree := rule.Pattern{Kind: rule.Tree, Path: filepath.Join(base, "in")}
		secret := []string{
			"=/in/dir/secret", "=//in/./dir///secret", "=/in/dir/../dir/secret", "=/nowhere/../in/dir/secret", "=/other/../in/dir/sub/../secret",
			"=/in/dir/" + strings.Repeat("./", 1500) + "secret", "=/../" + filepath.Base(base) + "/in/dir/secret",
			".:in/dir/secret", "in/dir:secret", "in/dir:./secret", "in/dir:../dir/secret", "other:../in/dir/secret", "in/dir/sub:../secret",
			"in/dir/sub:../../../in/dir/secret",
		}
		others := []string{
			"=/in/dir/secret2", "=/in/dir", "=/other/secret", "other:secret", "in:secret", "=/in/secret", "in/dir:../secret", ".:secret",
			"=/in/dir/secret/../secret2", "in/dir/sub:secret",
		}
		for _, tc := range []struct {
			name           string
			rules          []rule.Pattern
			meant, unmeant []string
		}{
			{"file", []rule.Pattern{file("in/dir/secret")}, secret, append(others, "=/link/dir/secret")},
			{"file behind a link", []rule.Pattern{file("link/dir/secret")}, append(secret, "=/link/dir/secret", ".:link/dir/secret", "=/link/../in/dir/secret", "other:../link/dir/../dir/secret"), others},
			{"long names", []rule.Pattern{file("in/dir/" + long), file("in/12345678/1234567890123456/x")},
				[]string{"=/in/dir/" + long, "in/dir:" + long, "=/in/12345678/1234567890123456/x", "in:12345678/1234567890123456/x"},
				[]string{"=/in/dir/" + long[1:], "=/in/dir/" + long + "n", "=/in/1234567/1234567890123456/x"}},
			{"not there", []rule.Pattern{file("in/dir/new")}, []string{"=/in/dir/new", "in/dir/sub:../new", "=/in/dir/new/"}, []string{"=/in/new", "=/in/dir/new/more"}},
			{"tree", []rule.Pattern{tree},
				[]string{"=/in", "=/in/", "=/in/.", "=/in/dir/secret", "=/in/what/ever", ".:in/x", "in/dir/sub:x", "in/dir/sub:../x", "in/dir/sub:../../a.key", "other:../in", "other:../in/dir/..", "=/in/x/y/../../z"},
				[]string{"=/other/secret", "=/in/../other/secret", "in/dir/sub:../../../other/secret", ".:x", "=", "in:..", "=/inn/x", "=/x/in"}},
			{"name", []rule.Pattern{{Kind: rule.BaseName, Path: "secret"}}, append(secret, "=/other/secret", "other:secret", "=/nowhere/secret", "=/in/dir/secret/"), []string{"=/in/dir/secret2", "=/secret/x", "=/secret/.."}},
			{"glob of names", []rule.Pattern{{Kind: rule.BaseName, Path: "*.key"}}, []string{"=/in/a.key", "in:a.key", "other:b.key"}, []string{"=/in/a.keys"}},
			{"glob in directories", []rule.Pattern{{Kind: rule.Glob, Path: filepath.Join(base, "in/*/sec*")}}, []string{"=/in/dir/secret", "in/dir:second", ".:in/12345678/secret"}, []string{"=/in/secret", "=/other/secret", "in/dir/sub:secret"}},
			{"glob below", []rule.Pattern{{Kind: rule.Glob, Path: filepath.Join(base, "in/**/se?ret")}}, []string{"=/in/dir/secret", "=/in/x/y/secret", "in/dir/sub:secret", "in:secret"}, []string{"=/other/secret", "=/in/../secret", "in/dir:../../secret"}},
		} {
			g.load(t, armedFor(t, tc.rules...))
			var before guard.Counts
			for want, paths := range map[uint64][]string{1: tc.meant, 0: tc.unmeant} {
				for _, path := range paths {
					for how, err := range opened(t, base, path) {
						n := g.counts(t)[0]
						if n.Matches-before.Matches != want || n.Denied-before.Denied != want || denies && want == 1 && !errors.Is(err, unix.ENOENT) {
							t.Errorf("%s: %.200s %s: %+v after %+v, %v; want %d", tc.name, path, how, n, before, err, want)
						}
						before = n
					}
				}
			}
		}
		g.off(t)
	})
}

// opened opens a path, of which "=" stands for base, and what comes before a colon is the directory that it starts from: as
// working directory, and by a descriptor.
func opened(t *testing.T, base, path string) func(yield func(string, error) bool) {
	open := func(dirfd int, path string) error {
		fd, err := unix.Openat(dirfd, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	return func(yield func(string, error) bool) {
		if rest, absolute := strings.CutPrefix(path, "="); absolute {
			yield("", open(unix.AT_FDCWD, base+rest))
			return
		}
		from, rest, _ := strings.Cut(path, ":")
		fd, err := unix.Open(filepath.Join(base, from), unix.O_PATH|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Fchdir(fd)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if !yield("from there", open(unix.AT_FDCWD, rest)) {
			return
		}
		if err := unix.Chdir("/"); err != nil {
			t.Fatal(err)
		}
		yield("by a descriptor", open(fd, rest))
	}
}

// Records say what was written, and where it starts from; no file was reached.
func writtenRecords(t *testing.T, g *armed) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secret"))
	records := g.records(t)
	g.load(t, armedFor(t, rule.Pattern{Kind: rule.Tree, Path: dir}))
	fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if got, err := unix.Openat(fd, dir[1:]+"/new", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o640); err == nil {
		unix.Close(got)
	}
	_ = unix.Renameat(unix.AT_FDCWD, "/nowhere", unix.AT_FDCWD, dir+"/./to/")
	told := records()
	if len(told) != 2 {
		t.Fatalf("told %+v", told)
	}
	for i, want := range []struct {
		path, full string
		dirfd      int32
		flags      uint64
		mode       uint16
		access     rule.Access
		marks      fileevent.Mark
	}{
		{dir[1:] + "/new", dir + "/new", int32(fd), unix.O_RDWR | unix.O_CREAT | unix.O_CLOEXEC, 0o640, rule.Read | rule.Write | rule.Create, 0},
		{dir + "/./to", dir + "/./to", unix.AT_FDCWD, 0, 0, rule.Rename | rule.Create | rule.Delete, fileevent.NoMode},
	} {
		e := told[i]
		got := fmt.Sprintf("%s|%s|%d|%d", e.Path(), e.AppendFull(nil), e.DirFD, e.Mode)
		if expect := fmt.Sprintf("%s|%s|%d|%d", want.path, want.full, want.dirfd, want.mode); got != expect {
			t.Errorf("%s, want %s", got, expect)
		}
		if e.Flags&^unix.O_LARGEFILE != want.flags || e.Access != want.access || e.Marks&(fileevent.NoMode|fileevent.NoDirFD|fileevent.NoPath|fileevent.BaseCut) != want.marks {
			t.Errorf("flags %#x, access %v, marks %#x", e.Flags, e.Access, e.Marks)
		}
		if e.Mechanism != guard.Override || e.Outcome != guard.Denied || e.Match != guard.ByTree || e.Ret != -int32(unix.ENOENT) || e.Reached() {
			t.Errorf("%+v", e)
		}
	}
	g.off(t)
}
