package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func named(name string) func(*record) bool {
	return func(r *record) bool { return text(r.Filename) == name }
}

func second(word string) func(*record) bool {
	return func(r *record) bool { return len(r.Argv) > 1 && r.argv()[1] == word }
}

func first(word string) func(*record) bool {
	return func(r *record) bool { return len(r.Argv) > 0 && r.argv()[0] == word }
}

// traceJSONIn is traceJSON with a working directory.
func traceJSONIn(t *testing.T, dir string, args ...string) traced {
	t.Helper()
	cmd := exec.Command(as(t, "sonde"), append([]string{"exec", "-f", "json"}, args...)...)
	cmd.Dir = dir
	return runJSON(t, cmd)
}

// One task executes again and again: each exec is a record of its own, none takes another's start.
func TestKernelEdgeChain(t *testing.T) {
	needExec(t)
	const n = 5
	chain := as(t, "role-chain")
	got := traceJSON(t, "--", chain, truePath(t), strconv.Itoa(n))
	if got.status != 0 || len(got.records) != n+2 {
		t.Fatalf("status %d, %d records, want 0 and %d; stderr %s\n%s", got.status, len(got.records), n+2, got.stderr, got.dump())
	}
	for i, r := range got.records {
		want := []string{chain, truePath(t), strconv.Itoa(n - i)}
		if i > n {
			want = []string{"true", "end"}
		}
		if diff := cmp.Diff(want, r.argv()); diff != "" || r.PID != got.records[0].PID || r.ExectimeNS == nil || r.Ret != 0 {
			t.Errorf("record %d: %v; argv (-want +got):\n%s", i, &r, diff)
		}
		if i > 0 && r.Time <= got.records[i-1].Time {
			t.Errorf("record %d of %s is not after the one before, of %s", i, r.Time, got.records[i-1].Time)
		}
	}
}

func TestKernelEdgePointers(t *testing.T) {
	needExec(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "nothing")
	for _, c := range []struct {
		how       string
		errno     string // of what may come first
		filename  string
		argv      []string
		truncated bool
	}{
		{"empty argv", "ENOENT", path, []string{}, false},
		{"NULL argv", "ENOENT", path, []string{}, false}, // Linux takes it for an empty one
		{"NULL name", "EFAULT", "<null>", []string{"word", "word"}, false},
		{"wild name", "EFAULT", "<null>", []string{"word", "word"}, false},
		{"argv without end", "EFAULT ENOENT", path, []string{"word"}, true},
		{"wild argv", "EFAULT ENOENT", path, []string{}, true},
	} {
		t.Run(c.how, func(t *testing.T) {
			pointers := as(t, "role-pointers")
			got := traceJSON(t, "-x", "--", pointers, path, c.how)
			r := got.only(t, c.how, func(r *record) bool { return r.Ret != 0 })
			if diff := cmp.Diff(c.argv, r.argv()); diff != "" || r.ArgvTruncated != c.truncated {
				t.Errorf("truncated %v, want %v; argv (-want +got):\n%s", r.ArgvTruncated, c.truncated, diff)
			}
			// Kernels differ in whether they open the file before they count the arguments.
			if text(r.Filename) != c.filename || !slices.Contains(strings.Fields(c.errno), text(r.Errno)) {
				t.Errorf("filename %q, errno %s; want %q and %s", text(r.Filename), text(r.Errno), c.filename, c.errno)
			}
		})
	}
}

// A program may be given no arguments at all: since Linux 5.18 the kernel gives it an empty argv[0].
func TestKernelEdgeNoArguments(t *testing.T) {
	needExec(t)
	for _, how := range []string{"empty argv", "NULL argv"} {
		path := truePath(t)
		got := traceJSON(t, "--", as(t, "role-pointers"), path, how)
		r := got.only(t, how, named(path))
		if argv := r.argv(); len(argv) > 1 || len(argv) == 1 && argv[0] != "" || r.ArgvTruncated || r.Ret != 0 {
			t.Errorf("%s: %v; want no words or an empty one", how, r)
		}
	}
}

func TestKernelEdgeLongNames(t *testing.T) {
	needExec(t)
	path := truePath(t)
	for _, c := range []struct {
		length int
		shown  int
		errno  string
	}{
		{255, 255, "<null>"},
		{4095, 4095, "<null>"},
		{4096, 4095, "ENAMETOOLONG"}, // the kernel looks at no more of it either
		{5000, 4095, "ENAMETOOLONG"},
	} {
		got := traceJSON(t, "-x", "--", as(t, "role-name"), path, strconv.Itoa(c.length))
		r := got.only(t, fmt.Sprint(c.length, " bytes"), func(r *record) bool {
			return strings.HasPrefix(text(r.Filename), "/./") || strings.HasPrefix(text(r.Filename), "//.")
		})
		if want := longName(path, c.length)[:c.shown]; text(r.Filename) != want || text(r.Errno) != c.errno {
			t.Errorf("%d bytes: %d bytes of the name, errno %s; want %d and %s", c.length, len(text(r.Filename)), text(r.Errno), c.shown, c.errno)
		}
		if diff := cmp.Diff([]string{"true", "x"}, r.argv()); diff != "" || r.ArgvTruncated {
			t.Errorf("%d bytes: argv (-want +got):\n%s", c.length, diff)
		}
	}
}

