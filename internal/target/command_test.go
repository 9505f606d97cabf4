package target

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// begin starts argv held, with its output going to the returned reader.
func begin(t *testing.T, stdin *os.File, argv ...string) (*Command, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	defer w.Close()
	c, err := Start(argv, [3]*os.File{stdin, w, w})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Cancel()
		c.Signal(syscall.SIGKILL)
		<-c.Done()
	})
	return c, r
}

// output runs argv to its end.
func output(t *testing.T, stdin *os.File, argv ...string) (text string, status int) {
	t.Helper()
	c, r := begin(t, stdin, argv...)
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), c.Status()
}

// heldAt waits until the process's first thread sleeps in a read of the pipe that tells it to go.
func heldAt(t *testing.T, pid int) {
	t.Helper()
	read := map[string]string{"amd64": "0", "arm64": "63"}[runtime.GOARCH]
	file := fmt.Sprintf("/proc/%d/task/%d/syscall", pid, pid)
	var args [][]byte
	for len(args) < 2 { // in the middle of its execve the process has no arguments
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			t.Fatal(err)
		}
		args = bytes.Split(text, []byte{0})
	}
	fd, err := strconv.Atoi(string(args[1]))
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			t.Skip("this kernel has no /proc/PID/syscall (CONFIG_HAVE_ARCH_TRACEHOOK)")
		}
		if err != nil {
			t.Fatal(err)
		}
		if f := strings.Fields(string(data)); len(f) > 1 && f[0] == read && f[1] == fmt.Sprintf("%#x", fd) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestHeldStart(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	c, r := begin(t, nil, "sh", "-c", `echo $$; echo x > "$1"; exit 7`, "name", mark)
	heldAt(t, c.Pid()) // so the leader is the thread that will call execve
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("it ran before its time: %v", err)
	}
	select {
	case <-c.Done():
		t.Fatal("it ended before its time")
	default:
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", c.Pid()))
	if self, _ := os.Executable(); exe == self {
		t.Error("Release came back before execve")
	}
	data, err := io.ReadAll(r)
	if err != nil || strings.TrimSpace(string(data)) != strconv.Itoa(c.Pid()) {
		t.Errorf("its process id is %q, %v; was %d", data, err, c.Pid())
	}
	if c.Status() != 7 {
		t.Errorf("status %d, want 7", c.Status())
	}
	if _, err := os.Stat(mark); err != nil {
		t.Error(err)
	}
	if err := c.Release(); err != nil {
		t.Errorf("a second Release: %v", err)
	}
	if err := c.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("a signal to what has ended: %v", err)
	}
}

