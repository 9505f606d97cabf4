package print

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// write opens path as -o would, writes a line, closes.
func write(t *testing.T, path, line string) {
	t.Helper()
	o, err := OpenOutput(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(o, line); err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	write(t, path, "a long first line\n")
	write(t, path, "short\n")
	if got := content(t, path); got != "short\n" {
		t.Errorf("the file was not emptied: %q", got)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	umask := syscall.Umask(0)
	syscall.Umask(umask)
	if want := os.FileMode(0o644 &^ umask); st.Mode() != want {
		t.Errorf("mode %v, want %v", st.Mode(), want)
	}
}

func TestOpenDevices(t *testing.T) {
	write(t, "/dev/null", "x\n")
	o, err := OpenOutput("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(o, "x\n")
	if err := o.Close(); !errors.Is(err, syscall.ENOSPC) || o.Unwritten() != 1 {
		t.Errorf("%v, %d unwritten", err, o.Unwritten())
	}
}

// TestOpenDescriptor: /dev/fd/N, /dev/stdout and links to them are what is open, with its position.
func TestOpenDescriptor(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	io.WriteString(f, "before\n")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), link); err != nil {
		t.Fatal(err)
	}
	write(t, fmt.Sprintf("/dev/fd/%d", f.Fd()), "one\n")
	write(t, link, "two\n")
	if got := content(t, f.Name()); got != "before\none\ntwo\n" {
		t.Errorf("got %q", got)
	}

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	saved, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(saved)
	if err := unix.Dup3(int(w.Fd()), 1, 0); err != nil {
		t.Fatal(err)
	}
	o, err := OpenOutput("/dev/stdout")
	if back := unix.Dup3(saved, 1, 0); back != nil {
		t.Fatal(back)
	}
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(o, "to stdout\n")
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "to stdout\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestOpenLinks(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	for name, to := range map[string]string{"relative": "target", "absolute": target, "chain": "relative", "dangling": "made",
		"loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"relative", "absolute", "chain"} {
		write(t, filepath.Join(dir, name), name+"\n")
		if got := content(t, target); got != name+"\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
	write(t, filepath.Join(dir, "dangling"), "x\n")
	if got := content(t, filepath.Join(dir, "made")); got != "x\n" {
		t.Errorf("dangling: %q", got)
	}
	t.Chdir(dir)
	write(t, "relative", "cwd\n")
	if got := content(t, target); got != "cwd\n" {
		t.Errorf("in the working directory: %q", got)
	}
}

// TestForeignLink: a link that another user laid is refused before what it leads to is touched. As root the link is given
// away; as any other user we pretend to be the next one.
func TestForeignLink(t *testing.T) {
	dir := t.TempDir()
	target, trap, chain := filepath.Join(dir, "shadow"), filepath.Join(dir, "trap"), filepath.Join(dir, "chain")
	if err := os.WriteFile(target, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{trap: target, chain: trap} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	euid, owner := uint32(os.Geteuid()), uint32(os.Geteuid())
	if euid == 0 {
		owner = 12345
		if err := os.Lchown(trap, int(owner), -1); err != nil {
			t.Fatal(err)
		}
	} else {
		euid++
	}
	for _, path := range []string{trap, chain} {
		_, err := openFile(path, euid)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("is a symbolic link that belongs to user %d; ", owner)) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if got := content(t, target); got != "precious" {
		t.Errorf("the target now has %q", got)
	}
	if f, err := openFile(trap, owner); err != nil {
		t.Errorf("its owner may not follow it: %v", err)
	} else {
		f.Close()
	}
	if f, err := openFile("/dev/stdout", euid+1); err != nil {
		t.Errorf("a link of root's may not be followed: %v", err)
	} else {
		f.Close()
	}
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	fifo, loop, file := filepath.Join(dir, "fifo"), filepath.Join(dir, "loop"), filepath.Join(dir, "file")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, want string
		is         error
	}{
		{"", `its directory does not exist; make it first`, syscall.ENOENT},
		{dir, "it is a directory; name a file in it", syscall.EISDIR},
		{filepath.Join(dir, "no", "such"), "its directory does not exist; make it first", syscall.ENOENT},
		{filepath.Join(file, "x"), "what it names as a directory is none", syscall.ENOTDIR},
		{fifo, "nobody reads from it; start the reader of the named pipe first", syscall.ENXIO},
		{loop, "too many symbolic links; name the file they lead to", syscall.ELOOP},
		{"/dev/fd/1234567", "descriptor 1234567 is not open: bad file descriptor", syscall.EBADF},
		{"a\x00b", "invalid argument", syscall.EINVAL},
		{filepath.Join(dir, strings.Repeat("n", 300)), "file name too long", syscall.ENAMETOOLONG},
	} {
		_, err := OpenOutput(c.path)
		want := fmt.Sprintf("cannot write to %q: %s", c.path, c.want)
		if err == nil || err.Error() != want || !errors.Is(err, c.is) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestNamedPipe: one that is read takes more than fits into it at once.
func TestNamedPipe(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(fifo, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := os.NewFile(uintptr(fd), fifo)
	defer r.Close()
	o, err := OpenOutput(fifo)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("x", 999) + "\n"
	done := make(chan error, 1)
	go func() {
		for range 1000 {
			if _, err := io.WriteString(o, line); err != nil {
				done <- err
				return
			}
		}
		done <- o.Close()
	}()
	got, err := io.Copy(io.Discard, r)
	if err != nil || got != 1_000_000 {
		t.Errorf("%d bytes, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