func TestKernelEdgeDeepDirectories(t *testing.T) {
	needExec(t)
	path := truePath(t)
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		levels, length int
		cut            bool
	}{
		{40, 3, false},
		{10, 255, false},
		{70, 3, true},   // more than 64 names
		{20, 255, true}, // more than a path can be long
	} {
		t.Run(fmt.Sprintf("%dx%d", c.levels, c.length), func(t *testing.T) {
			dir := t.TempDir()
			t.Cleanup(func() { removeDeep(t, dir) })
			got := traceJSONIn(t, dir, "--", as(t, "role-deep"), path, strconv.Itoa(c.levels), strconv.Itoa(c.length))
			r := got.only(t, "the program", named(path))
			want := dir
			for i := range c.levels {
				want += "/" + strings.Repeat(string(rune('a'+i%26)), c.length)
			}
			cwd := text(r.Cwd)
			if c.cut {
				rest, marked := strings.CutPrefix(cwd, "…/")
				if !marked || !strings.HasSuffix(want, "/"+rest) || len(rest) < 64*2 {
					t.Errorf("cwd %q is not the marked end of %q", cwd, want)
				}
			} else if cwd != want {
				t.Errorf("cwd %q, want %q", cwd, want)
			}
			if slices.Contains(r.Flags, "path_cut") != c.cut {
				t.Errorf("flags %q, want path_cut: %v", r.Flags, c.cut)
			}
			if text(r.Exe) != real {
				t.Errorf("exe %q, want %q, whatever becomes of cwd", text(r.Exe), real)
			}
		})
	}
}

// removeDeep removes a directory that is deeper than a path can be long.
func removeDeep(t *testing.T, dir string) {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return
	}
	var chain []string
	for fds := []int{fd}; ; {
		last := fds[len(fds)-1]
		name := onlyEntry(last)
		if name == "" {
			for i := len(chain) - 1; i >= 0; i-- {
				unix.Close(fds[i+1])
				if err := unix.Unlinkat(fds[i], chain[i], unix.AT_REMOVEDIR); err != nil {
					t.Error(err)
				}
			}
			unix.Close(fds[0])
			return
		}
		next, err := unix.Openat(last, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		fds, chain = append(fds, next), append(chain, name)
	}
}

func onlyEntry(fd int) string {
	buf := make([]byte, 4096)
	n, err := unix.ReadDirent(fd, buf)
	if err != nil || n <= 0 {
		return ""
	}
	_, _, names := unix.ParseDirent(buf[:n], -1, nil)
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

func TestKernelEdgeDeepProgram(t *testing.T) {
	needExec(t)
	program, err := os.ReadFile(truePath(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), strings.Repeat("d/", 70))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "true")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	r := traceJSONIn(t, work, "--", path).only(t, "the program", named(path))
	rest, marked := strings.CutPrefix(text(r.Exe), "…/")
	if !marked || !strings.HasSuffix(path, "/"+rest) || !slices.Contains(r.Flags, "path_cut") || text(r.Cwd) != work {
		t.Errorf("exe %q, cwd %q, flags %q; want the marked end of %q, and %q", text(r.Exe), text(r.Cwd), r.Flags, path, work)
	}
}

// Paths are those of the mount namespace, whatever the process takes for its root.
func TestKernelEdgeChroot(t *testing.T) {
	needExec(t)
	root := t.TempDir()
	path := filepath.Join(root, "program")
	if err := os.WriteFile(path, exitProgram(0), 0o755); err != nil {
		t.Fatal(err)
	}
	got := traceJSON(t, "--", as(t, "role-chroot"), root, "/program")
	r := got.only(t, "the program", first("in a chroot"))
	if text(r.Filename) != "/program" || text(r.Exe) != path || text(r.Cwd) != root || got.status != 0 {
		t.Errorf("status %d, filename %q, exe %q, cwd %q; want /program, %q and %q", got.status, text(r.Filename), text(r.Exe), text(r.Cwd), path, root)
	}
}