func TestTargetStart(t *testing.T) {
	tg := &Target{command: []string{"true"}, commandPath: "/bin/true", mode: modeTree}
	c, err := tg.Start([3]*os.File{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Cancel()
	s := spec()
	if err := tg.Apply(s); err != nil {
		t.Fatal(err)
	}
	if got := s.Fill[1].Key; got != uint32(c.Pid()) {
		t.Errorf("the tree begins at %v, COMMAND is %d", got, c.Pid())
	}
	if _, err := (&Target{}).Start([3]*os.File{}); err == nil {
		t.Error("no error without a COMMAND")
	}
	if _, err := Start(nil, [3]*os.File{}); err == nil {
		t.Error("no error without arguments")
	}
}

// What COMMAND sees must be what it would see without sonde.
func TestInheritance(t *testing.T) {
	in, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := inW.WriteString("from outside"); err != nil {
		t.Fatal(err)
	}
	inW.Close()
	if got, status := output(t, in, "cat"); got != "from outside" || status != 0 {
		t.Errorf("cat: %q, %d", got, status)
	}

	args := []string{"printf", "[%s]", "", "a b", "\n\xff", "-n", ""}
	if got, _ := output(t, nil, args...); got != "[][a b][\n\xff][-n][]" {
		t.Errorf("arguments: %q", got)
	}
	if got, _ := output(t, nil, "sh", "-c", `echo "$0"`); got != "sh\n" {
		t.Errorf("argument 0: %q", got)
	}

	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("TARGET_SAMPLE", "a=b c")
	if got, _ := output(t, nil, "sh", "-c", `pwd -P; echo "$TARGET_SAMPLE"`); got != realpath(t, dir)+"\na=b c\n" {
		t.Errorf("folder and environment: %q", got)
	}
	want := slices.Sorted(slices.Values(os.Environ()))
	got, _ := output(t, nil, "env", "-0")
	if have := slices.Sorted(strings.SplitSeq(strings.TrimSuffix(got, "\x00"), "\x00")); !slices.Equal(have, want) {
		t.Errorf("environment: %q, want %q", have, want)
	}

	direct, err := exec.Command("sh", "-c", "ulimit -n; ulimit -l").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := output(t, nil, "sh", "-c", "ulimit -n; ulimit -l"); got != string(direct) {
		t.Errorf("limits: %q, want %q", got, direct)
	}
	if got, _ := output(t, nil, "sh", "-c", "ps -o pgid= -p $$ 2>/dev/null || cut -d' ' -f5 /proc/$$/stat"); strings.TrimSpace(got) != strconv.Itoa(unix.Getpgrp()) {
		t.Errorf("process group %q, want %d", got, unix.Getpgrp())
	}
}

func realpath(t *testing.T, dir string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Descriptors that sonde itself was given pass through, at their numbers (make's job server); its own do not.
func TestDescriptors(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	given, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(given)
	got, _ := output(t, nil, "sh", "-c", "ls /proc/$$/fd")
	want := []string{"0", "1", "2", strconv.Itoa(given)}
	var have []string
	for _, s := range strings.Fields(got) {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("not a descriptor: %q", got)
		}
		// What the test binary itself was given without close-on-exec passes through as well.
		if flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); n > 2 && n != given && err == nil && flags&unix.FD_CLOEXEC == 0 {
			continue
		}
		have = append(have, s)
	}
	want = want[1:] // standard input is closed here; sh may leave it so
	if have = slices.DeleteFunc(have, func(s string) bool { return s == "0" }); !slices.Equal(slices.Sorted(slices.Values(have)), slices.Sorted(slices.Values(want))) {
		t.Errorf("descriptors %v, want %v", have, want)
	}
}

// Starting a process moves descriptors about; the two pipes must not be in the way.
func TestHighDescriptors(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	high, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD_CLOEXEC, 200)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	out := os.NewFile(uintptr(high), "out")
	c, err := Start([]string{"echo", "x"}, [3]*os.File{nil, out, out})
	out.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Cancel()
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); string(text) != "x\n" || err != nil || c.Status() != 0 {
		t.Errorf("%q, %v, status %d", text, err, c.Status())
	}
}

// Signals have their default actions and none is blocked, though this process handles some.
func TestSignalDefaults(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(caught)
	direct, err := exec.Command("grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := output(t, nil, "grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"); got != string(direct) {
		t.Errorf("%s\nwant\n%s", got, direct)
	}
}

func TestStatus(t *testing.T) {
	for _, tc := range []struct {
		script string
		want   int
	}{
		{"exit 0", 0}, {"exit 3", 3}, {"exit 255", 255}, {"kill -9 $$", 128 + 9}, {"kill -TERM $$", 128 + 15}, {"kill -SEGV $$", 128 + 11},
	} {
		if _, got := output(t, nil, "sh", "-c", tc.script); got != tc.want {
			t.Errorf("%s: status %d, want %d", tc.script, got, tc.want)
		}
	}
	c, r := begin(t, nil, "sh", "-c", `trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done`)
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := c.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if c.Status() != 9 {
		t.Errorf("status %d: the signal did not reach it as it was", c.Status())
	}
}

