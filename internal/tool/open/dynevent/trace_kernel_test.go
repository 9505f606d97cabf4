package dynevent

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/fileevent"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/tracefs"
	"sonde/internal/vmtest"
)

// needTracefs skips where nothing can be made in tracefs.
func needTracefs(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	vmtest.Need(t, kernel.Tracefs)
	dir, err := kernel.TracefsDir()
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(dir, "/proc/") {
		t.Skip("tracefs is not mounted")
	}
	return dir
}

// seenOpens is what a Trace gave of a command.
type seenOpens struct {
	lines []string // of the opens by name that are none of an exec
	all   []fileevent.Event
	lost  uint64
	notes []string
	kind  Kind
}

// runTraced runs a command to its end, and returns its opens.
func runTraced(t *testing.T, opt Options, argv ...string) (got seenOpens) {
	t.Helper()
	opt.Follows = true
	tr, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}()
	got.kind = tr.Kind()
	cmd := exec.Command("/bin/sh", append([]string{"-c", `read x; exec "$@"`, "sh"}, argv...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := tr.Start([]uint32{uint32(cmd.Process.Pid)}); err != nil {
		t.Fatal(err)
	}
	record := func(r prog.Record) error {
		var e fileevent.Event
		if _, err := e.Decode(r.Body, 0); err != nil {
			t.Error(err)
			return nil
		}
		e.Time = r.Time
		got.all = append(got.all, e)
		return nil
	}
	fmt.Fprintln(stdin, "go")
	for until := time.Now().Add(30 * time.Second); !tr.TreeEnded(); time.Sleep(5 * time.Millisecond) {
		if _, _, err := tr.Read(record, false); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(until) {
			t.Error("the tree does not end")
			break
		}
	}
	_ = cmd.Wait() // how it ends is its own affair
	if err := tr.Stop(); err != nil {
		t.Fatal(err)
	}
	for n := 1; n > 0; {
		if _, n, err = tr.Read(record, true); err != nil {
			t.Fatal(err)
		}
	}
	lost, notes, err := tr.Account()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range lost {
		got.lost += c.N
	}
	got.notes = notes
	for _, e := range got.all {
		if e.Marks&fileevent.NoPath != 0 || e.Flags&fmodeExec != 0 {
			continue
		}
		line := fmt.Sprintf("%s %q flags %#x", e.Comm(), e.Path(), e.Flags)
		if e.Marks&fileevent.NoDirFD == 0 {
			line += fmt.Sprintf(" dirfd %d", e.DirFD)
		}
		if e.Marks&fileevent.NoMode == 0 {
			line += fmt.Sprintf(" mode %o", e.Mode)
		}
		if e.Ret < 0 {
			line += fmt.Sprint(" ", e.Ret)
		} else {
			line += " ok"
		}
		got.lines = append(got.lines, line)
	}
	return got
}

// plain are the system calls' own events, which every kernel has: all but the paths.
var plain = []variant{{Any, []definition{
	{group: "syscalls", name: "sys_exit_openat", layout: layout{part: partExit, how: uint16(fileevent.ByOpenat)}, fields: fieldNames{ret: "ret"}},
	{group: "syscalls", name: "sys_enter_openat", layout: layout{part: partEnter, how: uint16(fileevent.ByOpenat)},
		fields: fieldNames{dirfd: "dfd", flags: "flags", mode: "mode"}},
}}}

// The buffers of this kernel are read rightly: each open of a process is there once, in order, with how it ended.
func TestKernelBuffers(t *testing.T) {
	dir := needTracefs(t)
	const each = 2000
	got := runTraced(t, Options{variants: plain}, "/bin/sh", "-c",
		fmt.Sprintf("i=0; while [ $i -lt %d ]; do true 2>/dev/null </nonexistent; true </dev/null; i=$((i+1)); done", each/10))
	failed, fine := 0, 0
	for i, e := range got.all {
		switch {
		case e.Ret == -int32(unix.ENOENT):
			failed++
		case e.Ret >= 0:
			fine++
		default:
			t.Errorf("open %d: %d", i, e.Ret)
		}
		if e.PID != got.all[0].PID || e.PID == 0 || e.DirFD != fileevent.AtFDCWD || e.Marks&fileevent.Untimed != 0 || e.Duration == 0 {
			t.Errorf("open %d: %+v", i, e)
		}
	}
	if !slices.IsSortedFunc(got.all, func(a, b fileevent.Event) int { return int(int64(a.Time - b.Time)) }) {
		t.Error("not in order")
	}
	// The shell and its libraries open a few more.
	if n := each / 10; failed < n || failed > n+20 || fine < 2*n || fine > 2*n+20 || got.lost != 0 {
		t.Errorf("%d failed and %d not, %d lost %q; want %d and %d", failed, fine, got.lost, got.notes, n, 2*n)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "instances", tracefs.NamePrefix+purpose+"*")); len(left) > 0 {
		t.Logf("instances of others, or left behind: %q", left)
	}
}

// A kernel without dynamic events refuses in one sentence, and has nothing of ours afterwards.
func TestKernelRefused(t *testing.T) {
	dir := needTracefs(t)
	before, _ := os.ReadFile(filepath.Join(dir, "dynamic_events"))
	tr, err := Open(Options{})
	if err == nil {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	} else if !strings.Contains(err.Error(), "CONFIG_KPROBE_EVENTS") || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
	if kernelHas := vmtest.Guest() != ""; kernelHas != (err == nil) {
		t.Logf("dynamic events: %v", err)
		if kernelHas {
			t.Error("the guests' kernels have kprobe events")
		}
	}
	if events, _ := os.ReadFile(filepath.Join(dir, "dynamic_events")); string(events) != string(before) {
		t.Errorf("left: %q, before %q", events, before)
	}
}

// The process that cleans up takes away an instance whose maker is gone without a word.
func TestKernelRemover(t *testing.T) {
	dir := needTracefs(t)
	name, err := tracefs.NewName(purpose)
	if err != nil {
		t.Fatal(err)
	}
	r, err := tracefs.StartRemover(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	in, err := tracefs.MakeInstance(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	// While a file of it is open it cannot go.
	f, err := os.Open(in.Path("trace_pipe"))
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { f.Close() })
	if err := r.Done(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(in.Path()); !os.IsNotExist(err) {
		t.Errorf("the instance is still there: %v", err)
	}
}