func TestKernelEdgeMounts(t *testing.T) {
	needExec(t)
	for _, how := range []string{"bind", "overlay"} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			for _, sub := range []string{"src/sub", "mnt", "empty"} {
				if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, "src/sub/program"), exitProgram(3), 0o755); err != nil {
				t.Fatal(err)
			}
			got := traceJSON(t, "--", as(t, "role-mounted"), dir, "program", how)
			if got.status == noOverlay {
				t.Skip("kernel lacks overlayfs")
			}
			if got.status != 3 {
				t.Fatalf("status %d, want the program's 3; stderr %s", got.status, got.stderr)
			}
			r := got.only(t, "the program", first("mounted"))
			sub := filepath.Join(dir, "mnt/sub")
			if text(r.Exe) != sub+"/program" || text(r.Cwd) != sub {
				t.Errorf("exe %q, cwd %q; want those of %q", text(r.Exe), text(r.Cwd), sub)
			}
			// What stat(2) says, the program was told.
			if argv := r.argv(); fmt.Sprint(r.Dev) != argv[1] || fmt.Sprint(r.Ino) != argv[2] {
				t.Errorf("dev %d, ino %d; stat(2) says %s and %s", r.Dev, r.Ino, argv[1], argv[2])
			}
		})
	}
}

func TestKernelEdgeSetuid(t *testing.T) {
	needExec(t)
	dir := t.TempDir()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, exitProgram(5), 0o755); err != nil {
		t.Fatal(err)
	}
	got := traceJSON(t, "--", as(t, "role-setuid"), dir, program)
	r := got.only(t, "the set-uid program", first("set-uid"))
	if r.UID != nobody || r.EUID != 0 || r.GID != nobody || text(r.Filename) != "./copy" || text(r.Exe) != dir+"/copy" || got.status != 5 {
		t.Errorf("status %d, uid %d, euid %d, gid %d: %v; want nobody's, root's and nobody's", got.status, r.UID, r.EUID, r.GID, r)
	}
}

func TestKernelEdgeNamespaces(t *testing.T) {
	needExec(t)
	file := filepath.Join(t.TempDir(), "ids")
	namespaces := as(t, "role-namespaces")
	if err := os.Symlink(namespaces, filepath.Join(filepath.Dir(namespaces), "role-nsids")); err != nil {
		t.Fatal(err)
	}
	got := traceJSON(t, "--", namespaces, file)
	told, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; stderr %s", err, got.stderr)
	}
	r := got.only(t, "the child", func(r *record) bool { return r.Comm == "role-nsids" })
	if want := fmt.Sprint(r.PID, " 1 ", r.Mntns, " ", r.Pidns); want != string(told) {
		t.Errorf("pid, pid inside, mntns, pidns: the record says %q, the process %q", want, told)
	}
	parent := got.only(t, "the parent", func(r *record) bool { return r.Comm == "role-namespaces"[:15] })
	if parent.PID != r.PPID || parent.Mntns == r.Mntns || parent.Pidns == r.Pidns {
		t.Errorf("parent %v, child %v: want different namespaces", parent, r)
	}
}

// AT_EXECVE_CHECK (Linux 6.14) asks whether a file may be executed, and returns 0: no program is put in place.
func TestKernelEdgeCheck(t *testing.T) {
	needExec(t)
	for _, flags := range [][]string{nil, {"-x"}} {
		got := traceJSON(t, append(flags, "--", as(t, "role-check"), truePath(t))...)
		for i := range got.records {
			if r := &got.records[i]; r.Ret == 0 && second("asked")(r) {
				t.Errorf("%q: a question is shown as an exec: %v", flags, r)
			}
		}
		switch got.status {
		case int(unix.EINVAL): // the kernel does not know the flag
			if flags != nil && text(got.only(t, "the refusal", second("asked")).Errno) != "EINVAL" {
				t.Errorf("the refused question: %s", got.dump())
			}
		case 0:
			got.only(t, "the exec behind the question", second("done"))
		default:
			t.Errorf("status %d; stderr %s", got.status, got.stderr)
		}
	}
}

// An exec that fails when the caller's memory is gone already ends the process. What was asked for cannot be read any
// more, and nothing else may be shown in its place.
func TestKernelEdgePastReturn(t *testing.T) {
	needExec(t)
	path := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(path, brokenProgram(), 0o755); err != nil {
		t.Fatal(err)
	}
	got := traceJSON(t, "-x", "--", path, "some", "words")
	if got.status != 128+int(unix.SIGSEGV) && got.status != 128+int(unix.SIGKILL) {
		t.Errorf("status %d, want that of a killed process; stderr %s", got.status, got.stderr)
	}
	r := got.only(t, "the failure", func(r *record) bool { return r.Ret != 0 })
	if len(got.records) != 1 || r.Filename != nil || len(r.Argv) != 0 || !r.ArgvTruncated || r.Comm != "broken" {
		t.Errorf("want one record without name and arguments, marked: %s", got.dump())
	}
}