func TestCannotRun(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct {
		name, path string
		status     int
		errno      error
	}{
		{"no interpreter", file("script", "#!/nonexistent/interpreter\n"), 127, unix.ENOENT},
		{"not for this machine", file("elf", "\x7fELF\x02\x01\x01\x00rubbish"), 126, unix.ENOEXEC},
		{"the interpreter is a folder", file("folder", "#!/etc\n"), 126, unix.EACCES},
	} {
		c, r := begin(t, nil, tc.path)
		err := c.Release()
		var command *CommandError
		if !errors.As(err, &command) || command.Status != tc.status || !errors.Is(err, tc.errno) {
			t.Errorf("%s: %v, want status %d, %v", tc.name, err, tc.status, tc.errno)
		}
		if c.Status() != tc.status {
			t.Errorf("%s: the process ended with %d, want %d", tc.name, c.Status(), tc.status)
		}
		if text, _ := io.ReadAll(r); len(text) != 0 {
			t.Errorf("%s: it printed %q", tc.name, text)
		}
	}
	// Gone between start and release.
	gone := file("gone", "#!/bin/sh\n")
	c, _ := begin(t, nil, gone)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	var command *CommandError
	if err := c.Release(); !errors.As(err, &command) || command.Status != 127 {
		t.Errorf("gone: %v", err)
	}
	if _, err := Start([]string{"no-such-program-here"}, [3]*os.File{}); !errors.As(err, &command) || command.Status != 127 {
		t.Errorf("not found: %v", err)
	}
	huge := make([]string, 40)
	for i := range huge {
		huge[i] = strings.Repeat("x", 100<<10)
	}
	if _, err := Start(append([]string{"true"}, huge...), [3]*os.File{}); !errors.As(err, &command) || command.Status != 126 || !errors.Is(err, unix.E2BIG) {
		t.Errorf("too much: %.200v", err)
	}
}

// A text file without `#!` is a shell script, as for execvp(3) and the shells.
func TestScriptWithoutInterpreter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("echo \"$0 $1\"\nexit 4\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, status := output(t, nil, path, "one"); got != path+" one\n" || status != 4 {
		t.Errorf("%q, %d", got, status)
	}
}

func TestCancel(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	c, _ := begin(t, nil, "touch", mark)
	c.Cancel()
	select {
	case <-c.Done():
	default:
		t.Error("Cancel came back before the process had ended")
	}
	if err := c.Release(); err != nil {
		t.Errorf("Release after Cancel: %v", err)
	}
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it ran: %v", err)
	}
}

// A signal from the terminal may end the waiting process.
func TestKilledWhileHeld(t *testing.T) {
	c, _ := begin(t, nil, "true")
	heldAt(t, c.Pid())
	if err := c.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	if err := c.Release(); err == nil || !strings.Contains(err.Error(), "ended before it was started") {
		t.Errorf("%v", err)
	}
	if c.Status() == 0 {
		t.Error("status 0")
	}
}

// When the process that holds COMMAND dies, even by SIGKILL, COMMAND never runs and nothing stays behind.
func TestHolderDies(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	holder := exec.Command(self, "touch", mark)
	holder.Env = append(os.Environ(), "TARGET_TEST=hold")
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	note, err := holder.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(note, &pid); err != nil {
		t.Fatal(err)
	}
	heldAt(t, pid)
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// The output ends when the last process that has it is gone: the held one inherited it.
	if text, err := io.ReadAll(out); err != nil || len(text) != 0 {
		t.Errorf("%q, %v", text, err)
	}
	holder.Wait()
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("COMMAND ran: %v", err)
	}
}

func TestLauncherMain(t *testing.T) {
	for _, tc := range []struct {
		args    []string
		handled bool
		status  int
	}{
		{nil, false, 0},
		{[]string{"sonde"}, false, 0},
		{[]string{"sonde", launcherName, "3", "4", "/bin/true", "true"}, false, 0},
		{[]string{launcherName}, true, 125},
		{[]string{launcherName, "3", "4", "/bin/true"}, true, 125},
		{[]string{launcherName, "x", "y", "/bin/true", "true"}, true, 125},
		{[]string{launcherName, "0", "1", "/bin/true", "true"}, true, 125},
		{[]string{launcherName, "-1", "1000000", "/bin/true", "true"}, true, 125},
	} {
		if handled, status := LauncherMain(tc.args); handled != tc.handled || status != tc.status {
			t.Errorf("%q: %v %d", tc.args, handled, status)
		}
	}
}

func BenchmarkHeldStart(b *testing.B) {
	for b.Loop() {
		c, err := Start([]string{"/bin/true"}, [3]*os.File{})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Release(); err != nil {
			b.Fatal(err)
		}
		<-c.Done()
	}
}
